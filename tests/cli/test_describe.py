"""`sgctl describe`, without a switch; the cost of rules is tested together with `sgctl plan`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Cli

POLICY = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
spec: {subnets: [10.0.0.0/24], default_group: base}
---
apiVersion: sgctl/v1
kind: AddressGroup
metadata: {name: monitors}
spec: {addresses: [192.0.2.0/25]}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: base}
spec: {rules: [{direction: egress}, {direction: ingress, protocol: tcp, ports: 22, remote_group: web}]}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: web}
spec:
  rules:
  - {direction: ingress, protocol: tcp, ports: 80, name: http}
  - {direction: ingress, protocol: udp, remote_address_group: monitors}
  - {direction: ingress, protocol: udp, remote_group: web}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: p1}
spec: {network: blue, mac_address: "02:00:00:00:00:01", fixed_ips: [10.0.0.11], security_groups: [web]}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: p2}
spec: {network: blue, fixed_ips: [10.0.0.12]}
"""


@pytest.fixture
def policy(cli: Cli) -> Cli:
    assert cli("apply", "-f", "-", stdin=POLICY).code == 0
    return cli


def _of(cli: Cli, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("describe", *words, "-o", "json").out)
    return found


def test_a_group_with_rules_in_words_members_and_users(policy: Cli) -> None:
    found = _of(policy, "sg/web")
    assert [rule["permits"] for rule in found["rules"]] == [
        "ingress IPv4 tcp 80 from anywhere",
        "ingress IPv4 udp from address group monitors",
        "ingress IPv4 udp from group web",
    ]
    (member,) = found["members"]
    assert (member["port"], member["addresses"]) == ("p1", ["10.0.0.11", "fe80::ff:fe00:1"])
    (user,) = found["used_by"]
    assert user["user"] == "rule 17 of group base: ingress IPv4 tcp 22 from group web"
    text = policy("describe", "security-group", "web").out
    assert "\nrules:\nNUMBER  GROUP" in text
    assert "ingress IPv4 tcp 80 from anywhere" in text
    assert "10.0.0.11, fe80::ff:fe00:1" in text


def test_a_default_group_has_the_ports_that_have_no_other(policy: Cli) -> None:
    found = _of(policy, "sg", "base")
    assert [member["port"] for member in found["members"]] == ["p2"]
    assert [user["user"] for user in found["used_by"]] == ["network blue"]


def test_a_port_is_described_with_its_permissions(policy: Cli) -> None:
    assert [rule["number"] for rule in _of(policy, "port/p1")["rules"]] == [18, 19, 20]
    assert [rule["security_group"] for rule in _of(policy, "port/p2")["rules"]] == ["base", "base"]
    assert "interfaces: bound to no interface" in policy("describe", "port", "p1").out
    policy("port", "create", "p3", "--network", "blue", "--disable-port-security")
    assert "\nrules: port security is off: everything is permitted\n" in policy("describe", "port/p3").out


def test_a_rule_is_described_with_the_ports_it_concerns(policy: Cli) -> None:
    found = _of(policy, "rule/17")
    assert found["permits"] == "ingress IPv4 tcp 22 from group web"
    assert [member["port"] for member in found["members"]] == ["p2"]
    assert [member["port"] for member in found["remote_members"]] == ["p1"]


def test_networks_and_address_groups(policy: Cli) -> None:
    network = _of(policy, "network/blue")
    assert [port["port"] for port in network["ports"]] == ["p1", "p2"]
    assert network["switches"] == []
    users = _of(policy, "address-group/monitors")["used_by"]
    assert [user["user"] for user in users] == [
        "rule 19 of group web: ingress IPv4 udp from address group monitors"
    ]


def test_one_object_that_exists(policy: Cli) -> None:
    assert policy("describe", "sg/nobody").errors == ["there is no security group 'nobody'"]
    assert policy("describe", "sg").code == 2
    assert policy("describe", "sg", "web", "base").code == 2
    assert policy("describe", "bindings", "x").code == 2
    assert policy("describe", "switch", "x").errors == ["there is no switch 'x'"]
