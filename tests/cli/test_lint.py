"""The lint warnings of `sgctl plan` about redundant rules, and about a policy that no switch enforces."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Cli

Write = Callable[[str], str]

BASE = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
spec: {subnets: [10.0.0.0/24]}
---
apiVersion: sgctl/v1
kind: Network
metadata: {name: bare}
---
apiVersion: sgctl/v1
kind: AddressGroup
metadata: {name: monitors}
spec: {addresses: [192.0.2.0/25, 192.0.2.200]}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: empty}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: base}
spec:
  rules:
  - {direction: ingress, protocol: udp, ports: 500-600}
  - {direction: ingress, protocol: icmp, type: 8}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: p1}
spec: {network: blue, security_groups: [web, base]}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: p2}
spec: {network: blue, security_groups: [web, base]}
"""
WEB = "---\napiVersion: sgctl/v1\nkind: SecurityGroup\nmetadata: {name: web}\nspec: {rules: [%s]}\n"


IN, TCP = "direction: ingress", "direction: ingress, protocol: tcp"
UDP, ICMP = "direction: ingress, protocol: udp", "direction: ingress, protocol: icmp"
HTTP = "ingress IPv4 tcp 80 from anywhere"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([f"{TCP}, ports: 80"], None),
        ([TCP, f"{TCP}, ports: 80"], ("redundant", HTTP)),
        ([f"{TCP}, ports: 80", f"{TCP}, ports: 70-90"], ("redundant", HTTP)),
        ([f"{TCP}, ports: 80", f"{TCP}, ports: 81-90", f"{UDP}, ports: 80", "direction: egress"], None),
        (
            [f"{IN}, remote_ip_prefix: 192.0.2.0/24", f"{TCP}, remote_address_group: monitors"],
            ("redundant", "ingress IPv4 tcp from address group monitors"),
        ),
        (
            [f"{IN}, remote_address_group: monitors", f"{IN}, remote_ip_prefix: 192.0.2.0/26"],
            ("redundant", "ingress IPv4 any protocol from 192.0.2.0/26"),
        ),
        ([f"{IN}, remote_address_group: monitors", f"{IN}, remote_ip_prefix: 192.0.2.128/26"], None),
        (
            [f"{IN}, remote_ip_prefix: 0.0.0.0/0", f"{IN}, remote_group: base"],
            ("redundant", "ingress IPv4 any protocol from group base"),
        ),
        ([f"{IN}, remote_ip_prefix: 10.0.0.0/8", f"{IN}, remote_group: base"], None),
        ([TCP, f"{TCP}, ip_dscp: 46"], ("redundant", "ingress IPv4 tcp with DSCP 46 from anywhere")),
        (
            [f"{TCP}, ports: 1-99, ip_dscp: 46", f"{TCP}, ports: 80", f"{TCP}, ports: 80, ip_dscp: 0"],
            ("redundant", "ingress IPv4 tcp 80 with DSCP 0 from anywhere"),
        ),
        ([f"{UDP}, ports: 520"], ("shadowed", "ingress IPv4 udp 520 from anywhere")),
        ([ICMP], None),
        ([f"{ICMP}, type: 8, code: 0"], ("shadowed", "ingress IPv4 icmp type 8 code 0 from anywhere")),
        (
            [f"{IN}, remote_group: empty"],
            ("matches nothing", "ingress IPv4 any protocol from group empty"),
        ),
        (
            [f"{IN}, ethertype: IPv6, remote_address_group: monitors"],
            ("matches nothing", "ingress IPv6 any protocol from address group monitors"),
        ),
        (
            ["direction: egress, remote_network: bare"],
            ("matches nothing", "egress IPv4 any protocol to network bare"),
        ),
    ],
)
def test_rules_that_could_be_left_out(
    cli: Cli, manifest: Write, rules: list[str], expected: tuple[str, str] | None
) -> None:
    file = manifest(BASE + WEB % ", ".join(f"{{{rule}}}" for rule in rules))
    for _ in range(2):  # the same of rules that are still to come and of those that are there
        found = json.loads(cli("plan", "-f", file, "-o", "json").out)["advice"]
        told = [(each["flaw"], each["sentence"]) for each in found if each["security_group"] == "web"]
        assert told == ([expected] if expected else [])
        cli("apply", "-f", file)


def test_a_group_without_ports_is_reported_as_matching_nothing(cli: Cli, manifest: Write) -> None:
    text = WEB % "{direction: ingress, protocol: tcp, ports: 80}, {direction: ingress, protocol: tcp}"
    result = cli("plan", "-f", manifest(text))
    assert result.code == 0
    assert result.out.splitlines()[:2] == ["SecurityGroup web created (2 rules added)", ""]
    assert "flows: no controller has reported a switch" in result.out
    assert "connections: this machine's switch could not be asked" in result.out
    wider = "ingress IPv4 tcp from anywhere"
    assert result.out.splitlines()[-2:] == [
        f"a new rule of web ({HTTP}) is redundant: a new rule ({wider}) of the same group permits it",
        f"a new rule of web ({wider}) matches nothing: no port is in the group",
    ]
    assert cli("status").out.startswith("policy: generation 0:")
    assert cli("plan", "--exit-code", "-f", manifest(text)).code == 3
    assert cli("plan", "-f", manifest(text.replace("tcp", "tpc"))).code == 1
