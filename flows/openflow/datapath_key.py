"""The fields that a datapath can compare: no condition of a flow may be lost on the way to the kernel.

Open vSwitch looks a packet up in the flows once and gives the datapath a *megaflow*: the fields that the
result depended on. The datapath does not compare a field that is not in its key, so a packet that differs
only in that field gets a result that was meant for another packet. The userspace datapath keeps all
fields. The kernel datapath's key is written by `odp_flow_key_from_flow__` (Open vSwitch 3.1 and 3.5,
lib/odp-util.c) and contains

* `nd_target`, `nd_sll` and `nd_tll` only if the ICMPv6 type (135 or 136) and the code (0) are both matched
  exactly. Later versions do not need the code. `Flow` refuses flows that do not match both;
* `nw_frag` only if its mask has the bit "is a fragment", and `arp_op` only as a whole (and never for
  operations above 255). `Field.least_mask` enforces this: no other mask can be written;
* `ct_nw_src` and the other fields of the original tuple only for packets that have one. Open vSwitch
  refuses flows that do not match such a `ct_state`;
* ports only of TCP, UDP and SCTP, and TCP flags only of TCP. Open vSwitch requires that flows match the
  protocol as well;
* never: `nd_reserved`, `nd_options_type`, type and group of IGMP, VLAN tags and MPLS labels beyond the first
  few, Ethernet types below 0x600. `IN_KEY` does not contain them, and no table may declare them.

Registers are not in the key. They need not be, because they exist only during one lookup.
"""

from __future__ import annotations

from collections.abc import Iterable

from flows.openflow import fields as f
from flows.openflow.fields import Field, Match

NEIGHBOUR_FIELDS = frozenset({f.ND_TARGET, f.ND_SLL, f.ND_TLL})
_NEIGHBOUR_KINDS = frozenset({135, 136})

IN_KEY = NEIGHBOUR_FIELDS | {
    *(f.IN_PORT, f.ETH_SRC, f.ETH_DST, f.ETH_TYPE, f.VLAN_VID),
    *(f.IP_PROTO, f.IP_FRAG, f.IP_TTL, f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST),
    *(f.TCP_SRC, f.TCP_DST, f.UDP_SRC, f.UDP_DST, f.SCTP_SRC, f.SCTP_DST),
    *(f.ICMPV4_TYPE, f.ICMPV4_CODE, f.ICMPV6_TYPE, f.ICMPV6_CODE),
    *(f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA),
    *(f.CT_STATE, f.CT_NW_PROTO, f.CT_NW_SRC, f.CT_NW_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST),
    *(f.CT_TP_SRC, f.CT_TP_DST),
}
"""The packet fields that the kernel datapath's key contains, under the conditions above."""


def not_in_key(fields: Iterable[Field]) -> list[Field]:
    """The packet fields among `fields` that the kernel datapath never compares; no table may match them."""
    return [each for each in fields if each not in IN_KEY and not each.internal]


def loses_neighbour_fields(match: Match) -> bool:
    """Whether the match has a neighbour discovery field that the kernel datapath would not compare."""
    exact = {term.field: term.value for term in match if term.mask is None}
    kept = exact.get(f.ICMPV6_TYPE) in _NEIGHBOUR_KINDS and exact.get(f.ICMPV6_CODE) == 0
    return not kept and asks_neighbour(term.field for term in match)


def asks_neighbour(fields: Iterable[Field]) -> bool:
    """Whether any of `fields` is a neighbour discovery field."""
    return not NEIGHBOUR_FIELDS.isdisjoint(fields)
