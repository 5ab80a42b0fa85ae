"""Rules that name a DSCP: reading it before rules are looked up, and recording it (docs/decisions/dscp.md).

If a rule of a port names a DSCP, FLAGS gets the DSCP before the port's rules are looked up: that of the
packet's own header or, for a known connection, that of its first packet, from the connection's label. Rules
match FLAGS, so only such ports have the DSCP in their megaflows, and none has the ECN bits.

All rules that name a DSCP share these flows. Without such a rule, a bridge has none of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from flows.compiler.services import ethertype_term
from flows.compiler.static import FIND_UPLINK, NEW, NO_FRAGMENT
from flows.openflow import fields as f
from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, Clone, Conntrack, Load, Move, OutputRegister, Resubmit, SetField
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.openflow.table import Table
from flows.policy.objects import Ethertype

_ABOVE = 10
"""How far the priority of recording flows is above that of those that commit without recording."""


def reading_flows(table: Table, ethertype: Ethertype, identity: int) -> Iterator[Flow]:
    """Read the DSCP for the rules of a local identity, then look them up in `table`.

    What was read for the packet's other side is read again if that side has another view.
    """
    of_header = Move(f.IP_DSCP, r.FLAGS, 0, r.DSCP_BIT)
    of_connection = Move(f.CT_LABEL, r.FLAGS, numbers.DSCP_OF_OPENER, r.DSCP_BIT, r.DSCP_BITS)
    for view, origin, known, copy in (
        (r.BY_HEADER, r.DSCP_OF_HEADER, r.DSCP_KNOWN, of_header),
        (0, r.DSCP_OF_CONNECTION, 0, of_connection),
    ):
        match = (ethertype_term(ethertype), r.LOCAL(identity), r.VIEW(view), r.FLAGS(0, origin))
        begin = Load((origin | known) >> r.DSCP_BIT, r.FLAGS, r.DSCP_BIT, r.DSCP_ALL_BITS)
        yield Flow(table, Priority.READ_DSCP, match, (begin, copy, Resubmit(table.id)))


def recording_flows(ethertype: Ethertype) -> Iterator[Flow]:
    """Commit a new connection with the DSCP in its label, if that was read from its first packet."""
    router = Move(f.ETH_DST, f.CT_LABEL, 0, numbers.ROUTER_OF_ORIGINAL)
    unknown = SetField(r.OUT, 0)
    leave: tuple[Action, ...] = (unknown, *FIND_UPLINK)
    new = (NEW, ethertype_term(ethertype), r.FLAGS(r.DSCP_KNOWN, r.DSCP_KNOWN))
    for table, whole, fragment, notes, before, after in (
        (p.OUTPUT, Priority.HIGH, Priority.NORMAL, (), (), (OutputRegister(r.OUT),)),
        (p.EXIT, Priority.GUARD, Priority.HIGH, (), (unknown,), leave),
        (p.VIA_ROUTER, Priority.HIGH, Priority.NORMAL, (router,), (unknown,), leave),
    ):
        record = (*notes, Move(r.FLAGS, f.CT_LABEL, r.DSCP_BIT, numbers.DSCP_OF_OPENER, r.DSCP_BITS))
        commit = Clone((Conntrack(r.ZONE, commit=True, notes=record),))
        commit_fragment = Conntrack(r.ZONE, p.COMMITTED.id, commit=True, notes=record)
        yield Flow(table, whole + _ABOVE, (*new, NO_FRAGMENT), (commit, *after))
        yield Flow(table, fragment + _ABOVE, new, (*before, commit_fragment))
