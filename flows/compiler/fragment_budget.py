"""Fragments wait in the connection tracker until their packet is whole, and there is little room for them.

Those of a port whose rules could let no packet of their ethertype pass do not get there. The others pass
two meters, of their port and of their network (docs/decisions/tracker-shares.md).
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
    """A port pays for the fragments that it sends, and for those that come to it from an uplink."""
    pay = (Meter(numbers.FRAGMENT_METERS + at.ofport), call(p.NETWORK_FRAGMENTS))
    yield Flow(p.FRAGMENTS, Priority.HIGH, (in_port,), pay)
    if at.uplinked:
        yield Flow(p.FRAGMENTS, Priority.NORMAL, (r.OUT(at.ofport),), pay)


def network_fragment_flow(zone: int) -> Flow:
    """All fragments of a network pay together; some from uplinks pay only here."""
    return Flow(
        p.NETWORK_FRAGMENTS, Priority.NORMAL, (r.ZONE(zone),), (Meter(numbers.NETWORK_METERS + zone),)
    )


def ruleless_flows(identity: int, versions: Iterable[int]) -> Iterator[Flow]:
    """No fragment of these IP versions, for which no group of the identity has a rule, is tracked for it.

    Without a rule of either direction there is no connection to which it could belong. Whole packets are
    looked up with a higher priority.
    """
    sent, received = drop(Reason.EGRESS_FRAGMENT), drop(Reason.INGRESS_FRAGMENT)
    source, destination = r.SOURCE(identity), r.DESTINATION(identity)
    for version in versions:
        family = IPV4_TERM if version == 4 else IPV6_TERM
        yield Flow(p.CONNTRACK, Priority.LOW, (family, source), sent)
        yield Flow(p.CONNTRACK, Priority.LOW, (family, r.SOURCE(0), destination), received)
        yield Flow(p.DEST_CONNTRACK, Priority.LOW, (UNTRACKED, family, destination), received)
