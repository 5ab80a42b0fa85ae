"""The tables of the pipeline, declared once.

Ids in flows, names in dumps, the default flow of each table and the documentation are derived from these
declarations. Directions are relative to the workload. Registers are in `flows.openflow.registers`, priorities
and other reserved numbers in `flows.openflow.numbers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flows.openflow import fields as f
from flows.openflow.fields import Field
from flows.openflow.reasons import Reason
from flows.openflow.registers import (
    DESTINATION,
    FLAGS,
    LOCAL,
    MEMBER,
    OUT,
    PREFIX,
    REASON,
    SOURCE,
    VERDICT,
    VIEW,
    ZONE,
)
from flows.openflow.table import Miss, Table

_L2 = {f.ETH_SRC, f.ETH_DST, f.ETH_TYPE}
_L3 = {f.ETH_TYPE, f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST, f.IP_PROTO}
_PORTS = {f.UDP_SRC, f.UDP_DST, f.TCP_DST, f.SCTP_SRC, f.SCTP_DST}
_ICMP = {f.ICMPV4_TYPE, f.ICMPV4_CODE, f.ICMPV6_TYPE, f.ICMPV6_CODE}
_ND = {f.ND_TARGET, f.ND_SLL, f.ND_TLL}
_ARP = {f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA}
_SERVICE = {f.ETH_TYPE, f.IP_PROTO, f.IP_FRAG, VIEW, f.CT_STATE, f.CT_NW_PROTO, f.CT_TP_SRC, f.CT_TP_DST}
_TRACKED = {f.CT_STATE, f.ETH_TYPE, f.IP_FRAG}
_REMOTE = {f.ETH_TYPE, VIEW, f.CT_STATE, f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST} | {
    f.CT_NW_SRC,
    f.CT_NW_DST,
    f.CT_IPV6_SRC,
    f.CT_IPV6_DST,
}
_RULES = _SERVICE | _PORTS | _ICMP | {f.CONJ_ID, LOCAL, MEMBER, PREFIX, FLAGS}

TABLES: Final[list[Table]] = []


def _table(number: int, name: str, purpose: str, miss: Reason | Miss, *matched: set[Field]) -> Table:
    table = Table(number, name, purpose, miss, frozenset().union(*matched))
    TABLES.append(table)
    return table


CLASSIFY = _table(
    0,
    "CLASSIFY",
    "Finds the sender's network, conntrack zone and identity by in_port. Frames from uplinks go to UPLINK.",
    Reason.UNKNOWN_PORT,
    {f.IN_PORT, f.VLAN_VID, f.ETH_SRC},
)
UPLINK = _table(
    5,
    "UPLINK",
    "Frames from uplinks: drops those that claim a local port's MAC or address, and learns which uplink "
    "leads to which MAC.",
    Reason.UPLINK_SPOOF,
    {ZONE, f.IN_PORT, OUT},
    _L2,
    _L3,
    _ARP,
    _ND,
    _ICMP,
)
UPLINK_DELIVER = _table(
    6,
    "UPLINK_DELIVER",
    "Frames from uplinks: IP for a local port goes to conntrack, ARP and neighbour discovery to the "
    "owner of the address, the rest to EXIT.",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, f.IP_TTL},
    _L2,
    _L3,
    _PORTS,
    _ICMP,
    _ARP,
)
SIGHTED = _table(
    7,
    "SIGHTED",
    "Frames from uplinks: if ports here and elsewhere may use the source MAC, learns that its holder is "
    "elsewhere.",
    Miss.RETURN,
    {ZONE, f.ETH_SRC},
)
OWN_MAC = _table(
    8,
    "OWN_MAC",
    "Compares the source MAC bit by bit with the port's MAC in LOCAL. The first different bit decides, "
    "so that forged MACs make few megaflows.",
    Reason.IP_SPOOF,
    {LOCAL, f.ETH_SRC},
)
OTHER_MAC = _table(
    9,
    "OTHER_MAC",
    "Loads the port's next MAC into LOCAL. If there is none, the source MAC is forged.",
    Reason.ETHERTYPE,
    {f.IN_PORT, LOCAL, f.ETH_TYPE},
)
SPOOF = _table(
    10,
    "SPOOF",
    "Frames from workloads: passes on the protocols that a port may use.",
    Reason.ETHERTYPE,
    {f.IN_PORT, f.ETH_TYPE, f.ARP_OP},
)
SPOOF_ARP = _table(
    11,
    "SPOOF_ARP",
    "ARP must carry the port's own MAC and address.",
    Reason.ARP_SPOOF,
    {f.IN_PORT},
    _L2,
    _ARP,
)
SPOOF_IP = _table(
    12,
    "SPOOF_IP",
    "IPv4 and IPv6 packets must come from a (MAC, address) pair of the port.",
    Reason.IP_SPOOF,
    {f.IN_PORT, f.IP_TTL},
    _L2,
    _L3,
    _PORTS,
)
SPOOF_ND = _table(
    13,
    "SPOOF_ND",
    "Neighbour discovery must carry the port's own MAC and address.",
    Reason.ND_SPOOF,
    {f.IN_PORT, f.IP_TTL, MEMBER},
    _L2,
    _L3,
    _ICMP,
    _ND,
)
ON_LINK = _table(
    14,
    "ON_LINK",
    "Neighbour discovery from workloads must have a destination on the network's link.",
    Reason.OFF_LINK,
    {ZONE, f.IP_TTL},
    _L3,
    _ICMP,
)
ADMIT = _table(
    15,
    "ADMIT",
    "Checked frames from workloads: handles neighbour discovery and DHCP, drops broadcast, and passes "
    "the rest to conntrack.",
    Reason.NOT_TRACKED,
    {SOURCE, FLAGS, ZONE, f.IP_TTL},
    _L2,
    _ARP,
    _L3,
    _PORTS,
    _ICMP,
)
RETURNED = _table(
    16,
    "RETURNED",
    "IP packets from an uplink with a local port's source address. If a router outside joins subnets of "
    "the network, looks them up in conntrack.",
    Reason.UPLINK_SPOOF,
    {ZONE, f.ETH_DST, f.ETH_TYPE, f.IP_FRAG},
)
RETURNED_TRACKED = _table(
    17,
    "RETURNED_TRACKED",
    "Packets that conntrack returns to RETURNED, as in TRACKED.",
    Reason.NOT_TRACKED,
    _TRACKED,
)
RETURNED_BY = _table(
    18,
    "RETURNED_BY",
    "Loads the MAC of the router to which packets of this connection and direction were sent.",
    Reason.NOT_TRACKED,
    {f.CT_STATE},
)
ROUTER_MAC = _table(
    19,
    "ROUTER_MAC",
    "The packet must come from that router's MAC: each of 24 clauses compares two bits of both MACs.",
    Reason.UPLINK_SPOOF,
    {f.ETH_SRC, LOCAL, f.CONJ_ID},
)
CONNTRACK = _table(
    20,
    "CONNTRACK",
    "Looks each packet up in conntrack, once. Drops fragments of a port that has no rule for their "
    "ethertype.",
    Reason.NOT_TRACKED,
    {f.ETH_TYPE, f.IP_FRAG, SOURCE, DESTINATION},
)
TRACKED = _table(
    21,
    "TRACKED",
    "Packets that conntrack returns. Drops those without a state: left-over fragments, which come with "
    "another packet's registers.",
    Reason.NOT_TRACKED,
    _TRACKED,
)
BUDGET = _table(
    22,
    "BUDGET",
    "Limits what a workload may send without a rule, with one meter for each port.",
    Miss.RETURN,
    {f.IN_PORT},
)
SENDER = _table(
    23,
    "SENDER",
    "Frames from a MAC of the port go to the checks for their protocol.",
    Reason.ETHERTYPE,
    {f.IN_PORT, f.ETH_SRC, f.ETH_TYPE},
)
OWN_ARP = _table(
    24,
    "OWN_ARP",
    "Compares the sender MAC of ARP bit by bit with the source MAC in LOCAL.",
    Reason.ARP_SPOOF,
    {f.ETH_TYPE, LOCAL, f.ARP_SHA},
)
OWN_ADDRESS = _table(
    25,
    "OWN_ADDRESS",
    "Compares the sender address of ARP bit by bit with an address of the port in PREFIX (address, mask).",
    Reason.ARP_SPOOF,
    {f.ETH_TYPE, PREFIX, f.ARP_SPA},
)
OTHER_ADDRESS = _table(
    26,
    "OTHER_ADDRESS",
    "Loads the port's next address into PREFIX. If there is none, the sender address is forged.",
    Reason.ARP_SPOOF,
    {f.IN_PORT, PREFIX},
)
LINK_MESSAGE = _table(
    27,
    "LINK_MESSAGE",
    "Handles the ICMPv6 messages that run the link, if they have the required form. The rest are "
    "ordinary packets.",
    Reason.NOT_TRACKED,
    {FLAGS, MEMBER, f.IP_TTL},
    _L2,
    _L3,
    _ICMP,
)
OWN_LINK = _table(
    28,
    "OWN_LINK",
    "Compares the link-layer address in neighbour discovery bit by bit with the source MAC in LOCAL.",
    Reason.ND_SPOOF,
    {LOCAL, f.ETH_TYPE, f.IP_PROTO, *_ICMP, f.ND_SLL, f.ND_TLL},
)
NO_LINK = _table(
    29,
    "NO_LINK",
    "A different link-layer address in neighbour discovery is forged. A missing one is not.",
    Reason.ND_SPOOF,
    {f.ETH_TYPE, f.IP_PROTO, *_ICMP, f.ND_SLL, f.ND_TLL},
)
SOURCE_CHECK = _table(
    30,
    "SOURCE_CHECK",
    "Checks the sender's egress rules, or for a reply its ingress rules.",
    Reason.NOT_TRACKED,
    {f.ETH_TYPE, f.CT_STATE, SOURCE},
)
RELATED = _table(
    31,
    "RELATED",
    "ICMP errors about a connection: the sender must be an end of it. Then the rules for the connection "
    "apply.",
    Reason.FORGED_ERROR,
    {f.IN_PORT, f.ETH_TYPE, f.CT_STATE, f.CT_NW_SRC, f.CT_NW_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST},
)
SOURCE_STATELESS = _table(
    32,
    "SOURCE_STATELESS",
    "Checks a stateless sender's egress rules, for each packet by itself.",
    Miss.RETURN,
)
SOURCE_VERDICT = _table(
    33,
    "SOURCE_VERDICT",
    "Drops the packet unless a rule of the sender allows it.",
    Reason.EGRESS_POLICY,
    {VERDICT},
)
ANNOUNCED = _table(
    34,
    "ANNOUNCED",
    "Broadcast ARP requests: one for the sender's own address is an announcement and goes to all ports.",
    Reason.UNREADABLE,
    _ARP,
    {f.ETH_TYPE},
)
NEIGHBOUR = _table(
    35,
    "NEIGHBOUR",
    "Sends requests for an address only to its owner, and announcements to all ports.",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, f.IP_TTL, MEMBER},
    _L2,
    _L3,
    _ARP,
    _ICMP,
    _ND,
)
FORWARD = _table(
    36,
    "FORWARD",
    "Finds the local port and its identity by the destination MAC.",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, SOURCE},
    _L2,
    _L3,
)
HOLDER = _table(
    37,
    "HOLDER",
    "Learned: the port that last used a MAC that several ports may use, or ELSEWHERE.",
    Miss.RETURN,
    {ZONE, f.ETH_DST, f.ETH_SRC},
)
HOLDER_OUT = _table(
    38,
    "HOLDER_OUT",
    "Sends frames for a MAC that several ports may use to its learned holder, or if there is none, to "
    "all ports that may use it.",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, OUT, f.ETH_DST},
)
ALL_HOLDERS = _table(
    39, "ALL_HOLDERS", "Sends to all local ports that may use a MAC.", Miss.RETURN, {ZONE, f.ETH_DST}
)
ANNOUNCING = _table(
    40,
    "ANNOUNCING",
    "ARP from workloads: announcements of an address of the port, and probes that ask whether it is in use.",
    Reason.UNKNOWN_DESTINATION,
    {f.IN_PORT, f.ETH_SRC, f.ETH_TYPE, f.ARP_OP, f.ARP_SPA, f.ARP_TPA},
)
VIA_ROUTER = _table(
    41,
    "VIA_ROUTER",
    "Packets to another subnet of the network, through a router outside: notes the router's MAC in the "
    "connection's label.",
    Reason.NOT_TRACKED,
    {FLAGS},
    _TRACKED,
)
BROADCAST = _table(
    42, "BROADCAST", "Sends to every local port of a network, in chunks.", Miss.RETURN, {ZONE, OUT}
)
SHARED = _table(
    43,
    "SHARED",
    "Sends VRRP to every local port that has an allowed address pair and whose rules allow it, in chunks.",
    Miss.RETURN,
    {ZONE, OUT},
)
LISTENERS = _table(
    44,
    "LISTENERS",
    "Sends what is for routers and servers outside to the ports without port security, too, in chunks.",
    Miss.RETURN,
    {ZONE, OUT},
)
EXIT = _table(
    45,
    "EXIT",
    "Packets for an uplink, or for a MAC behind a port without port security: commits new connections.",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, FLAGS, *_TRACKED},
)
FDB = _table(
    46,
    "FDB",
    "Learned: MAC → OpenFlow port, from the frames of uplinks and of ports without port security.",
    Miss.RETURN,
    {ZONE, f.ETH_DST, f.ETH_SRC},
)
UPLINK_OUT = _table(
    47,
    "UPLINK_OUT",
    "Sends to the port on which the MAC was learned, or else to all uplinks of the network. Adds the "
    "VLAN tag.",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, OUT, f.IN_PORT},
)
RECEIVER = _table(
    48,
    "RECEIVER",
    "Passes on ARP and IP only for the receiver's own addresses.",
    Reason.NOT_TRACKED,
    {f.CT_STATE, DESTINATION, OUT, VIEW},
    _L3,
    _ARP,
)
DEST_CONNTRACK = _table(
    49,
    "DEST_CONNTRACK",
    "Looks untracked packets up in conntrack for the receiver, fragments as in CONNTRACK. Messages of "
    "the link are not tracked.",
    Reason.NOT_TRACKED,
    {f.CT_STATE, f.ETH_TYPE, f.IP_FRAG, VIEW, DESTINATION},
)
DEST_TRACKED = _table(
    50,
    "DEST_TRACKED",
    "Packets that conntrack returns to DEST_CONNTRACK, as in TRACKED.",
    Reason.NOT_TRACKED,
    _TRACKED,
)
DEST_CHECK = _table(
    51,
    "DEST_CHECK",
    "Checks the receiver's ingress rules, or for a reply its egress rules.",
    Reason.NOT_TRACKED,
    {f.CT_STATE, f.ETH_TYPE},
)
DEST_STATELESS = _table(
    52,
    "DEST_STATELESS",
    "Checks a stateless receiver's ingress rules, for each packet by itself. Messages of the link need "
    "no rule.",
    Reason.NOT_TRACKED,
    {f.CT_STATE, f.ETH_TYPE, VIEW},
)
DEST_VERDICT = _table(
    53,
    "DEST_VERDICT",
    "Drops the packet unless a rule of the receiver allows it.",
    Reason.INGRESS_POLICY,
    {VERDICT},
)
ASKED = _table(
    54,
    "ASKED",
    "ARP from workloads: starts the checks of the target address.",
    Reason.UNKNOWN_DESTINATION,
    set(),
)
IN_SUBNET = _table(
    55,
    "IN_SUBNET",
    "Compares the target address bit by bit with a subnet of the network in PREFIX (address, mask).",
    Reason.UNKNOWN_DESTINATION,
    {PREFIX, f.ETH_TYPE, f.ARP_TPA},
)
OTHER_SUBNET = _table(
    56,
    "OTHER_SUBNET",
    "Loads the network's next subnet into PREFIX. If there is none, no local port has the target address.",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, PREFIX},
)
NOBODY = _table(
    57,
    "NOBODY",
    "ARP for an address that no local port has.",
    Reason.UNKNOWN_DESTINATION,
    {f.ETH_DST, f.ETH_TYPE, f.ARP_OP},
)
HOP_LIMIT = _table(
    58,
    "HOP_LIMIT",
    "Compares the hop limit bit by bit with the required one, which MEMBER holds.",
    Miss.RETURN,
    {MEMBER, f.ETH_TYPE},
)
VRRP = _table(
    59,
    "VRRP",
    "VRRP from ports with an allowed address pair, after its hop limit was compared.",
    Reason.NOT_TRACKED,
    {MEMBER, f.IP_TTL},
    _L2,
    _L3,
)
EGRESS_ANY = _table(60, "EGRESS_ANY", "Egress rules for any remote.", Miss.RETURN, _RULES)
EGRESS_MEMBER = _table(
    61,
    "EGRESS_MEMBER",
    "Remote address → identity of the groups that it belongs to.",
    Miss.RETURN,
    {ZONE},
    _REMOTE,
)
EGRESS_PREFIX = _table(
    62, "EGRESS_PREFIX", "Remote address → identity of the prefixes that cover it.", Miss.RETURN, _REMOTE
)
EGRESS_RULES = _table(63, "EGRESS_RULES", "Egress rules for a particular remote.", Miss.RETURN, _RULES)
KNOWN = _table(
    64,
    "KNOWN",
    "Compares the target address of ARP with the addresses of local ports, some bits at a time. PREFIX "
    "holds the mask of the bits compared so far.",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, PREFIX, f.ETH_TYPE, f.ARP_TPA},
)
PROTOCOL = _table(
    65,
    "PROTOCOL",
    "Compares the IP protocol bit by bit with those that rules name. MEMBER holds the bits read so far.",
    Miss.RETURN,
    {MEMBER, FLAGS, f.ETH_TYPE},
)
FRAGMENTS = _table(
    66,
    "FRAGMENTS",
    "Limits the fragments that wait in conntrack, with one meter for each port that sends or receives them.",
    Miss.RETURN,
    {f.IN_PORT, OUT},
)
NETWORK_FRAGMENTS = _table(
    67,
    "NETWORK_FRAGMENTS",
    "Limits the fragments that wait in conntrack, with one meter for each network.",
    Miss.RETURN,
    {ZONE},
)
TARGET = _table(
    68,
    "TARGET",
    "Compares the target of an advertisement with the sender's addresses, and that of a solicitation with "
    "the addresses of local ports.",
    Miss.RETURN,
    {f.IN_PORT, f.ETH_TYPE, f.IP_PROTO, *_ICMP},
)
SOLICITED = _table(
    69,
    "SOLICITED",
    "Compares the target of a solicitation with the addresses of local ports in its solicited-node group.",
    Miss.RETURN,
    {ZONE, f.ETH_TYPE, f.IPV6_DST},
)
INGRESS_ANY = _table(70, "INGRESS_ANY", "Ingress rules for any remote.", Miss.RETURN, _RULES)
INGRESS_MEMBER = _table(
    71,
    "INGRESS_MEMBER",
    "Remote address → identity of the groups that it belongs to.",
    Miss.RETURN,
    {ZONE},
    _REMOTE,
)
INGRESS_PREFIX = _table(
    72, "INGRESS_PREFIX", "Remote address → identity of the prefixes that cover it.", Miss.RETURN, _REMOTE
)
INGRESS_RULES = _table(73, "INGRESS_RULES", "Ingress rules for a particular remote.", Miss.RETURN, _RULES)
RANGES = _table(
    74,
    "RANGES",
    "Compares the target of a solicitation with the ranges of addresses of local ports.",
    Miss.RETURN,
    {ZONE},
)
SAME_TARGET = _table(
    75,
    "SAME_TARGET",
    "Compares the target of neighbour discovery bit by bit with the address in LOCAL and PREFIX, or with the "
    "range of that address and the prefix length in VERDICT. If it is the same, MEMBER says so.",
    Miss.RETURN,
    {LOCAL, PREFIX, VERDICT, f.ETH_TYPE, f.IP_PROTO, *_ICMP, f.ND_TARGET},
)
OUTPUT = _table(
    80,
    "OUTPUT",
    "Sends to the local port, and commits new connections.",
    Reason.NOT_TRACKED,
    {FLAGS, *_TRACKED},
)
COMMITTED = _table(
    81,
    "COMMITTED",
    "Fragments of new connections that conntrack returns: sends them to the local port or to the uplinks.",
    Reason.NOT_TRACKED,
    {f.CT_STATE, OUT},
)
DROP = _table(90, "DROP", "Drops the packet and counts it by reason.", Reason.UNKNOWN_PORT, {REASON})
DROPPED = _table(
    91,
    "DROPPED",
    "Learned: one counting flow for each port and reason.",
    Miss.RETURN,
    {REASON, f.IN_PORT, OUT},
)

TABLE_BY_ID: Final = {table.id: table for table in TABLES}

_BY_SOURCE: Final = frozenset({UPLINK, SPOOF_IP, INGRESS_MEMBER, INGRESS_PREFIX})
"""Tables that look up a packet's source; the others look up its destination."""


def tracked_prefixes() -> dict[int, list[str]]:
    """By table number: the fields whose prefixes Open vSwitch should track, the most important ones first.

    A lookup then examines only the bits of an address that distinguish it from others. By default, this is
    done for IPv6 only since version 3.5 (`prefixes` of Flow_Table in ovs-vswitchd.conf.db(5)).
    """
    to, by = [f.IPV6_DST, f.IPV4_DST], [f.IPV6_SRC, f.IPV4_SRC]
    ranked = {
        table: [*by, *reversed(to)] if table in _BY_SOURCE else [*to, *reversed(by)] for table in TABLES
    }
    return {
        table.id: [field.name for field in fields if field in table.fields]
        for table, fields in ranked.items()
        if not table.fields.isdisjoint({f.IPV6_SRC, f.IPV6_DST})
    }


@dataclass(frozen=True)
class RuleTables:
    """The four tables that check the rules of one direction."""

    any: Table
    member: Table
    prefix: Table
    rules: Table


EGRESS_TABLES: Final = RuleTables(EGRESS_ANY, EGRESS_MEMBER, EGRESS_PREFIX, EGRESS_RULES)
INGRESS_TABLES: Final = RuleTables(INGRESS_ANY, INGRESS_MEMBER, INGRESS_PREFIX, INGRESS_RULES)

LEARNING: Final = frozenset({HOLDER.id, FDB.id, DROPPED.id})
"""The ids of the tables with learned flows."""
