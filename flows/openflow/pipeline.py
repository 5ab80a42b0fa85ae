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
    "in_port → network, conntrack zone and identity of the sender; uplinks apart",
    Reason.UNKNOWN_PORT,
    {f.IN_PORT, f.VLAN_VID, f.ETH_SRC},
)
UPLINK = _table(
    5,
    "UPLINK",
    "frames from uplinks: drop those that claim a local port's MAC or address, learn where the rest live",
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
    "frames from uplinks: to the owner of the address, to conntrack when for a local port, else in transit",
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
    "frames from uplinks: a MAC that ports here and elsewhere may use has its holder elsewhere",
    Miss.RETURN,
    {ZONE, f.ETH_SRC},
)
OWN_MAC = _table(
    8,
    "OWN_MAC",
    "the source MAC against that of the port in LOCAL, bit by bit: of a forged one no more is looked at",
    Reason.IP_SPOOF,
    {LOCAL, f.ETH_SRC},
)
OTHER_MAC = _table(
    9,
    "OTHER_MAC",
    "the next of the port's MACs, or none: the source is forged",
    Reason.ETHERTYPE,
    {f.IN_PORT, LOCAL, f.ETH_TYPE},
)
SPOOF = _table(
    10,
    "SPOOF",
    "frames from workloads: those of protocols that a port may speak go on",
    Reason.ETHERTYPE,
    {f.IN_PORT, f.ETH_TYPE, f.ARP_OP},
)
SPOOF_ARP = _table(
    11, "SPOOF_ARP", "ARP only with the port's own MAC and address", Reason.ARP_SPOOF, {f.IN_PORT}, _L2, _ARP
)
SPOOF_IP = _table(
    12,
    "SPOOF_IP",
    "IPv4 and IPv6 only from a (MAC, address) pair of the port",
    Reason.IP_SPOOF,
    {f.IN_PORT, f.IP_TTL},
    _L2,
    _L3,
    _PORTS,
)
SPOOF_ND = _table(
    13,
    "SPOOF_ND",
    "neighbour discovery only with the port's own MAC and address",
    Reason.ND_SPOOF,
    {f.IN_PORT, f.IP_TTL},
    _L2,
    _L3,
    _ICMP,
    _ND,
)
ON_LINK = _table(
    14,
    "ON_LINK",
    "neighbour discovery of workloads, which has to stay on the link",
    Reason.OFF_LINK,
    {ZONE, f.IP_TTL},
    _L3,
    _ICMP,
)
ADMIT = _table(
    15,
    "ADMIT",
    "checked frames from workloads: neighbour discovery and DHCP apart, no broadcast, the rest is tracked",
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
    "IP from an uplink with a local port's address: where a router joins subnets, ask conntrack",
    Reason.UPLINK_SPOOF,
    {ZONE, f.ETH_DST, f.ETH_TYPE, f.IP_FRAG},
)
RETURNED_TRACKED = _table(
    17, "RETURNED_TRACKED", "back from conntrack, as in TRACKED", Reason.NOT_TRACKED, _TRACKED
)
RETURNED_BY = _table(
    18,
    "RETURNED_BY",
    "to which router's MAC did packets of this connection and direction go?",
    Reason.NOT_TRACKED,
    {f.CT_STATE},
)
ROUTER_MAC = _table(
    19,
    "ROUTER_MAC",
    "from a router only with that MAC: two bits of both MACs make a clause, each of the 24 must hold",
    Reason.UPLINK_SPOOF,
    {f.ETH_SRC, LOCAL, f.CONJ_ID},
)
CONNTRACK = _table(
    20,
    "CONNTRACK",
    "one conntrack lookup per packet; no fragments of a port without a rule for their ethertype",
    Reason.NOT_TRACKED,
    {f.ETH_TYPE, f.IP_FRAG, SOURCE, DESTINATION},
)
TRACKED = _table(
    21,
    "TRACKED",
    "back from conntrack: not what it lets go untracked, which comes with another packet's registers",
    Reason.NOT_TRACKED,
    _TRACKED,
)
BUDGET = _table(
    22,
    "BUDGET",
    "what a workload may say without a rule, in all: a meter for each port",
    Miss.RETURN,
    {f.IN_PORT},
)
SENDER = _table(
    23,
    "SENDER",
    "frames with a MAC of the port: by protocol to their checks",
    Reason.ETHERTYPE,
    {f.IN_PORT, f.ETH_SRC, f.ETH_TYPE},
)
OWN_ARP = _table(
    24,
    "OWN_ARP",
    "the MAC that ARP tells against the source MAC in LOCAL, bit by bit",
    Reason.ARP_SPOOF,
    {f.ETH_TYPE, LOCAL, f.ARP_SHA},
)
OWN_ADDRESS = _table(
    25,
    "OWN_ADDRESS",
    "the address that ARP tells against one of the port's in PREFIX (address, mask), bit by bit",
    Reason.ARP_SPOOF,
    {f.ETH_TYPE, PREFIX, f.ARP_SPA},
)
OTHER_ADDRESS = _table(
    26,
    "OTHER_ADDRESS",
    "the next of the port's addresses, or none: it is forged",
    Reason.ARP_SPOOF,
    {f.IN_PORT, PREFIX},
)
LINK_MESSAGE = _table(
    27,
    "LINK_MESSAGE",
    "ICMPv6 of the kinds that run a link: such a message in the right form, else a packet like any other",
    Reason.NOT_TRACKED,
    {FLAGS, MEMBER, f.IP_TTL},
    _L2,
    _L3,
    _ICMP,
)
OWN_LINK = _table(
    28,
    "OWN_LINK",
    "the link address of neighbour discovery against the source MAC in LOCAL, bit by bit",
    Reason.ND_SPOOF,
    {LOCAL, f.ETH_TYPE, f.IP_PROTO, *_ICMP, f.ND_SLL, f.ND_TLL},
)
NO_LINK = _table(
    29,
    "NO_LINK",
    "another link address is forged, none is not",
    Reason.ND_SPOOF,
    {f.ETH_TYPE, f.IP_PROTO, *_ICMP, f.ND_SLL, f.ND_TLL},
)
SOURCE_CHECK = _table(
    30,
    "SOURCE_CHECK",
    "the sender's side: asks its egress rules, or for a reply its ingress rules",
    Reason.NOT_TRACKED,
    {f.ETH_TYPE, f.CT_STATE, SOURCE},
)
RELATED = _table(
    31,
    "RELATED",
    "an ICMP error about a connection: its sender must be an end of it; then as for the connection",
    Reason.FORGED_ERROR,
    {f.IN_PORT, f.ETH_TYPE, f.CT_STATE, f.CT_NW_SRC, f.CT_NW_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST},
)
SOURCE_STATELESS = _table(
    32, "SOURCE_STATELESS", "the sender's side without connections: every packet by itself", Miss.RETURN
)
SOURCE_VERDICT = _table(33, "SOURCE_VERDICT", "drop unless a rule was found", Reason.EGRESS_POLICY, {VERDICT})
ANNOUNCED = _table(
    34,
    "ANNOUNCED",
    "ARP requests to everybody: one for the sender's own address is an announcement, and told to all",
    Reason.UNREADABLE,
    _ARP,
    {f.ETH_TYPE},
)
NEIGHBOUR = _table(
    35,
    "NEIGHBOUR",
    "requests go to the owner of the address only; announcements of an own address go to all",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, f.IP_TTL},
    _L2,
    _L3,
    _ARP,
    _ICMP,
    _ND,
)
FORWARD = _table(
    36,
    "FORWARD",
    "destination MAC → local port and its identity",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, SOURCE},
    _L2,
    _L3,
)
HOLDER = _table(
    37,
    "HOLDER",
    "learned: MAC that several ports may use → the port that used it last, or ELSEWHERE",
    Miss.RETURN,
    {ZONE, f.ETH_DST, f.ETH_SRC},
)
HOLDER_OUT = _table(
    38,
    "HOLDER_OUT",
    "MAC that several ports may use → the learned holder, or all who may be it while none is learned",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, OUT, f.ETH_DST},
)
ALL_HOLDERS = _table(
    39, "ALL_HOLDERS", "to all local ports that may use a MAC", Miss.RETURN, {ZONE, f.ETH_DST}
)
ANNOUNCING = _table(
    40,
    "ANNOUNCING",
    "ARP of workloads: announcements of an own address, and the question whether it is taken",
    Reason.UNKNOWN_DESTINATION,
    {f.IN_PORT, f.ETH_SRC, f.ETH_TYPE, f.ARP_OP, f.ARP_SPA, f.ARP_TPA},
)
VIA_ROUTER = _table(
    41,
    "VIA_ROUTER",
    "to another subnet of the network, by a router outside: the connection notes the router's MAC",
    Reason.NOT_TRACKED,
    _TRACKED,
)
BROADCAST = _table(
    42, "BROADCAST", "what every local port of a network must see, in chunks", Miss.RETURN, {ZONE, OUT}
)
SHARED = _table(
    43,
    "SHARED",
    "VRRP, to every local port that has an allowed address pair, as its rules say, in chunks",
    Miss.RETURN,
    {ZONE, OUT},
)
LISTENERS = _table(
    44,
    "LISTENERS",
    "what is for routers, servers and the like outside goes to ports without port security, too, in chunks",
    Miss.RETURN,
    {ZONE, OUT},
)
EXIT = _table(
    45,
    "EXIT",
    "out of an uplink, or to a MAC behind a port without port security: commits new connections",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, *_TRACKED},
)
FDB = _table(
    46,
    "FDB",
    "MACs behind uplinks and ports without port security, learned from their frames: MAC → OpenFlow port",
    Miss.RETURN,
    {ZONE, f.ETH_DST, f.ETH_SRC},
)
UPLINK_OUT = _table(
    47,
    "UPLINK_OUT",
    "where the MAC was learned, or all uplinks of the network when it was not; tags",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, OUT, f.IN_PORT},
)
RECEIVER = _table(
    48,
    "RECEIVER",
    "ARP and IP only for the receiver's own addresses",
    Reason.NOT_TRACKED,
    {f.CT_STATE, DESTINATION, OUT, VIEW},
    _L3,
    _ARP,
)
DEST_CONNTRACK = _table(
    49,
    "DEST_CONNTRACK",
    "what is untracked is tracked for the receiver, fragments as in CONNTRACK, messages of the link never",
    Reason.NOT_TRACKED,
    {f.CT_STATE, f.ETH_TYPE, f.IP_FRAG, VIEW, DESTINATION},
)
DEST_TRACKED = _table(50, "DEST_TRACKED", "back from conntrack, as in TRACKED", Reason.NOT_TRACKED, _TRACKED)
DEST_CHECK = _table(
    51,
    "DEST_CHECK",
    "the receiver's side: asks its ingress rules, or for a reply its egress rules",
    Reason.NOT_TRACKED,
    {f.CT_STATE, f.ETH_TYPE},
)
DEST_STATELESS = _table(
    52,
    "DEST_STATELESS",
    "the receiver's side without connections: every packet by itself, apart from messages of the link",
    Reason.NOT_TRACKED,
    {f.CT_STATE, f.ETH_TYPE, VIEW},
)
DEST_VERDICT = _table(53, "DEST_VERDICT", "drop unless a rule was found", Reason.INGRESS_POLICY, {VERDICT})
ASKED = _table(
    54, "ASKED", "ARP of workloads: the address that it is about, first", Reason.UNKNOWN_DESTINATION, set()
)
IN_SUBNET = _table(
    55,
    "IN_SUBNET",
    "that address against a subnet of the network in PREFIX (address, mask), bit by bit",
    Reason.UNKNOWN_DESTINATION,
    {PREFIX, f.ETH_TYPE, f.ARP_TPA},
)
OTHER_SUBNET = _table(
    56,
    "OTHER_SUBNET",
    "the next of the network's subnets, or none: nobody here has the address",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, PREFIX},
)
NOBODY = _table(
    57,
    "NOBODY",
    "ARP about an address that nobody here has",
    Reason.UNKNOWN_DESTINATION,
    {f.ETH_DST, f.ETH_TYPE, f.ARP_OP},
)
HOP_LIMIT = _table(
    58,
    "HOP_LIMIT",
    "the hop limit against the one that is demanded, bit by bit: MEMBER has both",
    Miss.RETURN,
    {MEMBER, f.ETH_TYPE},
)
VRRP = _table(
    59,
    "VRRP",
    "what a port with an allowed address pair says as a virtual router, with the hop limit compared",
    Reason.NOT_TRACKED,
    {MEMBER, f.IP_TTL},
    _L2,
    _L3,
)
EGRESS_ANY = _table(60, "EGRESS_ANY", "egress rules to any remote", Miss.RETURN, _RULES)
EGRESS_MEMBER = _table(
    61, "EGRESS_MEMBER", "remote address → its groups' identity", Miss.RETURN, {ZONE}, _REMOTE
)
EGRESS_PREFIX = _table(62, "EGRESS_PREFIX", "remote address → its prefixes' identity", Miss.RETURN, _REMOTE)
EGRESS_RULES = _table(63, "EGRESS_RULES", "egress rules to named remotes", Miss.RETURN, _RULES)
KNOWN = _table(
    64,
    "KNOWN",
    "the address that ARP is about against those of ports here, from the bits on that the mask in PREFIX has",
    Reason.UNKNOWN_DESTINATION,
    {ZONE, PREFIX, f.ETH_TYPE, f.ARP_TPA},
)
PROTOCOL = _table(
    65,
    "PROTOCOL",
    "the IP protocol against those that rules name, bit by bit: MEMBER has what was read of it",
    Miss.RETURN,
    {MEMBER, FLAGS, f.ETH_TYPE},
)
FRAGMENTS = _table(
    66,
    "FRAGMENTS",
    "fragments before they wait in conntrack: a meter for each port, sending or receiving",
    Miss.RETURN,
    {f.IN_PORT, OUT},
)
NETWORK_FRAGMENTS = _table(
    67,
    "NETWORK_FRAGMENTS",
    "fragments before they wait in conntrack: a meter for all of a network",
    Miss.RETURN,
    {ZONE},
)
INGRESS_ANY = _table(70, "INGRESS_ANY", "ingress rules from any remote", Miss.RETURN, _RULES)
INGRESS_MEMBER = _table(
    71, "INGRESS_MEMBER", "remote address → its groups' identity", Miss.RETURN, {ZONE}, _REMOTE
)
INGRESS_PREFIX = _table(72, "INGRESS_PREFIX", "remote address → its prefixes' identity", Miss.RETURN, _REMOTE)
INGRESS_RULES = _table(73, "INGRESS_RULES", "ingress rules from named remotes", Miss.RETURN, _RULES)
OUTPUT = _table(80, "OUTPUT", "to the local port; commits new connections", Reason.NOT_TRACKED, _TRACKED)
COMMITTED = _table(
    81,
    "COMMITTED",
    "fragments that began a connection, back from conntrack: on to the local port or the uplinks",
    Reason.NOT_TRACKED,
    {f.CT_STATE, OUT},
)
DROP = _table(90, "DROP", "the one place where packets die, counted by reason", Reason.UNKNOWN_PORT, {REASON})
DROPPED = _table(
    91,
    "DROPPED",
    "one learned flow per port and reason that there has been: it counts",
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
