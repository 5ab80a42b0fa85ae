"""Commands that need only the policy work without Open vSwitch, as on an administrator's machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

POLICY = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: open}
spec: {default_rules: openstack, rules: [{direction: ingress, protocol: udp, ports: 69}]}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: web1}
spec: {network: blue, fixed_ips: [10.0.0.1], security_groups: [open]}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: db1}
spec: {network: blue, fixed_ips: [10.0.0.2], security_groups: [open]}
"""


@pytest.fixture
def elsewhere(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """A policy, no switch database, and no program of Open vSwitch on the PATH."""
    assert cli("apply", "-f", "-", stdin=POLICY).code == 0
    monkeypatch.setenv("SGCTL_OVSDB", f"unix:{tmp_path}/db.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    return cli


def test_trace_asks_the_policy(elsewhere: Cli) -> None:
    denied = elsewhere("trace", "web1", "db1", "--port", "22")
    assert (denied.code, denied.err) == (4, "")
    tftp = elsewhere("trace", "web1", "db1", "--protocol", "udp", "--port", "69")
    assert tftp.code == 0
    assert "note: a TFTP server sends the file from a port other than 69" in tftp.out
    asked = elsewhere("trace", "web1", "db1", "--port", "22", "--on-switch")
    assert asked.code == 1
    assert "cannot connect to the switch database" in asked.errors[0]


def test_reach_asks_the_policy(elsewhere: Cli) -> None:
    found = elsewhere("reach", "to", "db1", "-o", "json")
    assert [port["port"] for port in json.loads(found.out)["ports"]] == ["web1"]
    assert elsewhere("reach", "from", "db1", "-o", "name").out == "port/web1\n"
