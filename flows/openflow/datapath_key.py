"""What a datapath can hold against a packet: no condition of ours may be lost on the way to the kernel.

Open vSwitch looks a packet up in the flows once, and hands the datapath a *megaflow*: the fields that the
answer depended on. A field that the datapath's key leaves out is not compared any more, so that a packet
which differs there gets an answer that was meant for another one. The userspace datapath keeps all
fields. The key of the kernel's is written by `odp_flow_key_from_flow__` (Open vSwitch 3.1 and 3.5,
lib/odp-util.c) and holds

* `nd_target`, `nd_sll` and `nd_tll` only where the ICMPv6 type (135 or 136) and code (0) are both compared
  exactly. Later versions do without the code. `Flow` refuses flows that do not say both;
* `nw_frag` only where its mask has the bit "is a fragment", and `arp_op` only as a whole (of operations
  above 255 it has none). `Field.least_mask` says so, and no other mask can be written;
* `ct_nw_src` and the other fields of a connection's first packet only for packets that have one. Open vSwitch
  refuses flows that do not match such a `ct_state`;
* ports only of TCP, UDP and SCTP, and TCP flags only of TCP: of these Open vSwitch demands the protocol;
* never: `nd_reserved`, `nd_options_type`, type and group of IGMP, VLAN tags and MPLS labels beyond the first
  few, Ethernet types below 0x600. `IN_KEY` does not have them, and no table may declare them.

Registers are not in it and need not be: they live within one lookup.
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
"""Fields of packets that the key of the kernel's datapath holds, under the conditions above."""


def not_in_key(fields: Iterable[Field]) -> list[Field]:
    """Those of `fields` that no datapath would compare; a table must not match them."""
    return [each for each in fields if each not in IN_KEY and not each.internal]


def loses_neighbour_fields(match: Match) -> bool:
    """Whether the match asks for a field of neighbour discovery that the kernel's key leaves out."""
    exact = {term.field: term.value for term in match if term.mask is None}
    kept = exact.get(f.ICMPV6_TYPE) in _NEIGHBOUR_KINDS and exact.get(f.ICMPV6_CODE) == 0
    return not kept and asks_neighbour(term.field for term in match)


def asks_neighbour(fields: Iterable[Field]) -> bool:
    """Whether one of `fields` is of neighbour discovery."""
    return not NEIGHBOUR_FIELDS.isdisjoint(fields)
