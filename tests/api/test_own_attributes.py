"""Attributes that Neutron does not have, and the refusal of impossible values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flows.policy.objects import Network, Port, SecurityGroup
from lab.controller import Controller
from lab.policy_cli import PolicyCli
from sgctl.attributes.attribute import ApiAccess, Attribute, Place
from sgctl.attributes.plain import plain
from tests.api.client import Client, Shell
from tests.declared import good_values, wrong_values

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def network(api: Client) -> Iterator[Any]:
    made = api.make("network", name="own")
    yield made
    for port in api.list("ports", f"network_id={made['id']}"):
        api("DELETE", f"/v2.0/ports/{port['id']}")
    api("DELETE", f"/v2.0/networks/{made['id']}")


def test_own_attributes_are_announced_as_an_extension(api: Client) -> None:
    aliases = {each["alias"]: each["description"] for each in api("GET", "/v2.0/extensions").one}
    assert "connection_limit" in aliases["sgctl-network"]
    assert "permitted_ethertypes" in aliases["sgctl-port"]


def test_networks(api: Client, network: Any) -> None:
    own = ("address_scope", "egress_default", "default_group", "connection_limit", "bound_members_only")
    assert [network[name] for name in own] == [None, "deny", None, None, False]
    group = api.make("security_group", name="own")["id"]
    wanted = {
        "address_scope": "own",
        "egress_default": "open-until-rule",
        "default_group": group,
        "connection_limit": 1000,
        "bound_members_only": True,
    }
    path = f"/v2.0/networks/{network['id']}"
    changed = api("PUT", path, {"network": wanted})
    assert (changed.status, {name: changed.one[name] for name in own}) == (200, wanted)
    assert api("PUT", path, {"network": {"description": "x"}}).one["connection_limit"] == 1000
    assert [each["id"] for each in api.list("networks", "address_scope=own")] == [network["id"]]
    in_use = api("DELETE", f"/v2.0/security-groups/{group}")
    assert (in_use.status, in_use.kind) == (409, "SecurityGroupInUse")
    assert api.make("port", network_id=network["id"])["security_groups"] == []
    none = {"address_scope": None, "default_group": None, "connection_limit": None}
    assert api("PUT", path, {"network": none}).status == 200
    assert {name: api.show("network", network["id"])[name] for name in none} == none
    made = api.make("network", name="own2", egress_default="open-until-rule", connection_limit=7)
    assert (made["egress_default"], made["connection_limit"]) == ("open-until-rule", 7)
    assert api("DELETE", f"/v2.0/networks/{made['id']}").status == 204


DECLARED = [
    pytest.param(singular, each, id=f"{singular}-{each.name}")
    for singular, kind in (("network", Network), ("security_group", SecurityGroup), ("port", Port))
    for each in plain(kind, Place.REST)
    if each.access is ApiAccess.EDIT
]
"""The attributes that only their declarations handle."""


@pytest.mark.parametrize(("singular", "attribute"), DECLARED)
def test_a_declared_attribute(api: Client, network: Any, singular: str, attribute: Attribute) -> None:
    home = {"network_id": network["id"], "security_groups": []} if singular == "port" else {}
    path = f"/v2.0/{singular.replace('_', '-')}s"
    made = api.make(singular, **home)["id"]
    for value in good_values(attribute):
        changed = api("PUT", f"{path}/{made}", {singular: {attribute.name: value}})
        assert (changed.status, changed.one[attribute.name]) == (200, value), changed
        assert api("PUT", f"{path}/{made}", {singular: {"name": "x"}}).one[attribute.name] == value
        at_once = api.make(singular, **home, **{attribute.name: value})
        assert at_once[attribute.name] == value
        api("DELETE", f"{path}/{at_once['id']}")
    before = api.everything()
    for value in wrong_values(attribute):
        for method, url in (("POST", path), ("PUT", f"{path}/{made}")):
            stated = {attribute.name: value} | (home if method == "POST" else {})
            answer = api(method, url, {singular: stated})
            assert (answer.status, attribute.name in answer.message) == (400, True), (value, answer)
    assert api.everything() == before
    api("DELETE", f"{path}/{made}")


def test_ports(api: Client, network: Any) -> None:
    made = api.make("port", network_id=network["id"], permitted_ethertypes=["0x88CC", 0x8809])
    assert made["permitted_ethertypes"] == ["0x8809", "0x88cc"]
    found = api.list("ports", "permitted_ethertypes=0x88cc")
    assert [each["id"] for each in found] == [made["id"]]
    path = f"/v2.0/ports/{made['id']}"
    assert api("PUT", path, {"port": {"name": "x"}}).one["permitted_ethertypes"] == ["0x8809", "0x88cc"]
    assert api("PUT", path, {"port": {"permitted_ethertypes": []}}).one["permitted_ethertypes"] == []


def test_the_openstack_client_sets_them_as_extra_properties(openstack: Shell, api: Client) -> None:
    limit = "--extra-property type=int,name=connection_limit,value"
    made = openstack.json(f"network create {limit}=5 extra")
    assert made["connection_limit"] == 5
    openstack("network set --extra-property type=str,name=address_scope,value=extra extra")
    assert openstack.json("network show extra")["address_scope"] == "extra"
    types = "--extra-property type=list,name=permitted_ethertypes,value=0x88cc"
    port = openstack.json(f"port create --network extra {types} extra")["id"]
    assert api.show("port", port)["permitted_ethertypes"] == ["0x88cc"]
    wrong = openstack.run(f"network set {limit}=0 extra")
    assert wrong.code != 0
    assert "connection_limit" in wrong.err
    openstack("port delete extra")
    openstack("network delete extra")


def test_the_command_line_shows_what_the_api_set(controller: Controller, api: Client, network: Any) -> None:
    api("PUT", f"/v2.0/networks/{network['id']}", {"network": {"connection_limit": 5}})
    shown = json.loads(PolicyCli(controller.environment)("network", "show", "own", "-o", "json"))
    assert shown["connection_limit"] == 5


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *(("network", "default_group", value) for value in ("web", 5)),
        *(
            ("port", "permitted_ethertypes", [value])
            for value in (0x05FF, 0x10000, 0x0800, 0x86DD, 0x8100, "0x0806", "0x9100", "0x0", "lldp", True)
        ),
        ("port", "permitted_ethertypes", "0x88cc"),
        ("port", "permitted_ethertypes", None),
    ],
)  # fmt: skip
def test_an_invalid_value_is_refused_with_the_attributes_name(
    api: Client, network: Any, kind: str, name: str, value: Any
) -> None:
    before = api.everything()
    home = {"network_id": network["id"]} if kind == "port" else {}
    answer = api("POST", f"/v2.0/{kind}s", {kind: {name: value, **home}})
    assert (answer.status, name in answer.message) == (400, True), answer
    if kind == "network":
        answer = api("PUT", f"/v2.0/networks/{network['id']}", {kind: {name: value}})
        assert (answer.status, name in answer.message) == (400, True), answer
    assert api.everything() == before


@pytest.fixture
def group(api: Client) -> Iterator[Any]:
    made = api.make("security_group", name="own")
    yield made
    api("DELETE", f"/v2.0/security-groups/{made['id']}")


def test_the_dscp_of_a_rule(api: Client, group: Any) -> None:
    stated = {"security_group_id": group["id"], "direction": "ingress", "protocol": "udp"}
    marked = api.make("security_group_rule", **stated, ip_dscp=46)
    unmarked = api.make("security_group_rule", **stated)
    assert (marked["ip_dscp"], unmarked["ip_dscp"]) == (46, None)
    assert [each["id"] for each in api.list("security-group-rules", "ip_dscp=46")] == [marked["id"]]
    again = api("POST", "/v2.0/security-group-rules", {"security_group_rule": {**stated, "ip_dscp": 46}})
    assert (again.status, again.kind) == (409, "SecurityGroupRuleExists")
    before = api.everything()
    for wrong in (64, -1, "ef", 1.5, True):
        answer = api(
            "POST", "/v2.0/security-group-rules", {"security_group_rule": {**stated, "ip_dscp": wrong}}
        )
        assert (answer.status, "ip_dscp" in answer.message) == (400, True), answer
    answer = api("PUT", f"/v2.0/security-group-rules/{marked['id']}", {"security_group_rule": {"ip_dscp": 0}})
    assert answer.status in (400, 404, 405)
    assert api.everything() == before
    assert (
        "ip_dscp"
        in {each["alias"]: each["description"] for each in api("GET", "/v2.0/extensions").one}["sgctl-rule"]
    )


def test_a_default_group_that_does_not_exist(api: Client, network: Any) -> None:
    answer = api("PUT", f"/v2.0/networks/{network['id']}", {"network": {"default_group": NOBODY}})
    assert (answer.status, answer.kind) == (404, "SecurityGroupNotFound")


def test_errors_in_a_subnet_name_the_attribute(api: Client, network: Any) -> None:
    stated = {"network_id": network["id"], "cidr": "10.8.0.0/24", "gateway_ip": "10.7.0.1"}
    answer = api("POST", "/v2.0/subnets", {"subnet": stated})
    assert answer.status == 400
    assert answer.message == "Network own: gateway_ip: 10.7.0.1 is no address of subnet 10.8.0.0/24"
