"""Subnets of one network that a router outside joins: packets from it carry the address of a local port.

Such a packet leaves through an uplink, to the router's MAC, and comes back with that MAC as its source
(docs/decisions/routed-subnets.md). The label of its connection holds the MAC for each direction.
"""

from __future__ import annotations

from collections.abc import Iterator

from flows.compiler.link_messages import GROUP_MAC
from flows.compiler.services import IPV4_TERM, IPV6_TERM, prefix_term
from flows.compiler.static import (
    DISCARD_LEFT_OVER,
    FIND_UPLINK,
    NO_FRAGMENT,
    ORIGINAL,
    REPLY,
    TRACKED,
    UNTRACKED,
    call,
    drop,
)
from flows.openflow import fields as f
from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Clone, Conjunction, Conntrack, Move, SetField
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.openflow.reasons import Reason
from flows.policy.objects import Network

_FAMILIES = (
    (4, IPV4_TERM, f.IPV4_SRC, f.IPV4_DST),
    (6, IPV6_TERM, f.IPV6_SRC, f.IPV6_DST),
)
_HALVES = ((ORIGINAL, numbers.ROUTER_OF_ORIGINAL), (REPLY, numbers.ROUTER_OF_REPLY))
_CLAUSES = 24
_SAME_MAC = 1
"""The conjunction in ROUTER_MAC that holds when both MACs are equal."""


def routed_flows(network: Network, zone: int) -> Iterator[Flow]:
    """Flows between the subnets of a network that has several subnets of a family.

    Frames from uplinks pass through, as in other networks.
    """
    for version, family, source, destination in _FAMILIES:
        subnets = [subnet for subnet in network.subnets if subnet.version == version]
        if len(subnets) < 2:
            continue
        here = (r.ZONE(zone), family)
        lookup = Conntrack(r.ZONE, p.RETURNED_TRACKED.id)
        yield Flow(p.RETURNED, Priority.NORMAL, (*here, NO_FRAGMENT), (lookup,))
        yield Flow(p.RETURNED, Priority.DEFAULT, here, (call(p.FRAGMENTS), lookup))
        for subnet in subnets:
            to = (*here, *prefix_term(destination, subnet))
            within = (*to, *prefix_term(source, subnet))
            yield Flow(p.FORWARD, Priority.DEFAULT + 5, to, (call(p.VIA_ROUTER),))
            yield Flow(p.FORWARD, Priority.DEFAULT + 6, within, (call(p.EXIT),))


def router_flows() -> Iterator[Flow]:
    """The flows that all such networks share."""
    yield Flow(p.FORWARD, Priority.DEFAULT + 7, (r.SOURCE(0),), (call(p.EXIT),))
    yield from _leaving_flows()
    yield Flow(p.RETURNED, Priority.HIGH, (GROUP_MAC,), drop(Reason.UPLINK_SPOOF))
    for family in (IPV4_TERM, IPV6_TERM):
        on = (call(p.RETURNED_BY),)
        yield Flow(p.RETURNED_TRACKED, Priority.NORMAL, (TRACKED, family, NO_FRAGMENT), on)
        yield Flow(p.RETURNED_TRACKED, Priority.DEFAULT, (TRACKED, family), (DISCARD_LEFT_OVER, *on))
    for state, half in _HALVES:
        noted = Move(f.CT_LABEL, r.LOCAL, half)
        yield Flow(p.RETURNED_BY, Priority.NORMAL, (state,), (noted, call(p.ROUTER_MAC)))
    yield from _same_mac_flows()


def _leaving_flows() -> Iterator[Flow]:
    """Every packet to a router writes the router's MAC into the label, since a router may be replaced."""
    unknown = SetField(r.OUT, 0)
    unknown_direction = (
        UNTRACKED,
        (numbers.ROUTER_OF_ORIGINAL, numbers.ROUTER_OF_REPLY),
    )  # from a stateless sender
    for state, halves in (*((state, (half,)) for state, half in _HALVES), unknown_direction):
        notes = tuple(Move(f.ETH_DST, f.CT_LABEL, 0, half) for half in halves)
        for family in (IPV4_TERM, IPV6_TERM):
            known = Clone((Conntrack(r.ZONE, commit=True, notes=notes),))
            yield Flow(
                p.VIA_ROUTER, Priority.HIGH, (state, family, NO_FRAGMENT), (known, unknown, *FIND_UPLINK)
            )
            whole = Conntrack(r.ZONE, p.COMMITTED.id, commit=True, notes=notes)
            budget = (call(p.FRAGMENTS),) if state is UNTRACKED else ()  # tracked ones have passed
            yield Flow(p.VIA_ROUTER, Priority.NORMAL, (state, family), (*budget, unknown, whole))


def _same_mac_flows() -> Iterator[Flow]:
    """Open vSwitch cannot compare two fields, so each clause holds if two bits of both MACs are the same."""
    for clause in range(_CLAUSES):
        mask = 0b11 << 2 * clause
        for bits in range(4):
            both = bits << 2 * clause
            match = (f.ETH_SRC(both, mask), r.LOCAL(both, mask))
            yield Flow(p.ROUTER_MAC, Priority.NORMAL, match, (Conjunction(_SAME_MAC, clause + 1, _CLAUSES),))
    yield Flow(p.ROUTER_MAC, Priority.NORMAL, (f.CONJ_ID(_SAME_MAC),), (call(p.FORWARD),))
