"""Budgets for fragments, which wait in the connection tracker until their packet is whole.

The tracker has little room for them. A fragment is dropped before the tracker if the port's rules could let
no packet of its ethertype pass. All other fragments pass two meters, of their port and of their network
(docs/decisions/tracker-shares.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flows.compiler.attachment import Attachment
from flows.compiler.services import IPV4_TERM, IPV6_TERM
from flows.compiler.static import UNTRACKED, call, drop
from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Meter
from flows.openflow.fields import Term
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.openflow.reasons import Reason


def port_fragment_flows(at: Attachment, in_port: Term) -> Iterator[Flow]:
    """Meter the fragments that a port sends and those that it receives from an uplink."""
    pay = (Meter(numbers.FRAGMENT_METERS + at.ofport), call(p.NETWORK_FRAGMENTS))
    yield Flow(p.FRAGMENTS, Priority.HIGH, (in_port,), pay)
    if at.uplinked:
        yield Flow(p.FRAGMENTS, Priority.NORMAL, (r.OUT(at.ofport),), pay)


def network_fragment_flow(zone: int) -> Flow:
    """Meter all fragments of a network together. Some fragments from uplinks pass only this meter."""
    return Flow(
        p.NETWORK_FRAGMENTS, Priority.NORMAL, (r.ZONE(zone),), (Meter(numbers.NETWORK_METERS + zone),)
    )


def ruleless_flows(identity: int, versions: Iterable[int]) -> Iterator[Flow]:
    """Drop fragments of these IP versions, for which no group of the identity has a rule.

    Without a rule of either direction, no connection exists to which a fragment could belong. The flows for
    whole packets have a higher priority.
    """
    sent, received = drop(Reason.EGRESS_FRAGMENT), drop(Reason.INGRESS_FRAGMENT)
    source, destination = r.SOURCE(identity), r.DESTINATION(identity)
    for version in versions:
        family = IPV4_TERM if version == 4 else IPV6_TERM
        yield Flow(p.CONNTRACK, Priority.LOW, (family, source), sent)
        yield Flow(p.CONNTRACK, Priority.LOW, (family, r.SOURCE(0), destination), received)
        yield Flow(p.DEST_CONNTRACK, Priority.LOW, (UNTRACKED, family, destination), received)
