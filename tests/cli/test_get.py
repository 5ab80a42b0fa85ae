from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from flows.policy.objects import Port
from sgctl.store import BindingState, BindingStatus, Store, SwitchStatus
from tests.cli.conftest import Cli, Enforcer

PRINTED = Path("topologies/evroc-tiers/policy.yaml").read_text(encoding="utf-8")
POLICY = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
spec: {subnets: [10.0.0.0/24], defaults: evroc, segmentation_id: 100}
---
apiVersion: sgctl/v1
kind: AddressGroup
metadata: {name: monitors}
spec: {addresses: [192.0.2.0/24, "2001:db8::1"]}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: web}
spec:
  rules:
  - {direction: ingress, protocol: icmp, type: 8, code: 0, remote_group: web}
  - {direction: ingress, protocol: udp, ports: 6000-6003, remote_address_group: monitors, name: "[red]alarm"}
  - {direction: egress, protocol: 200, remote_network: blue, ip_dscp: 46}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: web1}
spec: {network: blue, mac_address: "02:00:00:00:00:01", fixed_ips: [10.0.0.9], security_groups: [web]}
"""


@pytest.fixture
def filled(
    cli: Cli, manifest: Callable[[str], str], fresh: Callable[[], Store], enforce: Callable[..., Enforcer]
) -> Cli:
    """A policy, and the report of a controller."""
    assert cli("apply", "-f", manifest(POLICY)).code == 0
    store = fresh()
    (port,) = store.objects[Port]
    switch = SwitchStatus("host", "br0", "0000000000000001", True, store.generation, 42)
    bindings = [
        BindingStatus("host/br0", "tap1", 1, BindingState.BOUND, port),
        BindingStatus("host/br0", "tap2", 2, BindingState.QUARANTINED, "", "no port has the iface-id 'x'"),
    ]
    enforce(switches=[switch], bindings=bindings)
    return cli


def test_tables(filled: Cli) -> None:
    def table(*arguments: str) -> str:
        result = filled("get", *arguments)
        assert (result.code, result.err) == (0, "")
        return result.out

    assert table("networks") == (
        "NAME  VLAN  SUBNETS      EGRESS  DEFAULT GROUP  PORTS\n"
        "blue  100   10.0.0.0/24  deny    default-blue   1\n"
    )
    assert table("ports") == (
        "NAME  NETWORK  MAC                ADDRESSES  GROUPS  BOUND TO\n"
        "web1  blue     02:00:00:00:00:01  10.0.0.9   web     host/br0:tap1\n"
    )
    assert table("sg", "web") == "NAME  STATEFUL  RULES  PORTS\nweb   yes       3      1\n"
    assert table("rules", "--security-group", "web") == (
        "NUMBER  GROUP  DIRECTION  ETHERTYPE  PROTOCOL  PORTS          DSCP  REMOTE                  NAME\n"
        "20      web    ingress    IPv4       icmp      type 8 code 0        group web\n"
        "21      web    ingress    IPv4       udp       6000-6003            address group monitors  "
        "[red]alarm\n"
        "22      web    egress     IPv4       200                      46    network blue\n"
    )
    assert table("ag") == "NAME      ADDRESSES\nmonitors  192.0.2.0/24, 2001:db8::1\n"
    assert table("switches") == (
        "NAME      DPID              CONNECTED  CURRENT  FLOWS  ERROR\n"
        "host/br0  0000000000000001  yes        yes      42\n"
    )
    assert table("bindings") == (
        "SWITCH    INTERFACE  OFPORT  STATE        PORT  REASON\n"
        "host/br0  tap1       1       bound        web1\n"
        "host/br0  tap2       2       quarantined        no port has the iface-id 'x'\n"
    )


@pytest.mark.parametrize("spelling", ["sg", "SGs", "security-group", "security-groups", "SecurityGroup"])
def test_a_kind_has_many_spellings(filled: Cli, spelling: str) -> None:
    assert filled("get", spelling, "-o", "name").out == "security-group/default-blue\nsecurity-group/web\n"
    assert filled("get", f"{spelling}/web", "-o", "name").out == "security-group/web\n"


def test_json_is_a_list_or_the_named_object(filled: Cli) -> None:
    ports = json.loads(filled("get", "ports", "-o", "json").out)
    assert [(port["name"], port["security_groups"], port["bound_to"]) for port in ports] == [
        ("web1", ["web"], ["host/br0:tap1"])
    ]
    assert json.loads(filled("get", "port", "web1", "-o", "json").out) == ports[0]
    assert json.loads(filled("get", "port", ports[0]["id"], "-o", "json").out) == ports[0]
    several = json.loads(filled("get", "nets,switches", "-o", "json").out)
    assert [several["networks"][0]["name"], several["switches"][0]["flow_count"]] == ["blue", 42]


def test_yaml_output_can_be_applied_again(filled: Cli) -> None:
    exported = filled("get", "all", "-o", "yaml").out
    again = filled("apply", "-f", "-", stdin=exported)
    assert again.code == 0
    assert [line.split()[2] for line in again.out.splitlines()] == ["unchanged"] * 5
    assert filled("delete", "-f", "-", stdin=exported).code == 0
    assert filled("get", "all", "-o", "name").out == ""
    assert filled("apply", "-f", "-", stdin=exported).code == 0
    assert filled("get", "all", "-o", "yaml").out == exported


def test_evrocs_manifests_survive_an_export(filled: Cli, manifest: Callable[[str], str]) -> None:
    assert filled("apply", "-f", manifest(PRINTED)).code == 0
    exported = filled("get", "all", "-o", "yaml").out
    assert "updated" not in filled("apply", "-f", "-", stdin=exported).out
    assert "updated" not in filled("apply", "-f", manifest(PRINTED)).out


def test_yaml_of_reports_and_rules_is_their_records(filled: Cli) -> None:
    (switch,) = yaml.safe_load_all(filled("get", "switches", "-o", "yaml").out)
    assert switch["flow_count"] == 42
    numbers = [rule["number"] for rule in yaml.safe_load_all(filled("get", "rules", "-o", "yaml").out)]
    assert numbers == list(range(16, 23))


def test_names_are_what_delete_takes(filled: Cli) -> None:
    names = filled("get", "ports,rules", "-o", "name").out.split()
    assert names[:3] == ["port/web1", "rule/16", "rule/17"]
    assert filled("delete", *names).code == 0
    assert filled("get", "ports,rules", "-o", "name").out == ""


@pytest.mark.parametrize(
    ("arguments", "errors"),
    [
        (["port", "a", "b"], ["there is no port 'a'", "there is no port 'b'"]),
        (["switch", "x"], ["there is no switch 'x'"]),
        (["rules", "--security-group", "x"], ["there is no security group 'x'"]),
    ],
)
def test_a_missing_object_is_an_error(filled: Cli, arguments: list[str], errors: list[str]) -> None:
    result = filled("get", *arguments)
    assert (result.code, result.out, result.errors) == (1, "", errors)


@pytest.mark.parametrize("name", ["host/br0", "br0"])
def test_a_switch_is_found_by_its_bridge(filled: Cli, name: str) -> None:
    assert filled("get", "switch", name, "-o", "name").out == "switch/host/br0\n"


@pytest.mark.parametrize("name", ["tap1", "web1", "host/br0:tap1"])
def test_a_binding_is_found_by_interface_and_port(filled: Cli, name: str) -> None:
    assert filled("get", "binding", name, "-o", "name").out == "binding/host/br0:tap1\n"


def test_an_empty_result_is_reported_and_no_error(cli: Cli) -> None:
    assert cli("get", "ports") == (0, "", "no ports\n")
    assert cli("get", "ports", "-o", "json").out == "[]\n"
    assert cli("get", "ports", "-o", "yaml").out == ""
