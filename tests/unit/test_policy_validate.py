from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flows.policy.objects import (
    AddressGroup,
    AddressPair,
    Direction,
    EgressDefault,
    Ethertype,
    Meta,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
    SubnetDetail,
)
from flows.policy.validate import FLAGS, check


def prefix(text: str) -> Prefix:
    return Prefix.parse(text)


PAIR = AddressPair("02:00:00:00:00:02", prefix("10.0.0.0/24"))
NETWORK = Network(
    "n", "blue", 100, (prefix("10.0.0.0/24"), prefix("2001:db8::/64")), "corp", default_group="g"
)
_NET6 = prefix("2001:db8::/64")
DETAIL = SubnetDetail(_NET6, gateway=prefix("2001:db8::1"), pools=((_NET6.value + 9, _NET6.value + 19),))
WRONG_DETAILS: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": "bell \a"}),
    ("enable_dhcp", {"enable_dhcp": "yes"}),
    ("tags", {"tags": frozenset({""})}),
    ("gateway_ip", {"gateway": prefix("2001:db9::1")}),
    ("gateway_ip", {"gateway": prefix("10.0.0.1")}),
    ("gateway_ip", {"gateway": _NET6}),
    ("dns_nameservers", {"dns_nameservers": (prefix("192.0.2.0/24"),)}),
    ("allocation_pools", {"pools": ((1, 2),)}),
    ("allocation_pools", {"pools": ((_NET6.value + 2, _NET6.value + 1),)}),
    ("allocation_pools", {"pools": ((_NET6.value + 1, _NET6.value + 5), (_NET6.value + 5, _NET6.value + 9))}),
]
GROUP = SecurityGroup("g", "web")
ADDRESSES = AddressGroup("a", "monitors", frozenset({prefix("192.0.2.0/24"), prefix("::/0")}))
PORT = Port("p", "web1", "n", "02:00:00:00:00:01", "web1", (prefix("10.0.0.1"),), frozenset({"g"}), (PAIR,))
RULE = Rule("r", 16, "g", Direction.INGRESS, Ethertype.IPV4, 6, 80, 81, prefix("10.0.0.0/8"))
RULE6 = Rule("r", 0, "g", Direction.EGRESS, Ethertype.IPV6, 58, 128, 0, remote_group_id="g")
UNFILTERED = replace(PORT, port_security_enabled=False, security_groups=frozenset(), allowed_address_pairs=())


def forged(obj: PolicyObject, **values: Any) -> PolicyObject:
    """The object with values of any type, as a careless caller may make it."""
    return replace(obj, **values)


@pytest.mark.parametrize(
    "obj",
    [
        NETWORK,
        Network("n", ""),
        replace(NETWORK, segmentation_id=1, egress_default=EgressDefault.OPEN_UNTIL_RULE),
        replace(NETWORK, segmentation_id=4094),
        GROUP,
        replace(
            GROUP,
            name="Zürich 🏢",
            meta=Meta("two\nlines\tand a tab", "p", frozenset({"x"}), revision_number=3),
        ),
        ADDRESSES,
        PORT,
        UNFILTERED,
        replace(PORT, fixed_ips=()),
        replace(PORT, fixed_ips=(prefix("fe80::1"), prefix("223.255.255.254"))),
        RULE,
        RULE6,
        replace(RULE, number=2**32 - 1),
        replace(RULE, port_range_min=0, port_range_max=65535),
        replace(RULE, port_range_min=80, port_range_max=80),
        replace(RULE, port_range_min=None, port_range_max=None),
        replace(RULE, protocol=None, port_range_min=None, port_range_max=None, remote_ip_prefix=None),
        replace(RULE, protocol=47, port_range_min=None, port_range_max=None),
        replace(RULE, protocol=1, port_range_min=255, port_range_max=None),
        replace(RULE, protocol=1, port_range_min=8, port_range_max=0),
        *(replace(RULE, protocol=number) for number in (17, 132)),
        *(replace(RULE, protocol=number, port_range_min=None, port_range_max=None) for number in (33, 136)),
        replace(NETWORK, subnet_details=(DETAIL,)),
    ],
)
def test_valid_objects_have_no_problems(obj: PolicyObject) -> None:
    assert check(obj) == []


@pytest.mark.parametrize(
    ("obj", "fields"),
    [
        (forged(NETWORK, id=""), ["id"]),
        (forged(NETWORK, name=None), ["name"]),
        (forged(NETWORK, name="x" * 256), ["name"]),
        (forged(NETWORK, name="two\nlines"), ["name"]),
        (forged(NETWORK, name="\x1b[31m"), ["name"]),
        (forged(NETWORK, name="\ud800"), ["name"]),
        (forged(NETWORK, segmentation_id=0), ["segmentation_id"]),
        (forged(NETWORK, segmentation_id=4095), ["segmentation_id"]),
        (forged(NETWORK, segmentation_id="100"), ["segmentation_id"]),
        (forged(NETWORK, segmentation_id=True), ["segmentation_id"]),
        (forged(NETWORK, subnets=("10.0.0.0/24",)), ["subnets"]),
        (forged(NETWORK, subnets=(prefix("10.0.0.0/24"),) * 2), ["subnets"]),
        (forged(NETWORK, subnets=(Prefix(5, 0, 0),)), ["subnets"]),
        (forged(NETWORK, subnets=(Prefix(4, 1, 24),)), ["subnets"]),
        (forged(NETWORK, subnets=(Prefix(4, 0, 33),)), ["subnets"]),
        (forged(NETWORK, subnets=(Prefix(4, 2**32, 32),)), ["subnets"]),
        (forged(NETWORK, subnets=(Prefix(6, -1, 128),)), ["subnets"]),
        (forged(NETWORK, address_scope=""), ["address_scope"]),
        (forged(NETWORK, egress_default="deny"), ["egress_default"]),
        (forged(NETWORK, default_group=""), ["default_group"]),
        *((forged(NETWORK, connection_limit=number), ["connection_limit"]) for number in (0, 2**31, True)),
        (forged(NETWORK, subnets=(), subnet_details=(DETAIL,)), ["subnet_details"]),
        (forged(NETWORK, subnet_details=(DETAIL, DETAIL)), ["subnet_details"]),
        *((forged(NETWORK, subnet_details=(replace(DETAIL, **wrong),)), [f"subnets[1].{field}"])
          for field, wrong in WRONG_DETAILS),
        (forged(GROUP, meta=Meta(description="bell \a")), ["description"]),
        (forged(GROUP, meta=Meta(description="x" * 256)), ["description"]),
        (forged(GROUP, meta=Meta(tags=frozenset({""}))), ["tags"]),
        (forged(GROUP, meta=Meta(revision_number=-1)), ["revision_number"]),
        (forged(GROUP, meta=Meta(project_id="\0")), ["project_id"]),
        (forged(GROUP, meta=Meta(created_at="\0", updated_at="\0")), ["created_at", "updated_at"]),
        (forged(ADDRESSES, addresses=frozenset({"10.0.0.1"})), ["addresses"]),
        (forged(PORT, network_id=""), ["network_id"]),
        (forged(PORT, iface_id=""), ["iface_id"]),
        (forged(PORT, mac="02:00:00:00:00:0G"), ["mac_address"]),
        (forged(PORT, mac="02:00:00:00:00:AA"), ["mac_address"]),
        (forged(PORT, mac="02-00-00-00-00-01"), ["mac_address"]),
        (forged(PORT, mac="02:00:00:00:00:01\n"), ["mac_address"]),
        (forged(PORT, mac="03:00:00:00:00:01"), ["mac_address"]),
        (forged(PORT, mac="ff:ff:ff:ff:ff:ff"), ["mac_address"]),
        (forged(PORT, mac="00:00:00:00:00:00"), ["mac_address"]),
        (forged(PORT, mac=None), ["mac_address"]),
        (forged(PORT, fixed_ips=(prefix("10.0.0.0/24"),)), ["fixed_ips"]),
        (forged(PORT, fixed_ips=(prefix("10.0.0.1"), prefix("10.0.0.1"))), ["fixed_ips"]),
        *((forged(PORT, fixed_ips=(prefix(text),)), ["fixed_ips"]) for text in
          ("0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1")),
        (forged(PORT, security_groups=frozenset({""})), ["security_groups"]),
        (forged(PORT, allowed_address_pairs=(PAIR, PAIR)), ["allowed_address_pairs"]),
        (forged(PORT, allowed_address_pairs=(PAIR._replace(mac="x"),)), ["allowed_address_pairs"]),
        *((forged(PORT, allowed_address_pairs=(pair,)), ["allowed_address_pairs"]) for pair in
          (PAIR._replace(mac="01:00:5e:00:00:01"), PAIR._replace(prefix=Prefix(4, 1, 8)))),
        *((forged(PORT, permitted_ethertypes=frozenset({number})), ["permitted_ethertypes"]) for number in
          (0x05FF, 0x0800, 0x0806, 0x86DD, 0x8100, 0x10000, "0x88cc")),
        (forged(PORT, device_id=7, device_owner=7), ["device_id", "device_owner"]),
        (forged(PORT, port_security_enabled=False), ["security_groups", "allowed_address_pairs"]),
        (forged(RULE, number=15), ["number"]),
        (forged(RULE, number=2**32), ["number"]),
        (forged(RULE, group_id=""), ["security_group_id"]),
        (forged(RULE, direction="ingress"), ["direction"]),
        (forged(RULE, ethertype="IPv4", remote_ip_prefix=None), ["ethertype"]),
        (forged(RULE, protocol=256, port_range_min=None, port_range_max=None), ["protocol"]),
        (forged(RULE, protocol="tcp", port_range_min=None, port_range_max=None), ["protocol"]),
        (forged(RULE, port_range_min=None), ["port_range_min"]),
        (forged(RULE, port_range_max=None), ["port_range_max"]),
        (forged(RULE, port_range_min=82), ["port_range_max"]),
        (forged(RULE, port_range_max=65536), ["port_range_max"]),
        (forged(RULE, port_range_min=-1), ["port_range_min"]),
        (forged(RULE, port_range_min="80"), ["port_range_min"]),
        *((forged(RULE, protocol=number), ["port_range_min"]) for number in (None, 47, 33, 136)),
        (forged(RULE, protocol=47, port_range_min=None), ["port_range_max"]),
        (forged(RULE, protocol=1, port_range_min=256, port_range_max=None), ["port_range_min"]),
        (forged(RULE, protocol=1, port_range_min=3, port_range_max=256), ["port_range_max"]),
        (forged(RULE, protocol=1, port_range_min=None, port_range_max=0), ["port_range_min"]),
        (forged(RULE, protocol=58, port_range_min=8, port_range_max=0), ["protocol"]),
        (forged(RULE6, protocol=1), ["protocol"]),
        (forged(RULE, remote_ip_prefix=prefix("::/0")), ["remote_ip_prefix"]),
        (forged(RULE6, remote_group_id=None, remote_ip_prefix=prefix("0.0.0.0/0")), ["remote_ip_prefix"]),
        (forged(RULE, remote_ip_prefix=Prefix(4, 1, 24)), ["remote_ip_prefix"]),
        (forged(RULE, remote_group_id="g"), ["remote_group_id"]),
        (forged(RULE, remote_address_group_id="a", remote_network_id="n"),
         ["remote_address_group_id", "remote_network_id"]),
        (forged(RULE6, remote_group_id=""), ["remote_group_id"]),
        (forged(RULE, name=b"x"), ["name"]),
    ],
)  # fmt: skip
def test_each_problem_names_its_field(obj: PolicyObject, fields: list[str]) -> None:
    assert [problem.field for problem in check(obj)] == fields


@pytest.mark.parametrize(
    ("obj", "field"), [(obj, field) for obj in (NETWORK, GROUP, PORT) for field in FLAGS[type(obj)]]
)
def test_a_flag_is_true_or_false(obj: PolicyObject, field: str) -> None:
    for wrong in (None, 1, "yes"):
        assert field in {problem.field for problem in check(forged(obj, **{field: wrong}))}


def test_all_problems_are_reported_at_once() -> None:
    wrong = forged(PORT, mac="x", iface_id="", fixed_ips=(prefix("::"),), admin_state_up=None)
    assert {problem.field for problem in check(wrong)} == {
        "mac_address",
        "iface_id",
        "fixed_ips",
        "admin_state_up",
    }


def test_reasons_are_readable() -> None:
    problems = check(replace(RULE, port_range_min=90)) + check(replace(RULE6, protocol=1))
    assert [str(problem.reason) for problem in problems] == [
        "81 is below port_range_min 90",
        "1 (icmp) is for IPv4; for IPv6 use 58 (ipv6-icmp)",
    ]
