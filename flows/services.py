"""A rule's service (protocol, ports, ICMP type) as flow conditions.

Every service is written twice into the same tables: for new connections (and where there are none)
on the packet's own header, so that Open vSwitch's prefix tries keep megaflows wide; for known
connections on their first packet's tuple, so that both directions are judged by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterator

from flows import fields as f
from flows import pipeline
from flows.fields import Field, Match, Term, ct_state
from flows.model import Ethertype, Rule
from flows.pipeline import VIEW

TCP, UDP, SCTP = 6, 17, 132
ICMP, ICMPV6 = 1, 58
MAX_PORT = 0xFFFF

BY_HEADER: Match = (VIEW(pipeline.BY_HEADER),)
BY_CONNECTION: Match = (VIEW(0), ct_state("-new-inv+trk"))
"""Both conditions: a stateless side looks at the header even of a packet that the other side tracked."""

_PORT_FIELDS = {TCP: f.TCP_DST, UDP: f.UDP_DST, SCTP: f.SCTP_DST}
_ICMP_FIELDS = {ICMP: (f.ICMPV4_TYPE, f.ICMPV4_CODE), ICMPV6: (f.ICMPV6_TYPE, f.ICMPV6_CODE)}

IPV4_TERM = f.ETH_TYPE(0x0800)
IPV6_TERM = f.ETH_TYPE(0x86DD)


def ethertype_term(ethertype: Ethertype) -> Term:
    """The condition that a packet is of this family."""
    return IPV4_TERM if ethertype is Ethertype.IPV4 else IPV6_TERM


def port_masks(low: int, high: int) -> Iterator[tuple[int, int]]:
    """The fewest (value, mask) pairs of 16 bits that cover the inclusive range low–high exactly."""
    while low <= high:
        size = low & -low or MAX_PORT + 1
        while size > high - low + 1:
            size >>= 1
        yield low, MAX_PORT & ~(size - 1)
        low += size


def has_service(rule: Rule) -> bool:
    """Whether the rule restricts more than the address family."""
    return rule.protocol is not None


def service_matches(rule: Rule) -> Iterator[Match]:
    """The clauses of the rule's service: together they match exactly the packets it names.

    Later fragments carry neither ports nor ICMP type, and the userspace datapath does not even give
    them their connection's. A rule that names either admits them by protocol; the receiver cannot
    use them without the first fragment, which must pass on its own. Of DCCP and UDP-Lite Open vSwitch
    sees no ports, so a rule that names some admits nothing.
    """
    assert rule.protocol is not None, "callers ask has_service first"
    family = ethertype_term(rule.ethertype)
    header = (*BY_HEADER, family, f.IP_PROTO(rule.protocol))
    tracked = (*BY_CONNECTION, family, f.CT_NW_PROTO(rule.protocol))
    if rule.port_range_min is None:
        yield header
        yield tracked
    elif rule.protocol in _PORT_FIELDS:
        yield from _port_matches(rule, header, tracked)
    elif rule.protocol in _ICMP_FIELDS:
        header_fields = _ICMP_FIELDS[rule.protocol]
        yield header + tuple(_icmp_terms(rule, header_fields))
        yield tracked + tuple(_icmp_terms(rule, (f.CT_TP_SRC, f.CT_TP_DST)))
        yield from _later_fragments(header, tracked)


def _port_matches(rule: Rule, header: Match, tracked: Match) -> Iterator[Match]:
    assert rule.port_range_min is not None and rule.port_range_max is not None
    assert rule.protocol is not None
    if (rule.port_range_min, rule.port_range_max) == (0, MAX_PORT):
        yield header
        yield tracked
        return
    field = _PORT_FIELDS[rule.protocol]
    for value, mask in port_masks(rule.port_range_min, rule.port_range_max):
        yield (*header, field(value, mask))
        yield (*tracked, f.CT_TP_DST(value, mask))
    yield from _later_fragments(header, tracked)


def _later_fragments(header: Match, tracked: Match) -> Iterator[Match]:
    later = f.IP_FRAG(f.FRAG_LATER, f.FRAG_LATER)
    yield (*header, later)
    yield (*tracked, later)


def _icmp_terms(rule: Rule, type_and_code: tuple[Field, Field]) -> Iterator[Term]:
    for field, value in zip(type_and_code, (rule.port_range_min, rule.port_range_max), strict=True):
        if value is not None:
            yield field(value)
