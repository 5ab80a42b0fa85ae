"""Checks of single policy objects: types, ranges, syntax, and fields that exclude each other.

Limits and field names are those of the Neutron API reference. Checks that involve other objects
(duplicate names, missing references) are made elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from itertools import pairwise
from typing import Any, NamedTuple

from flows.policy.objects import (
    FIRST_RULE_NUMBER,
    HEADER_FIELDS,
    KINDS,
    NO_META,
    REMOTE_FIELDS,
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

ICMP = 1
ICMPV6 = 58
WITH_PORTS = frozenset({6, 17, 132})
"""TCP, UDP, SCTP: the protocols whose ports Open vSwitch can match (ovs-fields(7), IANA's numbers)."""
PORTS_UNSEEN = {33: "dccp", 136: "udplite"}
"""Protocols with ports that Open vSwitch cannot match. Neutron accepts rules with such ports."""

MAX_RULE_NUMBER = 2**32 - 1
"""A rule's number is a conjunction id, which has 32 bits (ovs-fields(7), `conj_id`)."""

MOST_CONNECTIONS = 0x7FFFFFFF
"""The highest limit that Open vSwitch accepts for a conntrack zone."""
CHECKED_ETHERTYPES = frozenset({0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x9100})
"""Types that a port cannot permit: IP and ARP are always checked, and VLAN tags select networks."""
LONGEST_TEXT = 255
"""The most characters in names, descriptions, tags and device ids, as in Neutron."""

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Problem(NamedTuple):
    """What is wrong with an object's `field`. The text of `reason` follows the field's name."""

    field: str
    reason: str


def check(obj: PolicyObject) -> list[Problem]:
    """All problems of the object. If the list is empty, the object can be stored and compiled."""
    kind = type(obj)
    problems = list(_CHECKS[kind](obj))
    for name in FLAGS[kind]:
        problems += _flag(name, getattr(obj, name))
    return problems


FLAGS = {kind: tuple(field.name for field in fields(kind) if field.type == "bool") for kind in KINDS}
"""The fields of each kind that are true or false. They need no check of their own."""


def _check_network(network: Network) -> Iterator[Problem]:
    yield from _identifier("id", network.id)
    yield from _text("name", network.name)
    if network.segmentation_id is not None and not _integer(network.segmentation_id, 1, 4094):
        yield Problem("segmentation_id", f"{network.segmentation_id!r} is no VLAN id from 1 to 4094")
    yield from _prefixes("subnets", network.subnets)
    if network.address_scope is not None:
        yield from _identifier("address_scope", network.address_scope)
    if not isinstance(network.egress_default, EgressDefault):
        yield _not_one_of("egress_default", network.egress_default, EgressDefault)
    yield from _reference("default_group", network.default_group)
    if network.connection_limit is not None and not _integer(network.connection_limit, 1, MOST_CONNECTIONS):
        yield Problem("connection_limit", f"{network.connection_limit!r} is not from 1 to {MOST_CONNECTIONS}")
    yield from _subnet_details(network)
    yield from _meta(network.meta)


def _subnet_details(network: Network) -> Iterator[Problem]:
    """Problems of subnet details. Their fields contain the subnet's position in the network's `subnets`."""
    seen: set[Prefix] = set()
    for detail in network.subnet_details:
        if detail.prefix not in network.subnets:
            yield Problem("subnet_details", f"{detail.prefix} is not among the network's subnets")
        elif detail.prefix in seen:
            yield Problem("subnet_details", f"{detail.prefix} is described twice")
        else:
            place = f"subnets[{network.subnets.index(detail.prefix)}]"
            for field, reason in _subnet_detail(detail):
                yield Problem(f"{place}.{field}", reason)
        seen.add(detail.prefix)


def _subnet_detail(detail: SubnetDetail) -> Iterator[Problem]:
    yield from _text("name", detail.name)
    yield from _text("description", detail.description, lines=True)
    yield from _flag("enable_dhcp", detail.enable_dhcp)
    for tag in detail.tags:
        yield from _identifier("tags", tag)
    if detail.gateway is not None and not (detail.gateway.is_host and detail.prefix.covers(detail.gateway)):
        yield Problem("gateway_ip", f"{detail.gateway} is no address of subnet {detail.prefix}")
    for server in detail.dns_nameservers:
        if not server.is_host:
            yield Problem("dns_nameservers", f"{server} is a CIDR, not an address")
    yield from _pools(detail)


def _pools(detail: SubnetDetail) -> Iterator[Problem]:
    last = detail.prefix.value | ~detail.prefix.mask & (1 << detail.prefix.bits) - 1
    for first, end in detail.pools:
        if not detail.prefix.value <= first <= end <= last:
            yield Problem("allocation_pools", f"a pool is no range of addresses of subnet {detail.prefix}")
    for one, two in pairwise(sorted(detail.pools)):
        if two[0] <= one[1]:
            yield Problem("allocation_pools", f"pools of subnet {detail.prefix} overlap")


def _check_group(group: SecurityGroup) -> Iterator[Problem]:
    yield from _identifier("id", group.id)
    yield from _text("name", group.name)
    yield from _meta(group.meta)


def _check_address_group(group: AddressGroup) -> Iterator[Problem]:
    yield from _identifier("id", group.id)
    yield from _text("name", group.name)
    yield from _prefixes("addresses", group.addresses)
    yield from _meta(group.meta)


def _check_port(port: Port) -> Iterator[Problem]:
    yield from _identifier("id", port.id)
    yield from _text("name", port.name)
    yield from _identifier("network_id", port.network_id)
    yield from _mac("mac_address", port.mac)
    yield from _identifier("iface_id", port.iface_id)
    yield from _fixed_ips(port.fixed_ips)
    for group in port.security_groups:
        yield from _identifier("security_groups", group)
    yield from _address_pairs(port.allowed_address_pairs)
    for ethertype in port.permitted_ethertypes:
        if not _integer(ethertype, 0x0600, 0xFFFF) or ethertype in CHECKED_ETHERTYPES:
            shown = f"{ethertype:#06x}" if type(ethertype) is int else repr(ethertype)
            yield Problem("permitted_ethertypes", f"{shown} is no Ethernet type that can be permitted")
    yield from _text("device_id", port.device_id)
    yield from _text("device_owner", port.device_owner)
    yield from _unsecured(port)
    yield from _meta(port.meta)


def _unsecured(port: Port) -> Iterator[Problem]:
    """Without port security nothing is filtered, so groups and address pairs would have no effect."""
    if port.port_security_enabled is False:
        for field in ("security_groups", "allowed_address_pairs"):
            if getattr(port, field):
                yield Problem(field, "must be empty while port_security_enabled is false")


def _check_rule(rule: Rule) -> Iterator[Problem]:
    yield from _identifier("id", rule.id)
    if rule.number != 0 and not _integer(rule.number, FIRST_RULE_NUMBER, MAX_RULE_NUMBER):
        yield Problem(
            "number", f"{rule.number!r} is neither 0 nor from {FIRST_RULE_NUMBER} to {MAX_RULE_NUMBER}"
        )
    yield from _identifier("security_group_id", rule.group_id)
    if not isinstance(rule.direction, Direction):
        yield _not_one_of("direction", rule.direction, Direction)
    if not isinstance(rule.ethertype, Ethertype):
        yield _not_one_of("ethertype", rule.ethertype, Ethertype)
    for name, highest, meaning in HEADER_FIELDS:
        yield from _within(name, getattr(rule, name), highest, meaning)
    yield from _icmp_family(rule)
    yield from _ports(rule)
    yield from _remote(rule)
    yield from _text("name", rule.name)
    yield from _meta(rule.meta)


def _icmp_family(rule: Rule) -> Iterator[Problem]:
    """ICMP has another protocol number for each ethertype."""
    if rule.protocol == ICMP and rule.ethertype is Ethertype.IPV6:
        yield Problem("protocol", f"{ICMP} (icmp) is for IPv4; for IPv6 use {ICMPV6} (ipv6-icmp)")
    elif rule.protocol == ICMPV6 and rule.ethertype is Ethertype.IPV4:
        yield Problem("protocol", f"{ICMPV6} (ipv6-icmp) is for IPv6; for IPv4 use {ICMP} (icmp)")


def _ports(rule: Rule) -> Iterator[Problem]:
    low, high = rule.port_range_min, rule.port_range_max
    if low is None and high is None:
        return
    if rule.protocol in (ICMP, ICMPV6):
        yield from _within("port_range_min", low, 255, "ICMP type")
        yield from _within("port_range_max", high, 255, "ICMP code")
        if low is None:
            yield Problem("port_range_min", "an ICMP code needs a type")
    elif rule.protocol in WITH_PORTS:
        faults = [
            *_within("port_range_min", low, 65535, "port"),
            *_within("port_range_max", high, 65535, "port"),
        ]
        yield from faults or _ordered(low, high)
    else:
        yield Problem("port_range_min" if low is not None else "port_range_max", why_no_ports(rule.protocol))


def why_no_ports(protocol: int | None) -> str:
    """The reason against ports in a rule whose protocol (None: any) does not allow them."""
    if protocol in PORTS_UNSEEN:
        return f"the switch cannot see the ports of {PORTS_UNSEEN[protocol]}; only those of tcp, udp and sctp"
    named = "any protocol" if protocol is None else f"protocol {protocol}"
    return f"{named} has no ports; name one that has, such as tcp or udp"


def _ordered(low: int | None, high: int | None) -> Iterator[Problem]:
    if low is None:
        yield Problem("port_range_min", "is missing; a single port is given as both ends of the range")
    elif high is None:
        yield Problem("port_range_max", "is missing; a single port is given as both ends of the range")
    elif low > high:
        yield Problem("port_range_max", f"{high} is below port_range_min {low}")


def _within(field: str, value: int | None, highest: int, what: str) -> Iterator[Problem]:
    if value is not None and not _integer(value, 0, highest):
        yield Problem(field, f"{value!r} is no {what} from 0 to {highest}")


def _remote(rule: Rule) -> Iterator[Problem]:
    remotes = {field: getattr(rule, field) for field in REMOTE_FIELDS}
    given = [field for field, value in remotes.items() if value is not None]
    for field in given[1:]:
        yield Problem(field, f"cannot be given together with {given[0]}")
    for field in given:
        if field != "remote_ip_prefix":
            yield from _identifier(field, remotes[field])
    prefix = rule.remote_ip_prefix
    if prefix is None:
        return
    fault = _prefix_fault(prefix)
    if fault:
        yield Problem("remote_ip_prefix", fault)
    elif prefix.version != getattr(rule.ethertype, "version", None):
        yield Problem("remote_ip_prefix", f"{prefix} is no {rule.ethertype} address or CIDR")


def _prefixes(field: str, prefixes: Iterable[Prefix]) -> Iterator[Problem]:
    seen: set[Prefix] = set()
    for prefix in prefixes:
        fault = _prefix_fault(prefix)
        if fault:
            yield Problem(field, fault)
        elif prefix in seen:
            yield Problem(field, f"{prefix} is given twice")
        else:
            seen.add(prefix)


def _prefix_fault(prefix: Any) -> str:
    """Why the value is not a valid IP network; empty if it is."""
    if not isinstance(prefix, Prefix):
        return f"{prefix!r} is no IP address or CIDR"
    if prefix.version not in (4, 6):
        return f"{prefix.version!r} is no IP version"
    if not _integer(prefix.length, 0, prefix.bits):
        return f"{prefix.length!r} is no prefix length from 0 to {prefix.bits}"
    if not _integer(prefix.value, 0, (1 << prefix.bits) - 1):
        return f"{prefix.value!r} is no IPv{prefix.version} address"
    if prefix.value & ~prefix.mask:
        return f"{prefix} has host bits set"
    return ""


def _fixed_ips(addresses: tuple[Prefix, ...]) -> Iterator[Problem]:
    yield from _prefixes("fixed_ips", addresses)
    for address in addresses:
        if _prefix_fault(address):
            continue
        if not address.is_host:
            yield Problem("fixed_ips", f"{address} is a CIDR, not an address")
        elif not _is_unicast(address):
            yield Problem("fixed_ips", f"{address} is no address of a host")


def _is_unicast(address: Prefix) -> bool:
    """Whether it is neither unspecified nor multicast nor, for IPv4, in the reserved block 240.0.0.0/4."""
    if address.value == 0:
        return False
    if address.version == 4:
        return address.value >> 28 < 0xE
    return address.value >> 120 != 0xFF


def _address_pairs(pairs: tuple[AddressPair, ...]) -> Iterator[Problem]:
    field = "allowed_address_pairs"
    seen: set[AddressPair] = set()
    for pair in pairs:
        faults = [_mac_fault(pair.mac), _prefix_fault(pair.prefix)]
        yield from (Problem(field, fault) for fault in faults if fault)
        if not any(faults):
            if pair in seen:
                yield Problem(field, f"{pair.mac} with {pair.prefix} is given twice")
            seen.add(pair)


def _mac(field: str, mac: Any) -> Iterator[Problem]:
    fault = _mac_fault(mac)
    if fault:
        yield Problem(field, fault)


def _mac_fault(mac: Any) -> str:
    if not isinstance(mac, str) or not _MAC.fullmatch(mac):
        return f"{mac!r} is no MAC address written as aa:bb:cc:dd:ee:ff"
    if int(mac[:2], 16) & 1:
        return f"{mac} is a multicast address"
    if mac == "00:00:00:00:00:00":
        return f"{mac} is no address of a host"
    return ""


def _meta(meta: Meta) -> Iterator[Problem]:
    if meta is NO_META:
        return
    yield from _text("description", meta.description, lines=True)
    yield from _text("project_id", meta.project_id)
    for tag in meta.tags:
        yield from _identifier("tags", tag)
    yield from _text("created_at", meta.created_at)
    yield from _text("updated_at", meta.updated_at)
    if not _integer(meta.revision_number, 0, 2**63 - 1):
        yield Problem("revision_number", f"{meta.revision_number!r} is no number from 0")


def _reference(field: str, identifier: str | None) -> Iterator[Problem]:
    if identifier is not None:
        yield from _identifier(field, identifier)


def _identifier(field: str, value: Any) -> Iterable[Problem]:
    return (Problem(field, "must not be empty"),) if value == "" else _text(field, value)


def _text(field: str, value: Any, *, lines: bool = False) -> Iterable[Problem]:
    """Problems of a text for databases, terminals and logs; `lines` allows line breaks and tabs.

    Returns a tuple because a generator is slower: an object has about a dozen texts, nearly all of them
    plain, and an edit may have 10,000 objects.
    """
    if not isinstance(value, str):
        return (Problem(field, f"{value!r} is no text"),)
    if len(value) > LONGEST_TEXT:
        return (Problem(field, f"has {len(value)} characters, more than {LONGEST_TEXT}"),)
    if value.isascii() and value.isprintable():
        return ()
    allowed = "\n\t" if lines else ""
    if any(unicodedata.category(each) in ("Cc", "Cs") and each not in allowed for each in value):
        return (Problem(field, f"{value!r} has control characters"),)
    return ()


def _flag(field: str, value: Any) -> Iterable[Problem]:
    return () if isinstance(value, bool) else (Problem(field, f"{value!r} is neither true nor false"),)


def _integer(value: Any, lowest: int, highest: int) -> bool:
    """Whether the value is an integer in the inclusive range; True and False do not count as integers."""
    return type(value) is int and lowest <= value <= highest


def _not_one_of(field: str, value: Any, choices: Iterable[str]) -> Problem:
    return Problem(field, f"{value!r} is none of {', '.join(choices)}")


_CHECKS: dict[type[PolicyObject], Callable[[Any], Iterator[Problem]]] = {
    Network: _check_network,
    SecurityGroup: _check_group,
    AddressGroup: _check_address_group,
    Rule: _check_rule,
    Port: _check_port,
}
