"""Compares the target of neighbour discovery bit by bit with the addresses that it may name.

An advertisement must name an address of its sender. A solicitation to a solicited-node group asks for one of
the few addresses of that group (RFC 4291 section 2.7.1). So the destination tells with which addresses of
local ports to compare the target, besides their ranges. A solicitation to a single address is delivered by
that address. Open vSwitch reads a message that it cannot parse as one with the target zero.

These tables only filter. Later tables look up the target that MEMBER says is known, or is in a range.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from flows.compiler.link_messages import (
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    icmpv6,
    solicited_node,
)
from flows.compiler.services import IPV6_TERM
from flows.compiler.static import call
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, SetField
from flows.openflow.fields import Match, Term
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.policy.objects import Prefix

MOST_TARGETS = 16
"""The most addresses of a port with which the target of its advertisements is compared."""
_HALF = 64
_FIRST_TWO = 126
"""The lowest of the two bits of an address that are compared at once."""
_IN_USE = (0b00, 0b11)
"""The first two bits of addresses in use: 2000::/3, fc00::/7 and fe80::/10 (RFC 4291 section 2.4)."""
_KINDS = tuple(map(icmpv6, (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT)))
_UNKNOWN, _KNOWN = SetField(r.MEMBER, 0), SetField(r.MEMBER, r.KNOWN_TARGET)


def target_flows() -> Iterator[Flow]:
    """The flows that all ports share."""
    find = (call(p.RANGES), call(p.SOLICITED))
    yield Flow(p.TARGET, Priority.NORMAL, _KINDS[0], (_UNKNOWN, *find, *_OR_EMPTY))
    for kind in _KINDS:
        yield from _differences(kind)
    empty = (r.LOCAL(0), r.PREFIX(0))
    yield Flow(p.SAME_TARGET, Priority.LOW, empty, (SetField(r.MEMBER, r.EMPTY_TARGET),))
    yield Flow(p.SAME_TARGET, Priority.DEFAULT, (), (_KNOWN,))


def _differences(kind: Match) -> Iterator[Flow]:
    """Do nothing if the target differs from the address in LOCAL and PREFIX.

    In the high half, the first two bits are matched with each further bit: ovs-ofctl cannot read masks that
    begin with a digit, such as `8000::`, but it writes them into the flows that Debian saves and restores.
    Targets count as the same too early for an address that does not begin as in `_IN_USE`. Then more of
    them is looked up.
    """
    two = 0b11 << _FIRST_TWO
    for own in _IN_USE:
        for said in {0b00, 0b01, 0b10, 0b11} - {own}:
            yield _difference(kind, _FIRST_TWO, own << _FIRST_TWO, said << _FIRST_TWO, two)
    for bit in range(_FIRST_TWO):
        one = 1 << bit
        for first in (own << _FIRST_TWO for own in _IN_USE) if bit >= _HALF else (0,):
            mask = one | (two if bit >= _HALF else 0)
            for own, said in ((one, 0), (0, one)):
                yield _difference(kind, bit, first | own, first | said, mask)


def _difference(kind: Match, bit: int, own: int, said: int, mask: int) -> Flow:
    held = r.LOCAL(own >> _HALF, mask >> _HALF) if mask >> _HALF else r.PREFIX(own, mask)
    return Flow(p.SAME_TARGET, _priority(bit), (*kind, held, f.ND_TARGET(said, mask)), ())


def _priority(bit: int) -> int:
    """The priority of flows that compare this bit. One more ends the comparison with a range before it."""
    return Priority.NORMAL + 2 * bit


def solicited_flows(zone: Term, prefixes: Iterable[Prefix]) -> Iterator[Flow]:
    """Compare the target of solicitations with a port's ranges, and with its addresses in the group."""
    single, ranges = _split(prefixes)
    members: defaultdict[Term, list[Prefix]] = defaultdict(list)
    for prefix in single:
        members[solicited_node(prefix.value)].append(prefix)
    for group, addresses in members.items():
        yield Flow(p.SOLICITED, Priority.NORMAL, (zone, IPV6_TERM, group), _compare(*addresses))
    if ranges:
        yield Flow(p.RANGES, Priority.NORMAL, (zone,), _compare(*ranges))
    for prefix in ranges:
        end = _priority(prefix.bits - prefix.length - 1) + 1
        in_range = (SetField(r.MEMBER, r.TARGET_IN_RANGE),)
        yield Flow(p.SAME_TARGET, end, (r.VERDICT(prefix.length),), in_range)


def advertised_flow(in_port: Term, prefixes: Iterable[Prefix]) -> Flow:
    """Compare the target of the port's advertisements with its addresses, unless these are too many."""
    single, ranges = _split(prefixes)
    compare: tuple[Action, ...] = (_KNOWN,)
    if len(single) + len(ranges) <= MOST_TARGETS:
        compare = (_UNKNOWN, *_compare(*ranges, *single))
    return Flow(p.TARGET, Priority.NORMAL, (in_port, *_KINDS[1]), (*compare, *_OR_EMPTY))


def _split(prefixes: Iterable[Prefix]) -> tuple[list[Prefix], list[Prefix]]:
    """The single IPv6 addresses, and the ranges. ::/0 contains every target."""
    of6 = [prefix for prefix in prefixes if prefix.version == 6 and prefix.length]
    return [each for each in of6 if each.is_host], [each for each in of6 if not each.is_host]


def _compare(*prefixes: Prefix) -> tuple[Action, ...]:
    """Compare the target with each of these. The last one that contains it decides about MEMBER."""
    return tuple(action for prefix in prefixes for action in _compare_one(prefix))


def _compare_one(prefix: Prefix) -> tuple[Action, ...]:
    high, low = divmod(prefix.value, 1 << _HALF)
    length = SetField(r.VERDICT, 0 if prefix.is_host else prefix.length)
    return (SetField(r.LOCAL, high), SetField(r.PREFIX, low), length, call(p.SAME_TARGET))


_OR_EMPTY = _compare(Prefix(6, 0, 128))
