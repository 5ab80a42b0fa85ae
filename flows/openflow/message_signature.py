"""The signature of a flow mod: the parts that decide whether Open vSwitch can parse it.

Open vSwitch parses each message on its own. Whether it can depends on fields and their prerequisites,
masks, kinds of actions and the table, but not on most numbers. So if it could parse one message, it can
parse all with the same signature (`ofputil_decode_flow_mod` of Open vSwitch 3.1; OpenFlow 1.4 section
7.3.4.1).
"""

from __future__ import annotations

from collections.abc import Hashable

from flows.openflow import fields as f
from flows.openflow import registers as r
from flows.openflow.actions import Action, Bundle, Conjunction, Meter, Output, SetField
from flows.openflow.fields import Term
from flows.openflow.flow import Flow, FlowKey
from flows.openflow.wire import DropCounters, Edit

FIRST_RESERVED_PORT = 0xFF00
"""OFPP_MAX: OpenFlow port numbers from here on are reserved."""

_NUMBERS = frozenset(
    {
        *(r.LOCAL, r.MEMBER, r.PREFIX, r.SOURCE, r.DESTINATION, r.ZONE, r.OUT, r.REASON),
        *(f.ETH_SRC, f.ETH_DST, f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST),
        *(f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ND_TARGET, f.ND_SLL, f.ND_TLL),
        *(f.TCP_SRC, f.TCP_DST, f.UDP_SRC, f.UDP_DST, f.SCTP_SRC, f.SCTP_DST),
        *(f.CT_NW_SRC, f.CT_NW_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST, f.CT_TP_SRC, f.CT_TP_DST, f.CONJ_ID),
    }
)
"""Fields that can be matched with every value, and that are no prerequisite of other fields."""


def signature(edit: Edit) -> Hashable:
    """A value that is equal for edits of which Open vSwitch can parse all or none."""
    match edit:
        case Flow():
            (table, _, terms), actions = edit.key, edit.actions
            return table, tuple(map(_term, terms)), tuple(dict.fromkeys(map(_action, actions)))
        case FlowKey():
            return edit.table, tuple(map(_term, edit.match))
        case DropCounters():
            return DropCounters, tuple(map(_term, edit.match))
        case _:
            return int


def _term(term: Term) -> Hashable:
    field, value, mask, _ = term
    if field in _NUMBERS:
        return field, mask is not None
    return (field, value >= FIRST_RESERVED_PORT) if field is f.IN_PORT else term


def _action(action: Action) -> Hashable:
    """Includes the kind, because actions of different kinds can be equal tuples."""
    match action:
        case Conjunction():
            return Conjunction, action.clause, action.clauses
        case Output():
            return Output, action.ofport >= FIRST_RESERVED_PORT
        case Bundle():
            return Bundle, len(action.members), action.spread, action.into
        case SetField():
            return SetField, action.field
        case Meter():
            return Meter
        case _:
            return type(action), action
