"""The flows that every bridge has, whatever the policy. They connect the tables."""

from __future__ import annotations

from collections.abc import Iterator

from flows.compiler.link_messages import (
    ADVERTISEMENT,
    ADVERTISEMENT_TO_ALL,
    ARP_TERM,
    FROM_CLIENTS,
    GROUP_MAC,
    LIMITED_BROADCAST,
    MULTICAST4,
    MULTICAST6,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    NOT_FORWARDED,
    NOT_ROUTED,
    OF_CLIENTS,
    READABLE_ARP,
    RESERVED_FOR_ROUTERS,
    RESERVED_FOR_SERVERS,
    SOLICITATION,
    SOLICITED_NODE,
    TO_LINK,
    TO_ONE_HOST,
    TOLD_TO_ALL,
    VRRP4,
    VRRP6,
    VRRP_MAC4,
    VRRP_MAC6,
    icmpv6,
)
from flows.compiler.services import ICMPV6, IPV4_TERM, IPV6_TERM, prefix_term
from flows.openflow import fields as f
from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, Clone, Conntrack, Learn, Move, OutputRegister, Resubmit, SetField
from flows.openflow.fields import Match, Term, ct_state
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.openflow.pipeline import RuleTables
from flows.openflow.reasons import Reason
from flows.openflow.table import Table
from flows.policy.objects import Prefix

UNTAGGED = f.VLAN_VID(0)
REQUEST_TO_ALL: Match = (GROUP_MAC, *READABLE_ARP[0])
TRACKED, UNTRACKED = ct_state("+trk"), ct_state("-trk")
INVALID = ct_state("+inv+trk")
NEW = ct_state("+new+trk")
ORIGINAL = ct_state("-rpl+trk")
REPLY = ct_state("+rpl+trk")
RELATED = ct_state("+rel-inv+trk")


def call(table: Table) -> Resubmit:
    """Look the packet up in another table."""
    return Resubmit(table.id)


def drop(reason: Reason) -> tuple[Action, ...]:
    """Set the reason and go to the table DROP, which counts the packet."""
    return (SetField(r.REASON, reason), call(p.DROP))


COMMIT: Action = Clone((Conntrack(r.ZONE, commit=True),))
"""Commit the connection with a copy of the packet. What else the tracker releases then ends with the copy."""
COMMIT_WHOLE: Action = Conntrack(r.ZONE, p.COMMITTED.id, commit=True)
"""The same for fragments. If the first fragment was refused, the others wait here and never become whole."""
DISCARD_LEFT_OVER: Action = Clone((Conntrack(r.NO_NETWORK),))
"""If a packet has more fragments than fit a batch, the tracker adds the rest to whatever it looks up next.

This lookup takes the rest. Its zone is that of no network, where copies of fragments do not meet the
fragments themselves.
"""
STATELESS = r.FLAGS(r.STATELESS, r.STATELESS)
UNNAMED = r.FLAGS(r.UNNAMED, r.UNNAMED)
NO_FRAGMENT = f.IP_FRAG(0, f.FRAG_LATER)

RECEIVER_REASONS = frozenset({Reason.INGRESS_POLICY, Reason.INGRESS_FRAGMENT})
"""Drops that are counted for the receiving port. All others are counted for the sender."""

TELL_ALL: tuple[Action, ...] = (SetField(r.OUT, 0), call(p.BROADCAST), call(p.EXIT))
"""To every local port of the network except the sender, and out of the network's uplinks."""
FIND_UPLINK: tuple[Action, ...] = (call(p.FDB), call(p.UPLINK_OUT))
"""Out of the uplink on which the destination MAC was learned, or out of all uplinks."""
TELL_OUTSIDE: tuple[Action, ...] = (SetField(r.OUT, 0), call(p.LISTENERS), call(p.EXIT))
"""To the local ports without port security, and out of the network's uplinks."""
TELL_SHARERS: tuple[Action, ...] = (SetField(r.OUT, 0), call(p.SHARED), *TELL_OUTSIDE)
"""To the local ports that have an allowed address pair, and then as in `TELL_OUTSIDE`."""


def exempt(table: Table) -> tuple[Action, ...]:
    """Go to `table` as a message of the link, to which no rules apply."""
    return (SetField(r.VIEW, r.OF_LINK), call(table))


AS_WANTED = r.MEMBER(r.HOPS_AS_WANTED)
_KNOWN_TARGET = r.MEMBER(r.KNOWN_TARGET, r.KNOWN_TARGET)
_TARGET_IN_RANGE = r.MEMBER(r.TARGET_IN_RANGE, r.TARGET_IN_RANGE)
_READ_BIT = 63
"""The bit of MEMBER that holds the bit read last. Below are the wanted hop limit and that bit's number."""


def compare_hops(wanted: int, bit: int = 7) -> tuple[Action, ...]:
    """Compare the hop limit of an IP packet with `wanted`, from `bit` down; if equal, `AS_WANTED` matches."""
    read = Move(f.IP_TTL, r.MEMBER, bit, _READ_BIT, most=1)
    return (SetField(r.MEMBER, wanted << 8 | bit), read, call(p.HOP_LIMIT))


def _hop_limits() -> Iterator[Flow]:
    """Bit by bit: OpenFlow matches a hop limit only as a whole, but can copy single bits into a register."""
    for family, wanted in ((IPV4_TERM, NOT_ROUTED), (IPV6_TERM, NOT_ROUTED), (IPV6_TERM, NOT_FORWARDED)):
        for bit in range(8):
            equal = r.MEMBER((wanted >> bit & 1) << _READ_BIT | wanted << 8 | bit)
            go_on = compare_hops(wanted, bit - 1) if bit else (SetField(r.MEMBER, r.HOPS_AS_WANTED),)
            yield Flow(p.HOP_LIMIT, Priority.NORMAL, (equal, family), go_on)
    yield Flow(p.HOP_LIMIT, Priority.DEFAULT, (), (SetField(r.MEMBER, 0),))


def _vrrp() -> Iterator[Flow]:
    for match in (VRRP4, VRRP6):
        yield Flow(p.VRRP, Priority.NORMAL, (AS_WANTED, *match), (call(p.SOURCE_STATELESS),))
    yield Flow(p.VRRP, Priority.DEFAULT, (), (call(p.ADMIT),))


def on_link(zone: Term, prefix: Prefix) -> Flow:
    """Allow neighbour discovery to the addresses of an IPv6 prefix on a network's link."""
    match = (zone, IPV6_TERM, *prefix_term(f.IPV6_DST, prefix))
    return Flow(p.ON_LINK, Priority.NORMAL, match, exempt(p.NEIGHBOUR))


def with_target(message: Match, prefix: Prefix) -> Match:
    """Match messages of neighbour discovery whose target is in an IPv6 prefix, after SAME_TARGET.

    Open vSwitch compares registers first. So the whole target is looked up only if it is known.
    """
    if not prefix.length:
        return message
    compared = _KNOWN_TARGET if prefix.is_host else _TARGET_IN_RANGE
    return (compared, *message, *prefix_term(f.ND_TARGET, prefix))


ANSWERS = Priority.GUARD + 3
"""The priority in ADMIT of messages that trusted servers send to one host."""


def static_flows() -> list[Flow]:
    """All static flows, in no particular order."""
    return [
        *_misses(),
        *_classify(),
        *_uplink_delivery(),
        *_announced(),
        *_spoof(),
        *_on_link(),
        *_hop_limits(),
        *_vrrp(),
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
        yield Flow(p.DROP, Priority.NORMAL, (r.REASON(reason),), _count(reason))


def _count(reason: Reason) -> tuple[Action, ...]:
    """Count the drop for the receiver if its side refused the packet, or else for the sender."""
    port = r.OUT if reason in RECEIVER_REASONS else f.IN_PORT
    counter = Learn(
        table=p.DROPPED.id,
        priority=Priority.NORMAL,
        cookie=numbers.DROPS_COOKIE,
        idle_timeout=0,
        limit=numbers.DROPS_LIMIT,
        matches=((r.REASON, r.REASON), (port, port)),
    )
    return (counter, call(p.DROPPED))


def _classify() -> Iterator[Flow]:
    group_bit = 1 << 40
    many = f.ETH_SRC(group_bit, group_bit)
    yield Flow(p.CLASSIFY, Priority.GUARD + 200, (many,), drop(Reason.BAD_SOURCE_MAC))
    tag_present = 0x1000
    yield Flow(p.CLASSIFY, Priority.GUARD, (f.VLAN_VID(tag_present, tag_present),), drop(Reason.VLAN_TAG))


def _uplink_delivery() -> Iterator[Flow]:
    """The flows that all networks share. Frames for local ports have flows of their own."""
    table = p.UPLINK_DELIVER
    yield from _unreadable_from_uplinks()
    for match in READABLE_ARP:
        yield Flow(table, Priority.HIGH, match, (call(p.NEIGHBOUR),))
    any_target = SetField(r.MEMBER, r.KNOWN_TARGET)
    yield Flow(table, Priority.HIGH, SOLICITATION, (any_target, *exempt(p.NEIGHBOUR)))
    yield Flow(table, Priority.HIGH, ADVERTISEMENT, exempt(p.NEIGHBOUR))
    for match in TO_ONE_HOST:
        yield Flow(table, Priority.HIGH, match, exempt(p.FORWARD))
    for match in TOLD_TO_ALL:
        yield Flow(table, Priority.GUARD, match, TELL_ALL)
    yield Flow(table, Priority.GUARD, REQUEST_TO_ALL, (call(p.ANNOUNCED),))
    for match in (VRRP4, VRRP6):
        yield Flow(table, Priority.GUARD, match, TELL_SHARERS)
    yield Flow(table, Priority.LOW, (GROUP_MAC,), TELL_OUTSIDE)
    yield Flow(table, Priority.DEFAULT, (), (call(p.EXIT),))


def _announced() -> Iterator[Flow]:
    """Recognise an announcement: an ARP request for the sender's own address (RFC 5227 section 2.3).

    OpenFlow cannot compare two fields, so there are two flows for each bit in which they may differ.
    """
    for bit in (1 << number for number in range(32)):
        for sender, target in ((bit, 0), (0, bit)):
            differs = (ARP_TERM, f.ARP_SPA(sender, bit), f.ARP_TPA(target, bit))
            yield Flow(p.ANNOUNCED, Priority.NORMAL, differs, (call(p.NEIGHBOUR),))
    yield Flow(p.ANNOUNCED, Priority.DEFAULT, (ARP_TERM,), TELL_ALL)


def _unreadable_from_uplinks() -> Iterator[Flow]:
    """Drop messages that Open vSwitch reads as empty: they would pass the guards of ports' addresses."""
    yield Flow(p.UPLINK_DELIVER, Priority.NORMAL + 50, (ARP_TERM,), drop(Reason.UNREADABLE))
    for kind in (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT):
        match = (*icmpv6(kind), f.ND_TARGET(0))
        yield Flow(p.UPLINK, Priority.GUARD, match, drop(Reason.UNREADABLE))


def _spoof() -> Iterator[Flow]:
    for readable in READABLE_ARP:
        yield Flow(p.SPOOF, Priority.NORMAL, readable, (call(p.BUDGET), call(p.OWN_MAC)))
    yield Flow(p.SPOOF, Priority.LOW, (ARP_TERM,), drop(Reason.UNREADABLE))
    yield Flow(p.SENDER, Priority.HIGH, (ARP_TERM,), (call(p.OWN_ARP),))
    for family in (IPV4_TERM, IPV6_TERM):
        yield Flow(p.SPOOF, Priority.NORMAL, (family,), (call(p.OWN_MAC),))
        yield Flow(p.SENDER, Priority.HIGH, (family,), (call(p.SPOOF_IP),))
    yield from _spoof_neighbour()


def _spoof_neighbour() -> Iterator[Flow]:
    """Open vSwitch reads a message that it cannot parse as one without target and link address."""
    yield Flow(p.SPOOF_ND, Priority.LOW, (*SOLICITATION, f.ND_SLL(0)), (call(p.ON_LINK),))
    unspecified = (*SOLICITATION, f.IPV6_SRC(0))
    yield Flow(p.SPOOF_ND, Priority.NORMAL, unspecified, drop(Reason.ND_SPOOF))
    for message in (SOLICITATION, ADVERTISEMENT):
        empty = (r.MEMBER(r.EMPTY_TARGET), *message)
        yield Flow(p.SPOOF_ND, Priority.GUARD, empty, drop(Reason.ND_SPOOF))


def _on_link() -> Iterator[Flow]:
    """The allowed destinations of workloads' neighbour discovery. Subnets have flows of their own."""
    for match in ((*SOLICITATION, SOLICITED_NODE), ADVERTISEMENT_TO_ALL, (IPV6_TERM, TO_LINK)):
        yield Flow(p.ON_LINK, Priority.NORMAL, match, exempt(p.NEIGHBOUR))


def _admit() -> Iterator[Flow]:
    yield from _admit_unrestricted()
    yield from _admit_control()
    many = (GROUP_MAC,), (IPV4_TERM, MULTICAST4), (IPV4_TERM, LIMITED_BROADCAST), (IPV6_TERM, MULTICAST6)
    for table in (p.ADMIT, p.LINK_MESSAGE):
        for match in many:
            yield Flow(table, Priority.LOW, match, drop(Reason.BUM))
        yield from _packets(table, IPV4_TERM, f.IPV4_SRC)
        yield from _packets(table, IPV6_TERM, f.IPV6_SRC)


def _packets(table: Table, family: Term, source: f.Field) -> Iterator[Flow]:
    """Pass ordinary packets on, except those with an unspecified source address."""
    unspecified = (family, source(0))
    yield Flow(table, Priority.NORMAL, unspecified, drop(Reason.UNSPECIFIED_SOURCE))
    yield Flow(table, Priority.DEFAULT + 5, (STATELESS, family), (call(p.SOURCE_STATELESS),))
    yield Flow(table, Priority.DEFAULT, (family,), (call(p.CONNTRACK),))


def _admit_control() -> Iterator[Flow]:
    """Messages that run the link: who may send which, and where they go.

    ICMPv6 is matched by its type first. A single lookup would compare the hop limit of every IPv6 packet.
    Flows that match a hop limit also match a register, which Open vSwitch compares first, so that it does not
    compare the whole of a wrong hop limit.
    """
    for match in RESERVED_FOR_SERVERS:
        yield Flow(p.ADMIT, Priority.HIGH, match, drop(Reason.DHCP_SERVER))
    for match in RESERVED_FOR_ROUTERS:
        yield Flow(p.ADMIT, Priority.HIGH, match, drop(Reason.ROUTER_ADVERTISEMENT))
    for kind, hops in OF_CLIENTS.items():
        yield Flow(p.ADMIT, Priority.HIGH, icmpv6(kind), (*compare_hops(hops), call(p.LINK_MESSAGE)))
    for match in FROM_CLIENTS:
        of_icmp = f.IP_PROTO(ICMPV6) in match
        where = (p.LINK_MESSAGE, (AS_WANTED, *match)) if of_icmp else (p.ADMIT, match)
        yield Flow(where[0], Priority.HIGH, where[1], (call(p.BUDGET), *TELL_OUTSIDE))
    for match in (SOLICITATION, ADVERTISEMENT):
        actions = (call(p.BUDGET), call(p.OWN_LINK))
        yield Flow(p.LINK_MESSAGE, Priority.HIGH, (AS_WANTED, *match), actions)


def _admit_unrestricted() -> Iterator[Flow]:
    """A port without port security may send what an uplink may, but its packets are tracked."""
    source = r.SOURCE(r.UNRESTRICTED)
    ranked: tuple[tuple[Match, tuple[Action, ...]], ...] = (
        ((), (call(p.FORWARD),)),
        ((IPV6_TERM,), (call(p.CONNTRACK),)),
        ((IPV4_TERM,), (call(p.CONNTRACK),)),
        *((match, exempt(p.FORWARD)) for match in TO_ONE_HOST),
        ((GROUP_MAC,), TELL_OUTSIDE),
        (ADVERTISEMENT, exempt(p.NEIGHBOUR)),
        (SOLICITATION, (call(p.TARGET), *exempt(p.NEIGHBOUR))),
        ((ARP_TERM,), (call(p.NEIGHBOUR),)),
        *((match, TELL_ALL) for match in TOLD_TO_ALL),
        (REQUEST_TO_ALL, (call(p.ANNOUNCED),)),
        *(((group,), TELL_SHARERS) for group in (VRRP_MAC4, VRRP_MAC6)),
    )
    assert ranked[ANSWERS - Priority.GUARD][0] is TO_ONE_HOST[0], "above what is tracked"
    for rank, (match, actions) in enumerate(ranked):
        yield Flow(p.ADMIT, Priority.GUARD + rank, (source, *match), actions)


def _track() -> Iterator[Flow]:
    """Only tracked packets go on."""
    sender = (), p.CONNTRACK, p.TRACKED, p.SOURCE_CHECK
    receiver = (UNTRACKED,), p.DEST_CONNTRACK, p.DEST_TRACKED, p.DEST_CHECK
    yield Flow(p.FRAGMENTS, Priority.DEFAULT, (), (call(p.NETWORK_FRAGMENTS),))
    for untracked, before, after, check in (sender, receiver):
        for family in (IPV4_TERM, IPV6_TERM):
            kind, lookup = (*untracked, family), Conntrack(r.ZONE, after.id)
            yield Flow(before, Priority.NORMAL, (*kind, NO_FRAGMENT), (lookup,))
            yield Flow(before, Priority.DEFAULT, kind, (call(p.FRAGMENTS), lookup))
            yield Flow(after, Priority.NORMAL, (TRACKED, family, NO_FRAGMENT), (call(check),))
            yield Flow(after, Priority.DEFAULT, (TRACKED, family), (DISCARD_LEFT_OVER, call(check)))
    yield Flow(p.DEST_CONNTRACK, Priority.DEFAULT, (TRACKED,), (call(p.DEST_CHECK),))
    for before in (p.DEST_CONNTRACK, p.DEST_STATELESS):
        yield Flow(before, Priority.HIGH, (UNTRACKED, r.VIEW(r.OF_LINK)), (call(p.OUTPUT),))


def _checks() -> Iterator[Flow]:
    for trusted in (r.SOURCE(0), r.SOURCE(r.UNRESTRICTED)):
        yield Flow(p.SOURCE_CHECK, Priority.GUARD, (trusted,), (call(p.FORWARD),))
    yield Flow(p.SOURCE_CHECK, Priority.NORMAL + 60, (RELATED,), (call(p.RELATED),))
    yield from _ask(p.SOURCE_CHECK, r.SOURCE, p.EGRESS_TABLES, p.INGRESS_TABLES, p.SOURCE_VERDICT)
    stateless = question(r.SOURCE, p.EGRESS_TABLES, p.SOURCE_VERDICT, r.BY_HEADER)
    yield Flow(p.SOURCE_STATELESS, Priority.DEFAULT, (), stateless)
    yield Flow(p.SOURCE_VERDICT, Priority.NORMAL, (r.VERDICT(0),), drop(Reason.EGRESS_POLICY))
    yield Flow(p.SOURCE_VERDICT, Priority.DEFAULT, (), (call(p.FORWARD),))

    yield Flow(p.RECEIVER, Priority.GUARD, (r.DESTINATION(r.UNRESTRICTED),), (call(p.OUTPUT),))
    to_client = (UNTRACKED, r.VIEW(r.OF_LINK), IPV4_TERM, LIMITED_BROADCAST)
    yield Flow(p.RECEIVER, Priority.HIGH, to_client, (call(p.OUTPUT),))
    # The answer to an ARP probe goes to a host that has no address yet (RFC 5227 section 2.1.1).
    yield Flow(p.RECEIVER, Priority.HIGH, (*READABLE_ARP[1], f.ARP_TPA(0)), (call(p.OUTPUT),))
    yield from _ask(p.DEST_CHECK, r.DESTINATION, p.INGRESS_TABLES, p.EGRESS_TABLES, p.DEST_VERDICT)
    stateless = question(r.DESTINATION, p.INGRESS_TABLES, p.DEST_VERDICT, r.BY_HEADER)
    for family in (ARP_TERM, IPV4_TERM, IPV6_TERM):
        yield Flow(p.RECEIVER, Priority.LOW, (family,), drop(Reason.FOREIGN_ADDRESS))
    for family in (IPV4_TERM, IPV6_TERM):
        yield Flow(p.DEST_STATELESS, Priority.DEFAULT, (family,), stateless)
    yield Flow(p.DEST_VERDICT, Priority.NORMAL, (r.VERDICT(0),), drop(Reason.INGRESS_POLICY))
    yield Flow(p.DEST_VERDICT, Priority.DEFAULT, (), (call(p.OUTPUT),))


def _ask(
    table: Table, identity: f.Field, original: RuleTables, reply: RuleTables, verdict: Table
) -> Iterator[Flow]:
    """One side's check. A reply is judged by the rules that allowed its connection to be opened."""
    yield Flow(table, Priority.NORMAL + 50, (INVALID,), drop(Reason.INVALID))
    yield Flow(table, Priority.NORMAL + 10, (NEW,), question(identity, original, verdict, r.BY_HEADER))
    yield Flow(table, Priority.NORMAL, (ORIGINAL,), question(identity, original, verdict))
    yield Flow(table, Priority.NORMAL, (REPLY,), question(identity, reply, verdict))


def question(identity: f.Field, tables: RuleTables, verdict: Table, view: int = 0) -> tuple[Action, ...]:
    """Call the rule tables as a subroutine, then the table `verdict`, which acts on their result."""
    arguments = (Move(identity, r.LOCAL), SetField(r.VIEW, view), SetField(r.VERDICT, 0))
    return (*arguments, call(tables.any), call(verdict))


def _rule_tables(tables: RuleTables) -> Iterator[Flow]:
    forget = (SetField(r.MEMBER, 0), SetField(r.PREFIX, 0))
    calls = (call(tables.member), call(tables.prefix), call(tables.rules))
    yield Flow(tables.any, Priority.MISS, (), (*forget, *calls))
    yield Flow(tables.any, Priority.UNNAMED, (UNNAMED,), (*forget, *calls))
    yield Flow(tables.rules, Priority.UNNAMED, (UNNAMED,), (SetField(r.VERDICT, 0),))


def _delivery() -> Iterator[Flow]:
    yield Flow(p.FORWARD, Priority.HIGH, (GROUP_MAC,), drop(Reason.BUM))
    for group in ((VRRP_MAC4, IPV4_TERM), (VRRP_MAC6, IPV6_TERM)):
        yield Flow(p.FORWARD, Priority.GUARD, group, TELL_SHARERS)
    yield Flow(p.FORWARD, Priority.DEFAULT, (), (call(p.EXIT),))
    for announcement in (READABLE_ARP[1], ADVERTISEMENT_TO_ALL):
        yield Flow(p.NEIGHBOUR, Priority.LOW + 10, (GROUP_MAC, *announcement), TELL_ALL)
    asks_for_nothing = (r.MEMBER(r.EMPTY_TARGET), GROUP_MAC, *SOLICITATION)  # could not be parsed
    yield Flow(p.NEIGHBOUR, Priority.GUARD, asks_for_nothing, TELL_OUTSIDE)
    yield Flow(p.NEIGHBOUR, Priority.LOW, (GROUP_MAC,), TELL_OUTSIDE)
    yield Flow(p.NEIGHBOUR, Priority.DEFAULT, (), (call(p.FORWARD),))
    for family in (IPV4_TERM, IPV6_TERM):
        whole = (NEW, family, NO_FRAGMENT)
        yield Flow(p.OUTPUT, Priority.HIGH, whole, (COMMIT, OutputRegister(r.OUT)))
        yield Flow(p.OUTPUT, Priority.NORMAL, (NEW, family), (COMMIT_WHOLE,))
    yield Flow(p.OUTPUT, Priority.DEFAULT, (), (OutputRegister(r.OUT),))
    yield Flow(p.COMMITTED, Priority.NORMAL, (TRACKED, r.OUT(0)), FIND_UPLINK)
    yield Flow(p.COMMITTED, Priority.DEFAULT, (TRACKED,), (OutputRegister(r.OUT),))
