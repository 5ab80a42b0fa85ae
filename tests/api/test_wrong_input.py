"""Refused requests: their status and type, and that they change nothing."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from tests.api.client import Client

NOBODY = "00000000-0000-4000-8000-000000000000"


class World(NamedTuple):
    """Valid objects, which the cases refer to; `{group}` and so on in a case stand for their ids."""

    api: Client
    ids: dict[str, str]

    def fill(self, value: Any) -> Any:
        text = json.dumps(value)
        for name, identifier in self.ids.items():
            text = text.replace(f"{{{name}}}", identifier)
        return json.loads(text)


@pytest.fixture(scope="module")
def world(api: Client) -> World:
    network = api.make("network", name="wrong", **{"provider:segmentation_id": 99})
    other = api.make("network", name="wrong too")
    subnet = api.make("subnet", network_id=network["id"], cidr="10.9.0.0/24", name="wrong")
    group = api.make("security_group", name="wrong")
    port = api.make("port", network_id=network["id"], mac_address="02:00:00:00:09:01", name="wrong")
    spare = api.make("port", network_id=network["id"], name="spare")
    addresses = api.make("address_group", name="wrong", addresses=["192.0.2.0/24"])
    ssh = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    rule = api.make("security_group_rule", security_group_id=group["id"], direction="ingress", **ssh)
    api.make(
        "security_group_rule",
        security_group_id=group["id"],
        direction="ingress",
        remote_address_group_id=addresses["id"],
    )
    made = {
        "network": network,
        "other": other,
        "subnet": subnet,
        "group": group,
        "port": port,
        "spare": spare,
    }
    made |= {"addresses": addresses, "rule": rule}
    default = api.list("security-groups", "name=default&project_id=")[0]
    ids = {name: each["id"] for name, each in made.items()} | {"default": default["id"]}
    return World(api, ids | {"address": port["fixed_ips"][0]["ip_address"]})


def rule(**changes: Any) -> Any:
    stated = {"security_group_id": "{group}", "direction": "ingress", **changes}
    return {"security_group_rule": {key: value for key, value in stated.items() if value != "absent"}}


def port(**changes: Any) -> Any:
    return {"port": {"network_id": "{network}", **changes}}


RULES, PORTS, GROUPS = "security-group-rules", "ports", "security-groups"
NETWORKS, SUBNETS, ADDRESS_GROUPS = "networks", "subnets", "address-groups"
RANGE, ICMP = "SecurityGroupInvalidPortRange", "SecurityGroupInvalidIcmpValue"
TCP = {"protocol": "tcp"}
LONG = "x" * 256

POSTS: list[tuple[str, Any, int, str]] = [
    (RULES, rule(direction="sideways"), 400, "HTTPBadRequest"),
    (RULES, rule(direction="absent"), 400, "HTTPBadRequest"),
    (RULES, rule(security_group_id="absent"), 400, "HTTPBadRequest"),
    (RULES, rule(security_group_id="no uuid"), 400, "HTTPBadRequest"),
    (RULES, rule(security_group_id=5), 400, "HTTPBadRequest"),
    (RULES, rule(ethertype="IPv5"), 400, "HTTPBadRequest"),
    (RULES, rule(protocol=["tcp"]), 400, "HTTPBadRequest"),
    (RULES, rule(protocol=True), 400, "HTTPBadRequest"),
    (RULES, rule(**TCP, port_range_min=True, port_range_max=True), 400, "HTTPBadRequest"),
    (RULES, rule(**TCP, port_range_min="ssh", port_range_max="ssh"), 400, "HTTPBadRequest"),
    (RULES, rule(**TCP, port_range_min=1.5, port_range_max=2), 400, "HTTPBadRequest"),
    (RULES, rule(unknown=1), 400, "HTTPBadRequest"),
    (RULES, rule(id=NOBODY), 400, "HTTPBadRequest"),
    (RULES, rule(description=LONG), 400, "HTTPBadRequest"),
    # of ranges
    (RULES, rule(**TCP, port_range_min=22), 400, RANGE),
    (RULES, rule(**TCP, port_range_max=22), 400, RANGE),
    (RULES, rule(**TCP, port_range_min=23, port_range_max=22), 400, RANGE),
    (RULES, rule(**TCP, port_range_min=-1, port_range_max=22), 400, RANGE),
    (RULES, rule(**TCP, port_range_min=1, port_range_max=65536), 400, RANGE),
    (RULES, rule(port_range_min=22, port_range_max=22), 400, RANGE),
    (RULES, rule(protocol="gre", port_range_min=22, port_range_max=22), 400, RANGE),
    (RULES, rule(protocol="dccp", port_range_min=22, port_range_max=22), 400, RANGE),
    (RULES, rule(protocol=136, port_range_min=22, port_range_max=22), 400, RANGE),
    (RULES, rule(protocol="icmp", port_range_min=256), 400, ICMP),
    (RULES, rule(protocol="icmp", port_range_min=8, port_range_max=256), 400, ICMP),
    (RULES, rule(protocol="icmp", port_range_max=0), 400, ICMP),
    (RULES, rule(protocol="tpc"), 400, "SecurityGroupRuleInvalidProtocol"),
    (RULES, rule(protocol=256), 400, "SecurityGroupRuleInvalidProtocol"),
    (RULES, rule(protocol="-1"), 400, "SecurityGroupRuleInvalidProtocol"),
    (RULES, rule(protocol=0), 400, "SecurityGroupRuleInvalidProtocol"),
    (RULES, rule(protocol="ipv6-icmp"), 400, "SecurityGroupRuleInvalidProtocol"),
    # of remotes
    (RULES, rule(remote_ip_prefix="10.0.0.0/33"), 400, "InvalidCIDR"),
    (RULES, rule(remote_ip_prefix="10.0.0"), 400, "InvalidCIDR"),
    (RULES, rule(remote_ip_prefix="everywhere"), 400, "InvalidCIDR"),
    (RULES, rule(remote_ip_prefix=""), 400, "InvalidCIDR"),
    (RULES, rule(remote_ip_prefix="2001:db8::/32"), 400, "SecurityGroupRuleParameterConflict"),
    (RULES, rule(remote_ip_prefix="10.0.0.0/8", remote_group_id="{group}"), 400, "InvalidInput"),
    (RULES, rule(remote_group_id="{group}", remote_address_group_id="{addresses}"), 400, "InvalidInput"),
    (RULES, rule(remote_group_id=NOBODY), 404, "SecurityGroupNotFound"),
    (RULES, rule(remote_address_group_id=NOBODY), 404, "AddressGroupNotFound"),
    (RULES, rule(security_group_id=NOBODY), 404, "SecurityGroupNotFound"),
    (RULES, rule(**TCP, port_range_min=22, port_range_max=22), 409, "SecurityGroupRuleExists"),
    (
        RULES,
        rule(**TCP, port_range_min=22, port_range_max=22, remote_ip_prefix="0.0.0.0/0"),
        409,
        "SecurityGroupRuleExists",
    ),
    # ports
    (PORTS, {"port": {}}, 400, "HTTPBadRequest"),
    (PORTS, port(network_id=NOBODY), 404, "NetworkNotFound"),
    (PORTS, port(security_groups=[NOBODY]), 404, "SecurityGroupNotFound"),
    (PORTS, port(security_groups="{group}"), 400, "HTTPBadRequest"),
    (PORTS, port(mac_address="02:00:00:00:09:01"), 409, "MacAddressInUse"),
    (PORTS, port(mac_address="01:00:00:00:00:01"), 400, "InvalidInput"),
    (PORTS, port(mac_address="nonsense"), 400, "InvalidInput"),
    (PORTS, port(fixed_ips=[{"ip_address": "{address}"}]), 409, "IpAddressAlreadyAllocated"),
    (PORTS, port(fixed_ips=[{"ip_address": "10.10.0.1"}]), 400, "InvalidIpForNetwork"),
    (PORTS, port(fixed_ips=[{"ip_address": "10.9.0.0"}]), 400, "InvalidIpForNetwork"),
    (PORTS, port(fixed_ips=[{"ip_address": "10.9.0.0/24"}]), 400, "InvalidInput"),
    (PORTS, port(fixed_ips=[{"subnet_id": NOBODY}]), 404, "SubnetNotFound"),
    (
        PORTS,
        port(fixed_ips=[{"subnet_id": "{subnet}", "ip_address": "10.10.0.1"}]),
        400,
        "InvalidIpForSubnet",
    ),
    (PORTS, port(fixed_ips=[{}]), 400, "HTTPBadRequest"),
    (PORTS, port(fixed_ips=[{"ip_address": "10.9.0.9"}] * 2), 400, "InvalidInput"),
    (PORTS, port(allowed_address_pairs=[{"ip_address": "x"}]), 400, "InvalidInput"),
    (PORTS, port(allowed_address_pairs=[{"mac_address": "02:00:00:00:00:01"}]), 400, "HTTPBadRequest"),
    (
        PORTS,
        port(allowed_address_pairs=[{"ip_address": "10.9.0.9", "mac_address": "y"}]),
        400,
        "InvalidInput",
    ),
    (
        PORTS,
        port(port_security_enabled=False, security_groups=["{group}"]),
        409,
        "PortSecurityAndIPRequiredForSecurityGroups",
    ),
    (
        PORTS,
        port(port_security_enabled=False, allowed_address_pairs=[{"ip_address": "10.9.0.9"}]),
        409,
        "AddressPairAndPortSecurityRequired",
    ),
    (PORTS, port(admin_state_up="yes"), 400, "HTTPBadRequest"),
    (PORTS, port(**{"binding:vnic_type": "direct"}), 400, "HTTPBadRequest"),
    (PORTS, port(name="a\u0007b"), 400, "InvalidInput"),
    # groups
    (GROUPS, {"security_group": {"name": "default"}}, 409, "SecurityGroupDefaultAlreadyExists"),
    (GROUPS, {"security_group": {"name": LONG}}, 400, "HTTPBadRequest"),
    (GROUPS, {"security_group": {"name": 7}}, 400, "HTTPBadRequest"),
    (GROUPS, {"security_group": {"stateful": "maybe"}}, 400, "HTTPBadRequest"),
    (GROUPS, {"security_group": []}, 400, "HTTPBadRequest"),
    (GROUPS, {"security_groups": []}, 400, "HTTPBadRequest"),
    (GROUPS, {"group": {}}, 400, "HTTPBadRequest"),
    (GROUPS, [], 400, "HTTPBadRequest"),
    (GROUPS, None, 400, "HTTPBadRequest"),
    # address groups
    (ADDRESS_GROUPS, {"address_group": {"addresses": ["10.0.0.0/99"]}}, 400, "InvalidInput"),
    (ADDRESS_GROUPS, {"address_group": {"addresses": "10.0.0.0/8"}}, 400, "HTTPBadRequest"),
    # networks and subnets
    (NETWORKS, {"network": {"provider:segmentation_id": 4095}}, 400, "InvalidInput"),
    (NETWORKS, {"network": {"provider:segmentation_id": 99}}, 409, "VlanIdInUse"),
    (NETWORKS, {"network": {"provider:network_type": "vxlan"}}, 400, "HTTPBadRequest"),
    (NETWORKS, {"network": {"provider:network_type": "vlan"}}, 400, "InvalidInput"),
    (NETWORKS, {"network": {"admin_state_up": False}}, 400, "InvalidInput"),
    (SUBNETS, {"subnet": {"network_id": "{network}"}}, 400, "HTTPBadRequest"),
    (SUBNETS, {"subnet": {"network_id": NOBODY, "cidr": "10.8.0.0/24"}}, 404, "NetworkNotFound"),
    (SUBNETS, {"subnet": {"network_id": "{network}", "cidr": "10.9.0.0/24"}}, 400, "InvalidInput"),
    (SUBNETS, {"subnet": {"network_id": "{network}", "cidr": "10.9.0.0/25"}}, 400, "InvalidInput"),
    (
        SUBNETS,
        {"subnet": {"network_id": "{network}", "cidr": "10.8.0.0/24", "ip_version": 6}},
        400,
        "InvalidInput",
    ),
    (
        SUBNETS,
        {"subnet": {"network_id": "{network}", "cidr": "10.8.0.0/24", "gateway_ip": "10.7.0.1"}},
        400,
        "InvalidInput",
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "kind"), POSTS)
def test_creation(world: World, path: str, body: Any, status: int, kind: str | None) -> None:
    before = world.api.everything()
    answer = world.api("POST", f"/v2.0/{path}", world.fill(body))
    assert (answer.status, answer.kind) == (status, kind or answer.kind), answer
    assert answer.message
    assert world.api.everything() == before


CHANGES: list[tuple[str, str, Any, int, str]] = [
    (
        "PUT",
        "security-groups/{default}",
        {"security_group": {"name": "x"}},
        409,
        "SecurityGroupCannotUpdateDefault",
    ),
    (
        "PUT",
        "security-groups/{group}",
        {"security_group": {"name": "default"}},
        409,
        "SecurityGroupCannotUpdateDefault",
    ),
    ("PUT", "security-groups/{group}", {"security_group": {"project_id": "x"}}, 400, "HTTPBadRequest"),
    ("PUT", "security-groups/{group}", {"port": {}}, 400, "HTTPBadRequest"),
    ("PUT", f"security-groups/{NOBODY}", {"security_group": {}}, 404, "SecurityGroupNotFound"),
    ("PUT", "security-group-rules/{rule}", {"security_group_rule": {}}, 405, "HTTPMethodNotAllowed"),
    ("PATCH", "security-groups/{group}", {}, 405, "HTTPMethodNotAllowed"),
    ("DELETE", "security-groups", None, 405, "HTTPMethodNotAllowed"),
    ("DELETE", f"ports/{NOBODY}", None, 404, "PortNotFound"),
    ("DELETE", "networks/{network}", None, 409, "NetworkInUse"),
    ("DELETE", "subnets/{subnet}", None, 409, "SubnetInUse"),
    ("DELETE", "address-groups/{addresses}", None, 409, "AddressGroupInUse"),
    ("DELETE", "security-groups/{default}", None, 409, "SecurityGroupInUse"),
    ("PUT", "ports/{spare}", {"port": {"network_id": "{other}"}}, 400, "HTTPBadRequest"),
    ("PUT", "ports/{spare}", {"port": {"mac_address": "02:00:00:00:09:01"}}, 409, "MacAddressInUse"),
    (
        "PUT",
        "ports/{spare}",
        {"port": {"fixed_ips": [{"ip_address": "{address}"}]}},
        409,
        "IpAddressAlreadyAllocated",
    ),
    ("PUT", "ports/{spare}", {"port": {"security_groups": [NOBODY]}}, 404, "SecurityGroupNotFound"),
    (
        "PUT",
        "ports/{spare}",
        {"port": {"port_security_enabled": False}},
        409,
        "PortSecurityAndIPRequiredForSecurityGroups",
    ),
    ("PUT", "address-groups/{addresses}/add_addresses", {"addresses": ["x"]}, 400, "InvalidInput"),
    ("PUT", "address-groups/{addresses}/add_addresses", {}, 400, "HTTPBadRequest"),
    (
        "PUT",
        "address-groups/{addresses}/remove_addresses",
        {"addresses": ["198.51.100.1"]},
        404,
        "AddressesNotFound",
    ),
    ("PUT", "security-groups/{group}/tags", {"tags": ["a,b"]}, 400, "HTTPBadRequest"),
    ("PUT", "security-groups/{group}/tags", {"tags": "a"}, 400, "HTTPBadRequest"),
    ("PUT", "security-groups/{group}/tags/" + "x" * 61, None, 400, "HTTPBadRequest"),
    ("DELETE", "security-groups/{group}/tags/none", None, 404, "TagNotFound"),
    ("PUT", "security-groups/{group}/colours", {}, 404, "HTTPNotFound"),
    ("GET", "security-groups?colour=red", None, 400, "HTTPBadRequest"),
    ("GET", "security-groups?limit=-1", None, 400, "HTTPBadRequest"),
    ("GET", "security-groups?sort_key=colour", None, 400, "HTTPBadRequest"),
    ("GET", "security-groups?sort_key=name&sort_dir=up", None, 400, "HTTPBadRequest"),
    ("GET", f"security-groups?marker={NOBODY}", None, 404, "HTTPNotFound"),
    ("GET", "firewalls", None, 404, "HTTPNotFound"),
    ("POST", "quotas", {"quota": {"port": 1}}, 405, "HTTPMethodNotAllowed"),
    ("PUT", "quotas/x", {"port": 1}, 400, "HTTPBadRequest"),
    ("PUT", "quotas/x", {"quota": {"router": 1}}, 400, "HTTPBadRequest"),
    *(
        ("PUT", "quotas/x", {"quota": {"port": value}}, 400, "HTTPBadRequest")
        for value in (-2, 2**31, "many", "", None, True, 1.5, [1])
    ),
    ("PUT", "quotas/" + "x" * 256, {"quota": {"port": 1}}, 400, "HTTPBadRequest"),
    ("PUT", "quotas/a%00b", {"quota": {"port": 1}}, 400, "HTTPBadRequest"),
    ("DELETE", "quotas/x", None, 404, "TenantQuotaNotFound"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "kind"), CHANGES)
def test_change(world: World, method: str, path: str, body: Any, status: int, kind: str) -> None:
    before = world.api.everything()
    answer = world.api(method, f"/v2.0/{world.fill(path)}", None if body is None else world.fill(body))
    assert (answer.status, answer.kind) == (status, kind), answer
    assert world.api.everything() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"security_group": {"name": NaN}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"security_group": ' * 5000,
        b'{"security_group": {"name": "\\ud800"}}',
        b'"text"',
        b"1e999",
    ],
)
def test_no_json(world: World, body: bytes) -> None:
    before = world.api.everything()
    assert world.api("POST", "/v2.0/security-groups", body).status == 400
    assert world.api.everything() == before


def test_huge_bodies(world: World) -> None:
    before = world.api.everything()
    body = b'{"security_group": {"description": "' + b"x" * (1 << 20) + b'"}}'
    answer = world.api("POST", "/v2.0/security-groups", body)
    assert answer.status == 413
    claimed = world.api("POST", "/v2.0/security-groups", b"{}", Content_Length=str(1 << 40))
    assert claimed.status == 413
    too_many: Any = {"security_groups": [{}] * 1001}
    assert world.api("POST", "/v2.0/security-groups", too_many).status == 400
    assert world.api.everything() == before


def test_one_invalid_object_refuses_the_whole_request(world: World) -> None:
    before = world.api.everything()
    good = world.fill(rule(**TCP, port_range_min=80, port_range_max=80))["security_group_rule"]
    bad = {**good, "remote_group_id": NOBODY}
    answer = world.api("POST", f"/v2.0/{RULES}", {"security_group_rules": [good, bad]})
    assert (answer.status, answer.kind) == (404, "SecurityGroupNotFound")
    twice = world.api("POST", f"/v2.0/{RULES}", {"security_group_rules": [good, good]})
    assert (twice.status, twice.kind) == (409, "SecurityGroupRuleExists")
    assert world.api.everything() == before


def test_stale_revisions(world: World) -> None:
    path = f"/v2.0/security-groups/{world.ids['group']}"
    revision = world.api("GET", path).one["revision_number"]
    change = {"security_group": {"description": f"since {revision}"}}
    answer = world.api("PUT", path, change, If_Match=f"revision_number={revision}")
    assert answer.status == 200
    assert answer.one["revision_number"] == revision + 1
    before = world.api.everything()
    for method, body in (("PUT", {"security_group": {"description": "late"}}), ("DELETE", None)):
        stale = world.api(method, path, body, If_Match=f"revision_number={revision}")
        assert (stale.status, stale.kind) == (412, "RevisionNumberConstraintFailed")
        assert world.api(method, path, body, If_Match='"etag"').status == 400
    assert world.api.everything() == before


COMPUTE = [
    ("POST", "servers/nobody/action", {"addSecurityGroup": {"name": "wrong"}}, 404, "itemNotFound"),
    ("POST", "servers/{port}/action", {"addSecurityGroup": {"name": "nowhere"}}, 404, "itemNotFound"),
    ("POST", "servers/{port}/action", {"removeSecurityGroup": {"name": "wrong"}}, 404, "itemNotFound"),
    ("POST", "servers/{port}/action", {"addSecurityGroup": {}}, 400, "badRequest"),
    ("POST", "servers/{port}/action", {"addSecurityGroup": []}, 400, "badRequest"),
    ("POST", "servers/{port}/action", {"reboot": {}}, 400, "badRequest"),
    ("POST", "servers/{port}/action", [], 400, "badRequest"),
    (
        "POST",
        "servers/{port}/action",
        {"addSecurityGroup": {"name": "wrong"}, "removeSecurityGroup": {"name": "wrong"}},
        400,
        "badRequest",
    ),
    ("POST", "servers/{port}/os-interface", {"interfaceAttachment": {"port_id": 5}}, 400, "badRequest"),
    (
        "POST",
        "servers/{port}/os-interface",
        {"interfaceAttachment": {"port_id": NOBODY}},
        404,
        "itemNotFound",
    ),
    ("DELETE", "servers/{port}/os-interface/{spare}", None, 404, "itemNotFound"),
    ("DELETE", "servers/{port}", None, 405, "badMethod"),
    ("GET", "flavors/x", None, 404, "itemNotFound"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "name"), COMPUTE)
def test_compute(world: World, method: str, path: str, body: Any, status: int, name: str) -> None:
    before = world.api.everything()
    answer = world.api(
        method, f"/compute/v2.1/{world.fill(path)}", None if body is None else world.fill(body)
    )
    assert (answer.status, answer.document[name]["code"]) == (status, status)
    assert world.api.everything() == before
