"""The same flows in Ryu's encoding. Ryu has no packet registers and no original tuple."""

from __future__ import annotations

import warnings
from functools import singledispatch
from typing import Any

from flows.openflow import actions as a
from flows.openflow.fields import Field, Term
from flows.openflow.flow import Flow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ryu is from before these warnings
    from ryu.ofproto import nicira_ext, ofproto_protocol
    from ryu.ofproto import ofproto_v1_4 as ofproto
    from ryu.ofproto import ofproto_v1_4_parser as parser

__all__ = [
    "DATAPATH",
    "UnknownToRyu",
    "action_bytes",
    "add_flow",
    "message_bytes",
    "ofproto",
    "parser",
    "term_bytes",
]

DATAPATH = ofproto_protocol.ProtocolDesc(version=ofproto.OFP_VERSION)

_NAMES = {
    "dl_src": "eth_src",
    "dl_dst": "eth_dst",
    "dl_type": "eth_type",
    "nw_proto": "ip_proto",
    "nw_src": "ipv4_src",
    "nw_dst": "ipv4_dst",
    "icmp_type": "icmpv4_type",
    "icmp_code": "icmpv4_code",
    "nd_target": "ipv6_nd_target",
    "nd_sll": "ipv6_nd_sll",
    "nd_tll": "ipv6_nd_tll",
    "nw_frag": "ip_frag",
}


class UnknownToRyu(Exception):
    """Ryu cannot encode it."""


def name_of(field: Field) -> str:
    """Ryu's name of a field."""
    name = _NAMES.get(field.name, field.name)
    try:
        ofproto.oxm_from_user_header(name)
    except KeyError as error:
        raise UnknownToRyu(field.name) from error
    return name


def user_value(term: Term) -> tuple[str, Any]:
    """Name and value (with mask, if any) as Ryu's users write them."""
    number = ofproto.oxm_from_user_header(name_of(term.field))
    size = term.field.size
    mask = None if term.mask is None else term.mask.to_bytes(size, "big")
    name, value = ofproto.oxm_to_user(number, term.value.to_bytes(size, "big"), mask)
    return name, value


def term_bytes(term: Term) -> bytes:
    """One condition."""
    buffer = bytearray()
    number, value, mask = ofproto.oxm_from_user(*user_value(term))
    ofproto.oxm_serialize(number, value, mask, buffer, 0)
    return bytes(buffer)


_LOW_BITS = nicira_ext.ofs_nbits(0, 15)


@singledispatch
def _actions(action: a.Action) -> list[Any]:
    """Ryu's actions for one of ours."""
    raise UnknownToRyu(str(action))


@_actions.register
def _(action: a.Resubmit) -> list[Any]:
    in_port = ofproto.OFPP_IN_PORT & 0xFFFF
    return [parser.NXActionResubmitTable(in_port=in_port, table_id=action.table)]


@_actions.register
def _(action: a.SetField) -> list[Any]:
    return [parser.OFPActionSetField(**dict([user_value(action.field(action.value))]))]


@_actions.register
def _(action: a.Load) -> list[Any]:
    bits = nicira_ext.ofs_nbits(action.start, action.start + action.bits - 1)
    return [parser.NXActionRegLoad(bits, name_of(action.field), action.value)]


@_actions.register
def _(action: a.Move) -> list[Any]:
    source, target = name_of(action.source), name_of(action.target)
    start = {"src_ofs": action.source_start, "dst_ofs": action.target_start}
    return [parser.NXActionRegMove(source, target, action.bits, **start)]


@_actions.register
def _(action: a.Output) -> list[Any]:
    return [parser.OFPActionOutput(action.ofport, 0)]


@_actions.register
def _(action: a.ToController) -> list[Any]:
    return [parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, action.length)]


@_actions.register
def _(action: a.OutputRegister) -> list[Any]:
    whole = nicira_ext.ofs_nbits(0, action.field.bits - 1)
    return [parser.NXActionOutputReg(whole, name_of(action.field), 0)]


@_actions.register
def _(action: a.Bundle) -> list[Any]:
    algorithm = nicira_ext.NX_BD_ALG_HRW if action.spread else nicira_ext.NX_BD_ALG_ACTIVE_BACKUP
    asked = (algorithm, nicira_ext.NX_HASH_FIELDS_ETH_SRC, 0, 2, len(action.members))  # NXM_OF_IN_PORT
    if action.into is None:
        return [parser.NXActionBundle(*asked, 0, 0, list(action.members))]
    whole = nicira_ext.ofs_nbits(0, action.into.bits - 1)
    return [parser.NXActionBundleLoad(*asked, whole, name_of(action.into), list(action.members))]


@_actions.register
def _(action: a.Conjunction) -> list[Any]:
    return [parser.NXActionConjunction(action.clause - 1, action.clauses, action.number)]


@_actions.register
def _(action: a.Conntrack) -> list[Any]:
    register = ("", action.zone) if isinstance(action.zone, int) else (name_of(action.zone), _LOW_BITS)
    next_table = 255 if action.table is None else action.table
    notes = [each for note in action.notes for each in _actions(note)]
    return [parser.NXActionCT(int(action.commit), *register, next_table, 0, notes)]


@_actions.register
def _(action: a.PopVlan) -> list[Any]:
    return [parser.OFPActionPopVlan()]


@_actions.register
def _(action: a.PushVlan) -> list[Any]:
    present = ofproto.OFPVID_PRESENT | action.vid
    return [parser.OFPActionPushVlan(0x8100), parser.OFPActionSetField(vlan_vid=present)]


def action_bytes(action: a.Action) -> bytes:
    """One action."""
    buffer = bytearray()
    for each in _actions(action):
        each.serialize(buffer, len(buffer))
    return bytes(buffer)


def match_of(flow: Flow) -> Any:
    """The conditions, in our order."""
    return parser.OFPMatch(_ordered_fields=[user_value(term) for term in flow.key.match])


def message_bytes(message: Any, xid: int) -> bytes:
    """A message as Ryu would send it."""
    message.set_xid(xid)
    message.serialize()
    return bytes(message.buf)


def add_flow(flow: Flow) -> Any:
    """The message that adds a flow."""
    metered = 1 if flow.meter else 0
    actions = [each for action in flow.actions[metered:] for each in _actions(action)]
    apply = parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)
    meter = [parser.OFPInstructionMeter(flow.meter)] if metered else []
    return parser.OFPFlowMod(
        DATAPATH,
        cookie=flow.cookie,
        table_id=flow.key.table,
        priority=flow.key.priority,
        out_port=ofproto.OFPP_ANY,
        out_group=ofproto.OFPG_ANY,
        match=match_of(flow),
        instructions=[*meter, apply] if actions else meter,
    )
