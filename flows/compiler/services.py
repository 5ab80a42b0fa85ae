"""A rule's service (protocol, ports, ICMP type, DSCP) as flow conditions.

Every service is written twice into the same tables. For new connections, and for packets without one, it
matches the packet's own header, so that Open vSwitch's prefix tries keep megaflows wide. For known
connections, it matches the tuple of the first packet, so that the same rule judges both directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from flows.openflow import fields as f
from flows.openflow import registers as r
from flows.openflow.fields import Field, Match, Term, ct_state
from flows.openflow.registers import VIEW
from flows.policy.objects import SERVICE_FIELDS, Ethertype, Prefix, Rule, service_of

TCP, UDP, SCTP = 6, 17, 132
ICMP, ICMPV6 = 1, 58
MAX_PORT = 0xFFFF
_DSCP = 0x3F

BY_HEADER: Match = (VIEW(r.BY_HEADER),)
BY_CONNECTION: Match = (VIEW(0), ct_state("-new-inv+trk"))
"""Both terms are needed: a stateless side matches the header even if the other side tracked the packet."""

_PORT_FIELDS = {TCP: f.TCP_DST, UDP: f.UDP_DST, SCTP: f.SCTP_DST}
_ICMP_FIELDS = {ICMP: (f.ICMPV4_TYPE, f.ICMPV4_CODE), ICMPV6: (f.ICMPV6_TYPE, f.ICMPV6_CODE)}

_ANY_SERVICE = (None,) * len(SERVICE_FIELDS)

IPV4_TERM = f.ETH_TYPE(0x0800)
IPV6_TERM = f.ETH_TYPE(0x86DD)

_LATER = f.IP_FRAG(f.FRAG_LATER, f.FRAG_LATER)
_LATER_IPV6: Match = (*BY_HEADER, IPV6_TERM, f.IP_PROTO(44), _LATER)
"""Open vSwitch reads the protocol of a later fragment as the fragment header (RFC 8200 section 4.5)."""


def ethertype_term(ethertype: Ethertype) -> Term:
    """Matches packets of this family."""
    return IPV4_TERM if ethertype is Ethertype.IPV4 else IPV6_TERM


def prefix_term(field: Field, prefix: Prefix) -> tuple[Term, ...]:
    """Match an address field against a prefix; length 0 needs no condition."""
    return (field(prefix.value, prefix.mask),) if prefix.length else ()


def dscp_match(dscp: int | None) -> Match:
    """Match the DSCP (0–63) in FLAGS; None needs no condition. A DSCP that is not known matches none."""
    if dscp is None:
        return ()
    return (r.FLAGS(r.DSCP_KNOWN | dscp << r.DSCP_BIT, r.DSCP_KNOWN | _DSCP << r.DSCP_BIT),)


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
    return service_of(rule) != _ANY_SERVICE


def service_matches(rule: Rule) -> tuple[Match, ...]:
    """The clauses of the rule's service: together they match exactly the packets that the rule names.

    Later fragments carry neither ports nor an ICMP type, and on the userspace datapath not even those of
    their connection. A rule that names ports or a type admits them by protocol. The receiver cannot use them
    without the first fragment, which must pass by its ports or type. Open vSwitch does not parse the ports
    of DCCP and UDP-Lite, so a rule that names such ports admits nothing.
    """
    known = _matches(rule.ethertype, *service_of(rule))
    if rule.protocol is None or rule.ethertype is Ethertype.IPV4:
        return known
    return (*known, (*_LATER_IPV6, *dscp_match(rule.ip_dscp)))


Bounds = tuple[int | None, int | None]
"""The two numbers that a rule may have: an inclusive range of ports, or ICMP type and code."""


@lru_cache(maxsize=1 << 14)
def _matches(
    ethertype: Ethertype, protocol: int | None, low: int | None, high: int | None, dscp: int | None
) -> tuple[Match, ...]:
    """Cached, because many rules name the same service and can share its conditions."""
    bounds = (low, high)
    common = (ethertype_term(ethertype), *dscp_match(dscp))
    if protocol is None:
        return (common,)
    header = (*BY_HEADER, *common, f.IP_PROTO(protocol))
    tracked = (*BY_CONNECTION, *common, f.CT_NW_PROTO(protocol))
    if bounds[0] is None:
        return header, tracked
    if protocol in _PORT_FIELDS:
        return tuple(_port_matches(_PORT_FIELDS[protocol], bounds, header, tracked))
    if protocol in _ICMP_FIELDS:
        header_terms = _icmp_terms(_ICMP_FIELDS[protocol], bounds)
        tracked_terms = _icmp_terms((f.CT_TP_SRC, f.CT_TP_DST), bounds)
        return header + header_terms, tracked + tracked_terms, *_later_fragments(header, tracked)
    return ()


def _port_matches(field: Field, bounds: Bounds, header: Match, tracked: Match) -> Iterator[Match]:
    low, high = bounds
    assert low is not None and high is not None
    if (low, high) == (0, MAX_PORT):
        yield header
        yield tracked
        return
    conditions = [
        (header, field),
        *(_sctp_tracked(header) if field is f.SCTP_DST else [(tracked, f.CT_TP_DST)]),
    ]
    for value, mask in port_masks(low, high):
        yield from ((*match, port(value, mask)) for match, port in conditions)
    yield from _later_fragments(header, tracked)


def _sctp_tracked(header: Match) -> list[tuple[Match, Field]]:
    """The userspace tracker has no SCTP ports: all SCTP between two hosts is one connection, with port 0.

    So every packet of a connection is matched by its own ports. In a reply, the service's port is the source.
    """
    states = ("-new-rel-rpl-inv+trk", f.SCTP_DST), ("-new-rel+rpl-inv+trk", f.SCTP_SRC)
    return [((VIEW(0), ct_state(state), *header[len(BY_HEADER) :]), port) for state, port in states]


def _later_fragments(header: Match, tracked: Match) -> Iterator[Match]:
    if IPV4_TERM in header:
        yield (*header, _LATER)
    yield (*tracked, _LATER)


def _icmp_terms(type_and_code: tuple[Field, Field], bounds: Bounds) -> Match:
    pairs = zip(type_and_code, bounds, strict=True)
    return tuple(field(value) for field, value in pairs if value is not None)
