from __future__ import annotations

import ipaddress
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.policy import validate
from flows.policy.index import link_local
from flows.policy.objects import (
    AddressPair,
    Change,
    Direction,
    Ethertype,
    Meta,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    permission_of,
    without_remote,
    without_service,
)
from tests.unit.strategies import policies

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@st.composite
def networks(draw: st.DrawFn) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    address = draw(ADDRESSES)
    length = draw(st.integers(0, address.max_prefixlen))
    return ipaddress.ip_network((address, length), strict=False)


@given(networks())
def test_prefix_reads_what_the_standard_library_reads(network: ipaddress.IPv4Network) -> None:
    prefix = Prefix.parse(str(network))
    assert (prefix.version, prefix.value) == (network.version, int(network.network_address))
    assert (prefix.length, prefix.mask) == (network.prefixlen, int(network.netmask))
    assert prefix.is_host == (network.prefixlen == network.max_prefixlen)
    assert Prefix.parse(str(prefix)) == prefix


@given(networks(), networks())
def test_prefix_covers_as_the_standard_library_says(
    one: ipaddress.IPv4Network, other: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> None:
    expected = isinstance(other, type(one)) and other.subnet_of(one)
    assert Prefix.parse(str(one)).covers(Prefix.parse(str(other))) == expected


@given(networks(), st.data())
def test_prefix_covers_what_is_inside(network: ipaddress.IPv4Network, data: st.DataObject) -> None:
    length = data.draw(st.integers(network.prefixlen, network.max_prefixlen))
    offset = data.draw(st.integers(0, network.num_addresses - 1))
    inside = ipaddress.ip_network((network[offset], length), strict=False)
    assert Prefix.parse(str(network)).covers(Prefix.parse(str(inside)))


@given(ADDRESSES)
def test_an_address_is_a_host_prefix(address: ipaddress.IPv4Address) -> None:
    bits = address.max_prefixlen
    assert (
        Prefix.parse(str(address))
        == Prefix.parse(f"{address}/{bits}")
        == (address.version, int(address), bits)
    )


def test_equal_prefixes_are_equal_in_any_spelling() -> None:
    spellings = ["2001:db8::/32", "2001:DB8::/32", "2001:0db8:0:0::/32", "2001:db8:0:0:0:0:0:0/32"]
    assert len(set(map(Prefix.parse, spellings))) == 1
    assert Prefix.parse("1.1.1.1") == Prefix.parse("1.1.1.1/32")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/24",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/ 8",
        "10.0.0.0/٨",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/8/8",
        "10.0.0",
        "10",
        "010.0.0.1",
        "0x0a.0.0.1",
        "10.0.0.256",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1\n",
        "2001:db8::/129",
        "2001:db8:::1",
        "fe80::1%eth0",
        "::ffff:10.0.0.1/200",
        "example.org",
    ],
)
def test_prefix_refuses_what_is_neither_address_nor_cidr(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an IP address or CIDR|has no prefix length"):
        Prefix.parse(text)


def test_an_error_about_host_bits_names_the_network() -> None:
    with pytest.raises(
        ValueError, match=r"'10\.0\.0\.1/24' has host bits set; did you mean 10\.0\.0\.0/24\?"
    ):
        Prefix.parse("10.0.0.1/24")
    with pytest.raises(ValueError, match="host bits"):
        Prefix.parse("2001:db8::1/64")


@pytest.mark.parametrize(
    ("mac", "address"),
    [
        ("02:00:00:00:00:01", "fe80::ff:fe00:1"),
        ("00:00:00:00:00:01", "fe80::200:ff:fe00:1"),
        ("fa:16:3e:12:34:56", "fe80::f816:3eff:fe12:3456"),
        ("52:54:00:ab:cd:ef", "fe80::5054:ff:feab:cdef"),
    ],
)
def test_link_local_addresses(mac: str, address: str) -> None:
    assert link_local(mac) == Prefix.parse(address)


def test_a_change_knows_what_it_is_about() -> None:
    network = Network("n", "n")
    for change in (Change(None, network), Change(network, None), Change(network, network)):
        assert (change.kind, change.id) == (Network, "n")


@given(policies())
def test_random_policies_are_valid(objects: list[PolicyObject]) -> None:
    """Tests of the compiler must use only policies that can be stored."""
    assert not [(each, validate.check(each)) for each in objects if validate.check(each)]


def test_an_address_pair_is_a_source_of_its_own() -> None:
    pair = AddressPair("02:00:00:00:00:09", Prefix.parse("10.0.0.0/8"))
    port = Port("p", "p", "n", "02:00:00:00:00:01", "p", allowed_address_pairs=(pair,))
    assert not validate.check(port)


RULE = Rule("r1", 16, "g1", Direction.INGRESS, Ethertype.IPV4)
OTHER_VALUES: dict[str, Any] = {
    "id": "r2",
    "number": 17,
    "name": "web",
    "meta": Meta(description="web"),
    "group_id": "g2",
    "direction": Direction.EGRESS,
    "ethertype": Ethertype.IPV6,
    "remote_ip_prefix": Prefix.parse("192.0.2.0/24"),
}
SAME_PERMISSION = {"id", "number", "name", "meta", "group_id"}


@pytest.mark.parametrize("name", [field.name for field in fields(Rule)])
def test_rules_that_differ_in_what_they_match_permit_different_things(name: str) -> None:
    other = replace(RULE, **{name: OTHER_VALUES.get(name, 7)})
    assert (permission_of(other) == permission_of(RULE)) == (name in SAME_PERMISSION)


def test_without_service_and_remote_a_rule_matches_all_of_its_direction_and_ethertype() -> None:
    said: dict[str, Any] = {
        field.name: OTHER_VALUES.get(field.name, 7) for field in fields(Rule) if field.default is None
    }
    assert said.keys() >= {"protocol", "port_range_min", "port_range_max", "remote_group_id"}
    assert without_remote(without_service(replace(RULE, **said))) == RULE
