"""The flows that every bridge has, whatever the policy: they tie the tables together."""

from __future__ import annotations

from collections.abc import Iterator

from flows import fields as f
from flows import pipeline as p
from flows.actions import Action, Clone, Conntrack, Learn, Move, OutputRegister, Resubmit, SetField
from flows.fields import Match, ct_state
from flows.flow import Flow
from flows.pipeline import Priority, RuleTables, Table
from flows.reasons import Reason
from flows.services import IPV4_TERM, IPV6_TERM, UDP

UNTAGGED = f.VLAN_VID(0)
ARP_TERM = f.ETH_TYPE(0x0806)
GROUP_MAC = f.ETH_DST(1 << 40, 1 << 40)
UDP4 = (IPV4_TERM, f.IP_PROTO(UDP))
UDP6 = (IPV6_TERM, f.IP_PROTO(UDP))
DHCP_FROM_SERVER = (*UDP4, f.UDP_SRC(67), f.UDP_DST(68))
LIMITED_BROADCAST = f.IPV4_DST(0xFFFFFFFF)
MULTICAST6 = f.IPV6_DST(0xFF << 120, 0xFF << 120)
DHCP_FROM_CLIENT = (*UDP4, f.UDP_SRC(68), f.UDP_DST(67))
DHCPV6_FROM_SERVER = (*UDP6, f.UDP_SRC(547), f.UDP_DST(546))
DHCPV6_FROM_CLIENT = (*UDP6, f.UDP_SRC(546), f.UDP_DST(547))
VRRP_MAC4, VRRP_MAC6 = f.ETH_DST(0x01005E000012), f.ETH_DST(0x333300000012)
VRRP4 = (VRRP_MAC4, IPV4_TERM, f.IPV4_DST(0xE0000012), f.IP_PROTO(112), f.IP_TTL(255))
VRRP6 = (VRRP_MAC6, IPV6_TERM, f.IPV6_DST(0xFF02 << 112 | 0x12), f.IP_PROTO(112), f.IP_TTL(255))
"""Advertisements of virtual routers (RFC 5798 section 5.1); a TTL of 255 shows that they were not routed."""
ARP_REQUEST, ARP_REPLY = 1, 2
READABLE_ARP: tuple[Match, ...] = ((ARP_TERM, f.ARP_OP(ARP_REQUEST)), (ARP_TERM, f.ARP_OP(ARP_REPLY)))
TRACKED, UNTRACKED = ct_state("+trk"), ct_state("-trk")
INVALID = ct_state("+inv+trk")
NEW = ct_state("+new+trk")
ORIGINAL = ct_state("-rpl+trk")
REPLY = ct_state("+rpl+trk")
RELATED = ct_state("+rel-inv+trk")

MLD_QUERY, MLD_REPORT, MLD_DONE, MLDV2_REPORT = 130, 131, 132, 143
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, REDIRECT = 133, 134, 137
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136


def icmpv6(kind: int) -> Match:
    """ICMPv6 of one type and the code that all messages of a link have (RFC 4861 section 4, RFC 3810)."""
    return (IPV6_TERM, f.IP_PROTO(58), f.ICMPV6_TYPE(kind), f.ICMPV6_CODE(0))


ESSENTIAL_UNICAST: tuple[Match, ...] = (
    DHCP_FROM_SERVER,
    DHCPV6_FROM_SERVER,
    *map(icmpv6, (NEIGHBOUR_ADVERTISEMENT, ROUTER_ADVERTISEMENT, REDIRECT, MLD_QUERY)),
)
"""What the network's own machinery sends to a port; it is neither tracked nor asked of the rules."""


def call(table: Table) -> Resubmit:
    """Look up in another table."""
    return Resubmit(table.id)


def drop(reason: Reason) -> tuple[Action, ...]:
    """Note the reason and go where packets die."""
    return (SetField(p.REASON, reason), call(p.DROP))


COMMIT: Action = Clone((Conntrack(p.ZONE, commit=True),))
"""Remember the connection. What else the tracker lets go at that moment ends with the copy."""
COMMIT_WHOLE: Action = Conntrack(p.ZONE, p.COMMITTED.id, commit=True)
"""The same for fragments: those of which the first was refused wait here, and never become whole."""
DISCARD_LEFT_OVER: Action = Clone((Conntrack(p.NO_NETWORK),))
"""Of a packet in more fragments than fit a batch, the tracker adds the rest to whatever it looks up next.

In a zone of no network, where copies of fragments do not meet the fragments themselves.
"""
NO_FRAGMENT = f.IP_FRAG(0, f.FRAG_LATER)

RECEIVER_REASONS = frozenset({Reason.INGRESS_POLICY})
"""Drops that are counted for the receiving port; all others are the sender's."""

TELL_ALL: tuple[Action, ...] = (SetField(p.OUT, 0), call(p.BROADCAST), call(p.EXIT))
"""To every local port of the network but the sender, and out of its uplinks."""
FIND_UPLINK: tuple[Action, ...] = (call(p.FDB), call(p.UPLINK_OUT))
"""Out of the uplink where the destination has been seen, or of all."""
TELL_OUTSIDE: tuple[Action, ...] = (SetField(p.OUT, 0), call(p.LISTENERS), call(p.EXIT))
"""To the local ports without port security, and out of the network's uplinks."""
TELL_SHARERS: tuple[Action, ...] = (SetField(p.OUT, 0), call(p.SHARED), *TELL_OUTSIDE)
"""To the local ports that have an allowed address pair, and as `TELL_OUTSIDE`."""
TOLD_TO_ALL: tuple[Match, ...] = (
    READABLE_ARP[1],
    DHCP_FROM_SERVER,
    *map(icmpv6, (NEIGHBOUR_ADVERTISEMENT, ROUTER_ADVERTISEMENT, MLD_QUERY)),
)
"""What every port must hear when somebody trusted says it to a group address."""


def static_flows() -> list[Flow]:
    """All of them, in no particular order."""
    return [
        *_misses(),
        *_classify(),
        *_uplink_delivery(),
        *_spoof(),
        *_admit(),
        *_track(),
        *_checks(),
        *_delivery(),
        *_rule_tables(p.EGRESS_TABLES),
        *_rule_tables(p.INGRESS_TABLES),
    ]


def _misses() -> Iterator[Flow]:
    for table in p.TABLES:
        if isinstance(table.miss, Reason) and table is not p.DROP:
            yield Flow(table, Priority.MISS, (), drop(table.miss))
    for reason in Reason:
        yield Flow(p.DROP, Priority.NORMAL, (p.REASON(reason),), _count(reason))


def _count(reason: Reason) -> tuple[Action, ...]:
    """Count the drop for the port that it concerns: the receiver where it refused, else the sender."""
    port = p.OUT if reason in RECEIVER_REASONS else f.IN_PORT
    counter = Learn(
        table=p.DROPPED.id,
        priority=Priority.NORMAL,
        cookie=p.DROPS_COOKIE,
        idle_timeout=0,
        limit=p.DROPS_LIMIT,
        matches=((p.REASON, p.REASON), (port, port)),
    )
    return (counter, call(p.DROPPED))


def _classify() -> Iterator[Flow]:
    group_bit = 1 << 40
    for match in (f.ETH_SRC(group_bit, group_bit), f.ETH_SRC(0)):
        yield Flow(p.CLASSIFY, Priority.GUARD + 200, (match,), drop(Reason.BAD_SOURCE_MAC))
    tag_present = 0x1000
    yield Flow(p.CLASSIFY, Priority.GUARD, (f.VLAN_VID(tag_present, tag_present),), drop(Reason.VLAN_TAG))


def _uplink_delivery() -> Iterator[Flow]:
    """Frames for local ports have flows of their own; here is what is common to all networks."""
    table = p.UPLINK_DELIVER
    yield from _unreadable_from_uplinks()
    for match in (*READABLE_ARP, icmpv6(NEIGHBOUR_SOLICITATION)):
        yield Flow(table, Priority.HIGH, match, (call(p.NEIGHBOUR),))
    for match in ESSENTIAL_UNICAST:
        yield Flow(table, Priority.HIGH, match, (call(p.FORWARD),))
    for match in TOLD_TO_ALL:
        yield Flow(table, Priority.GUARD, (GROUP_MAC, *match), TELL_ALL)
    for match in (VRRP4, VRRP6):
        yield Flow(table, Priority.GUARD, match, TELL_SHARERS)
    yield Flow(table, Priority.LOW, (GROUP_MAC,), TELL_OUTSIDE)
    yield Flow(table, Priority.DEFAULT, (), (call(p.EXIT),))


def _unreadable_from_uplinks() -> Iterator[Flow]:
    """What Open vSwitch reads as empty passes every guard of a local port's address."""
    yield Flow(p.UPLINK_DELIVER, Priority.NORMAL + 50, (ARP_TERM,), drop(Reason.UNREADABLE))
    for kind in (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT):
        match = (*icmpv6(kind), f.ND_TARGET(0))
        yield Flow(p.UPLINK, Priority.GUARD, match, drop(Reason.UNREADABLE))


def _spoof() -> Iterator[Flow]:
    for readable in READABLE_ARP:
        yield Flow(p.SPOOF, Priority.NORMAL, readable, (call(p.SPOOF_ARP),))
    yield Flow(p.SPOOF, Priority.LOW, (ARP_TERM,), drop(Reason.UNREADABLE))
    yield Flow(p.SPOOF, Priority.NORMAL, (IPV4_TERM,), (call(p.SPOOF_IP),))
    yield Flow(p.SPOOF, Priority.NORMAL, (IPV6_TERM,), (call(p.SPOOF_IP),))
    yield from _spoof_neighbour()


def _spoof_neighbour() -> Iterator[Flow]:
    """A message that Open vSwitch cannot parse reads as one without target and link address."""
    solicitation, advertisement = icmpv6(NEIGHBOUR_SOLICITATION), icmpv6(NEIGHBOUR_ADVERTISEMENT)
    yield Flow(p.SPOOF_ND, Priority.LOW, (*solicitation, f.ND_SLL(0)), (call(p.NEIGHBOUR),))
    unspecified = (IPV6_TERM, f.IPV6_SRC(0), *solicitation[1:])
    yield Flow(p.SPOOF_ND, Priority.NORMAL, unspecified, drop(Reason.ND_SPOOF))
    for message in (solicitation, advertisement):
        yield Flow(p.SPOOF_ND, Priority.GUARD, (*message, f.ND_TARGET(0)), drop(Reason.ND_SPOOF))


def _admit() -> Iterator[Flow]:
    yield from _admit_unrestricted()
    for match, actions in _admit_control():
        yield Flow(p.ADMIT, Priority.HIGH, match, actions)
    unspecified: tuple[Match, ...] = ((IPV4_TERM, f.IPV4_SRC(0)), (IPV6_TERM, f.IPV6_SRC(0)))
    for match in unspecified:
        yield Flow(p.ADMIT, Priority.NORMAL, match, drop(Reason.UNSPECIFIED_SOURCE))
    multicast: tuple[Match, ...] = (
        (GROUP_MAC,),
        (IPV4_TERM, f.IPV4_DST(0xE0000000, 0xF0000000)),
        (IPV4_TERM, LIMITED_BROADCAST),
        (IPV6_TERM, MULTICAST6),
    )
    for match in multicast:
        yield Flow(p.ADMIT, Priority.LOW, match, drop(Reason.BUM))
    for family in (IPV4_TERM, IPV6_TERM):
        yield Flow(p.ADMIT, Priority.DEFAULT + 5, (p.STATELESS(1), family), (call(p.SOURCE_STATELESS),))
        yield Flow(p.ADMIT, Priority.DEFAULT, (family,), (call(p.CONNTRACK),))


def _admit_control() -> Iterator[tuple[Match, tuple[Action, ...]]]:
    """The protocols that run the network: who may say what, and to whom it goes."""
    for match in (DHCP_FROM_SERVER, DHCPV6_FROM_SERVER):
        yield match, drop(Reason.DHCP_SERVER)
    for kind in (ROUTER_ADVERTISEMENT, REDIRECT, MLD_QUERY):
        yield icmpv6(kind), drop(Reason.ROUTER_ADVERTISEMENT)
    # To one address they are packets like any other: a channel that no rule governs would be left open.
    yield (*DHCP_FROM_CLIENT, LIMITED_BROADCAST), TELL_OUTSIDE
    yield (*DHCPV6_FROM_CLIENT, MULTICAST6), TELL_OUTSIDE
    for kind in (ROUTER_SOLICITATION, MLD_REPORT, MLD_DONE, MLDV2_REPORT):
        yield (*icmpv6(kind), MULTICAST6), TELL_OUTSIDE
    for kind in (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT):
        yield icmpv6(kind), (call(p.SPOOF_ND),)


def _admit_unrestricted() -> Iterator[Flow]:
    """A port without port security speaks as an uplink does, but its packets are tracked."""
    source = p.SOURCE(p.UNRESTRICTED)
    ranked: tuple[tuple[Match, tuple[Action, ...]], ...] = (
        ((), (call(p.FORWARD),)),
        ((IPV6_TERM,), (call(p.CONNTRACK),)),
        ((IPV4_TERM,), (call(p.CONNTRACK),)),
        *((match, (call(p.FORWARD),)) for match in ESSENTIAL_UNICAST),
        ((GROUP_MAC,), TELL_OUTSIDE),
        (icmpv6(NEIGHBOUR_ADVERTISEMENT), (call(p.NEIGHBOUR),)),
        (icmpv6(NEIGHBOUR_SOLICITATION), (call(p.NEIGHBOUR),)),
        ((ARP_TERM,), (call(p.NEIGHBOUR),)),
        *(((GROUP_MAC, *match), TELL_ALL) for match in TOLD_TO_ALL),
        *(((group,), TELL_SHARERS) for group in (VRRP_MAC4, VRRP_MAC6)),
    )
    for rank, (match, actions) in enumerate(ranked):
        yield Flow(p.ADMIT, Priority.GUARD + rank, (source, *match), actions)


def _track() -> Iterator[Flow]:
    """Only what is tracked goes on."""
    sender = (), p.CONNTRACK, p.TRACKED, p.SOURCE_CHECK
    receiver = (UNTRACKED,), p.DEST_CONNTRACK, p.DEST_TRACKED, p.DEST_CHECK
    for untracked, before, after, check in (sender, receiver):
        for family in (IPV4_TERM, IPV6_TERM):
            yield Flow(before, Priority.NORMAL, (*untracked, family), (Conntrack(p.ZONE, after.id),))
            yield Flow(after, Priority.NORMAL, (TRACKED, family, NO_FRAGMENT), (call(check),))
            yield Flow(after, Priority.DEFAULT, (TRACKED, family), (DISCARD_LEFT_OVER, call(check)))
    yield Flow(p.DEST_CONNTRACK, Priority.DEFAULT, (TRACKED,), (call(p.DEST_CHECK),))


def _checks() -> Iterator[Flow]:
    for trusted in (p.SOURCE(0), p.SOURCE(p.UNRESTRICTED)):
        yield Flow(p.SOURCE_CHECK, Priority.GUARD, (trusted,), (call(p.FORWARD),))
    yield Flow(p.SOURCE_CHECK, Priority.NORMAL + 60, (RELATED,), (call(p.RELATED),))
    yield from _ask(p.SOURCE_CHECK, p.SOURCE, p.EGRESS_TABLES, p.INGRESS_TABLES, p.SOURCE_VERDICT)
    stateless = question(p.SOURCE, p.EGRESS_TABLES, p.SOURCE_VERDICT, p.BY_HEADER)
    yield Flow(p.SOURCE_STATELESS, Priority.DEFAULT, (), stateless)
    yield Flow(p.SOURCE_VERDICT, Priority.NORMAL, (p.VERDICT(0),), drop(Reason.EGRESS_POLICY))
    yield Flow(p.SOURCE_VERDICT, Priority.DEFAULT, (), (call(p.FORWARD),))

    yield Flow(p.RECEIVER, Priority.GUARD, (p.DESTINATION(p.UNRESTRICTED),), (call(p.OUTPUT),))
    for match in ((ARP_TERM,), icmpv6(NEIGHBOUR_SOLICITATION), *ESSENTIAL_UNICAST):
        yield Flow(p.RECEIVER, Priority.HIGH, (UNTRACKED, *match), (call(p.OUTPUT),))
    yield from _ask(p.DEST_CHECK, p.DESTINATION, p.INGRESS_TABLES, p.EGRESS_TABLES, p.DEST_VERDICT)
    stateless = question(p.DESTINATION, p.INGRESS_TABLES, p.DEST_VERDICT, p.BY_HEADER)
    for family in (IPV4_TERM, IPV6_TERM):
        yield Flow(p.RECEIVER, Priority.LOW, (family,), drop(Reason.FOREIGN_ADDRESS))
        yield Flow(p.DEST_STATELESS, Priority.DEFAULT, (family,), stateless)
    yield Flow(p.DEST_VERDICT, Priority.NORMAL, (p.VERDICT(0),), drop(Reason.INGRESS_POLICY))
    yield Flow(p.DEST_VERDICT, Priority.DEFAULT, (), (call(p.OUTPUT),))


def _ask(
    table: Table, identity: f.Field, original: RuleTables, reply: RuleTables, verdict: Table
) -> Iterator[Flow]:
    """One side of the check: a reply is judged by the rules that let its connection be opened."""
    yield Flow(table, Priority.NORMAL + 50, (INVALID,), drop(Reason.INVALID))
    yield Flow(table, Priority.NORMAL + 10, (NEW,), question(identity, original, verdict, p.BY_HEADER))
    yield Flow(table, Priority.NORMAL, (ORIGINAL,), question(identity, original, verdict))
    yield Flow(table, Priority.NORMAL, (REPLY,), question(identity, reply, verdict))


def question(identity: f.Field, tables: RuleTables, verdict: Table, view: int = 0) -> tuple[Action, ...]:
    """Call the rule tables as a subroutine, then let `verdict` act on what they found."""
    arguments = (Move(identity, p.LOCAL), SetField(p.VIEW, view), SetField(p.VERDICT, 0))
    return (*arguments, call(tables.any), call(verdict))


def _rule_tables(tables: RuleTables) -> Iterator[Flow]:
    forget = (SetField(p.MEMBER, 0), SetField(p.PREFIX, 0))
    calls = (call(tables.member), call(tables.prefix), call(tables.rules))
    yield Flow(tables.any, Priority.MISS, (), (*forget, *calls))


def _delivery() -> Iterator[Flow]:
    yield Flow(p.FORWARD, Priority.HIGH, (GROUP_MAC,), drop(Reason.BUM))
    for group in ((VRRP_MAC4, IPV4_TERM), (VRRP_MAC6, IPV6_TERM)):
        yield Flow(p.FORWARD, Priority.GUARD, group, TELL_SHARERS)
    yield Flow(p.FORWARD, Priority.DEFAULT, (), (call(p.EXIT),))
    for announcement in (READABLE_ARP[1], icmpv6(NEIGHBOUR_ADVERTISEMENT)):
        yield Flow(p.NEIGHBOUR, Priority.LOW + 10, (GROUP_MAC, *announcement), TELL_ALL)
    yield Flow(p.NEIGHBOUR, Priority.LOW, (GROUP_MAC,), TELL_OUTSIDE)
    yield Flow(p.NEIGHBOUR, Priority.DEFAULT, (), (call(p.FORWARD),))
    for family in (IPV4_TERM, IPV6_TERM):
        whole = (NEW, family, NO_FRAGMENT)
        yield Flow(p.OUTPUT, Priority.HIGH, whole, (COMMIT, OutputRegister(p.OUT)))
        yield Flow(p.OUTPUT, Priority.NORMAL, (NEW, family), (COMMIT_WHOLE,))
    yield Flow(p.OUTPUT, Priority.DEFAULT, (), (OutputRegister(p.OUT),))
    yield Flow(p.COMMITTED, Priority.NORMAL, (TRACKED, p.OUT(0)), FIND_UPLINK)
    yield Flow(p.COMMITTED, Priority.DEFAULT, (TRACKED,), (OutputRegister(p.OUT),))
