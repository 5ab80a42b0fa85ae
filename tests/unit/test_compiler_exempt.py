"""Every path through the flows that reaches a device without checking rules, and the conditions it needs.

The paths are found in the compiled flows, table by table, with all conditions that hold on them. So a new
flow that lets traffic out is found automatically, and fails unless it has the conditions required here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from flows.compiler.bitwise_checks import COMPARING
from flows.compiler.bridge import LocalState, compile_bridge
from flows.compiler.link_messages import ARP_TERM, DHCP_FROM_SERVER, FROM_CLIENTS, icmpv6
from flows.compiler.services import IPV4_TERM, IPV6_TERM
from flows.compiler.static import TELL_OUTSIDE, exempt
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, Bundle, Conntrack, Output, OutputRegister, Resubmit, SetField
from flows.openflow.fields import Field, Match
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.policy.index import Policy
from flows.policy.objects import AddressPair, Change, Network, PolicyObject, Port, Prefix, SubnetDetail

OPEN, UPLINKS = 3, (8, 9)
WORKLOADS = (1, 2, 4)
SUBNETS = tuple(map(Prefix.parse, ("10.0.0.0/24", "2001:db8::/64")))
PERMITTED = 0x88B5
SHARED = Prefix.parse("2001:db9::1")
ASKS_RULES = {p.SOURCE_VERDICT.id: "sender", p.DEST_VERDICT.id: "receiver"}
LIMITED_BROADCAST, LINK_LOCAL = Prefix.parse("255.255.255.255"), Prefix.parse("fe80::/10")
SOLICITED_NODE, MULTICAST6 = Prefix.parse("ff02::1:ff00:0/104"), Prefix.parse("ff00::/8")
NODES, ROUTERS, MLDV2, SERVERS6 = map(Prefix.parse, ("ff02::1", "ff02::2", "ff02::16", "ff02::1:2"))


READS = {p.HOP_LIMIT.id, p.TARGET.id}
"""Tables that write into MEMBER what they read in a packet, and return."""
LEADS_TO = {p.PROTOCOL.id: (p.ADMIT.id, p.LINK_MESSAGE.id)}
"""Tables that read a packet bit by bit, and whereto these send it: here with any bits."""


@dataclass(frozen=True)
class Way:
    """A path so far: known values and masks by field; which checks were made; the tables passed."""

    known: Mapping[Field, tuple[int, int]] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    tables: tuple[str, ...] = ()

    def meets(self, match: Match) -> Way | None:
        """The path of a packet that also meets the match; None if no packet can."""
        known = dict(self.known)
        for term in match:
            value, mask = term.value, term.field.full if term.mask is None else term.mask
            old_value, old_mask = known.get(term.field, (0, 0))
            if (value ^ old_value) & mask & old_mask:
                return None
            known[term.field] = value | old_value, mask | old_mask
        return replace(self, known=known)

    def writes(self, target: Field, value: int) -> Way:
        """The path after a register is set."""
        return replace(self, known={**self.known, target: (value, target.full)})

    def tracked(self) -> Way:
        """The path after the connection tracker, which sets the state."""
        return replace(self, known={**self.known, f.CT_STATE: (32, 32)})

    def forgets(self, target: Field) -> Way:
        """The path after a register is set to a value that depends on the packet."""
        return replace(self, known={each: held for each, held in self.known.items() if each is not target})

    def exactly(self, asked: Field) -> int | None:
        """The value of a field on this path, if it is known exactly."""
        value, mask = self.known.get(asked, (0, 0))
        return value if mask == asked.full else None

    def within(self, asked: Field, *prefixes: Prefix) -> bool:
        """Whether an address is known to be in one of the prefixes."""
        value, mask = self.known.get(asked, (0, 0))
        return any(mask & each.mask == each.mask and value & each.mask == each.value for each in prefixes)


@dataclass(frozen=True)
class End:
    """A path that ends at an OpenFlow port; None for a port that depends on the packet."""

    way: Way
    ofport: int | None


def port(ofport: int, *addresses: str, secure: bool = True, pairs: tuple[AddressPair, ...] = ()) -> Port:
    return Port(
        id=f"p{ofport}",
        name=f"p{ofport}",
        network_id="blue",
        mac=f"02:00:00:00:00:{ofport:02x}",
        iface_id=f"p{ofport}",
        fixed_ips=tuple(map(Prefix.parse, addresses)),
        port_security_enabled=secure,
        allowed_address_pairs=pairs,
        permitted_ethertypes=frozenset([PERMITTED]) if ofport == 1 else frozenset(),
    )


def policy() -> list[PolicyObject]:
    shared = AddressPair("02:00:00:00:01:01", SHARED), AddressPair("02:00:00:00:00:04", Prefix.parse("::/0"))
    details = (SubnetDetail(SUBNETS[0], gateway=Prefix.parse("10.0.0.254")),)
    return [
        Network("blue", "blue", segmentation_id=5, subnets=SUBNETS, subnet_details=details),
        port(1, "10.0.0.1", "2001:db8::1"),
        port(2, "10.0.0.2", "2001:db8::2"),
        port(OPEN, "10.0.0.3", secure=False),
        port(4, "10.0.0.4", "2001:db8::4", pairs=shared),
    ]


Tables = Mapping[int, Sequence[Flow]]


def tables(*more: Flow) -> Tables:
    """The flows by table, with further flows."""
    made = Policy()
    made.apply(Change(None, each) for each in policy())
    ports = {ofport: f"p{ofport}" for ofport in (*WORKLOADS, OPEN)}
    carried = dict.fromkeys(UPLINKS, frozenset(["blue"]))
    found: dict[int, list[Flow]] = {}
    for flow in (*compile_bridge(made, LocalState(ports, carried, {"blue": 10})).values(), *more):
        found.setdefault(flow.key.table, []).append(flow)
    # Packets like any other go on from LINK_MESSAGE as from ADMIT, of which ADMIT demands less.
    general = {(flow.key.match, flow.actions) for flow in found[p.ADMIT.id]}
    special = [flow for flow in found[p.LINK_MESSAGE.id] if (flow.key.match, flow.actions) not in general]
    return found | {p.LINK_MESSAGE.id: special}


def ends(flows: Tables, table: int, way: Way) -> Iterator[End]:
    """All ends of this path. Flows of lower priority count, too, so that no end is missed."""
    on = replace(way, tables=(*way.tables, str(p.TABLE_BY_ID[table])))
    if table in ASKS_RULES:
        on = replace(on, asked=on.asked | {ASKS_RULES[table]})
    for match, actions in _ways(flows.get(table, ())):
        met = on.meets(match)
        if met is not None:
            yield from _after(flows, actions, met)


def _ways(flows: Iterable[Flow]) -> Iterable[tuple[Match, tuple[Action, ...]]]:
    """The flows of a table. Compared bits are no condition, so that all flows that compare count as one.

    In most tables, what differs leads no further than what is equal, as the next test shows.
    """
    return dict.fromkeys(
        (tuple(term for term in flow.key.match if not _compares(flow) or term.mask is None), flow.actions)
        for flow in flows
        if flow.key.table == p.IN_SUBNET.id or not _compares(flow)
    )


def _compares(flow: Flow) -> bool:
    return flow.key.table in COMPARING and Priority.NORMAL <= flow.key.priority < Priority.GUARD


def test_a_mismatch_is_dropped_or_compared_with_another_value() -> None:
    flows = tables()
    compared = [flow for table in COMPARING - {p.IN_SUBNET.id} for flow in flows[table]]
    passing = {to for flow in compared if not _compares(flow) for to in _called(flow)}
    for flow in filter(_compares, compared):
        others = [other for to in _called(flow) - {p.DROP.id} for other in flows[to]]
        beyond = {to for other in others for to in _called(other)} - {p.DROP.id} - COMPARING
        assert _called(flow) <= passing or beyond <= passing, flow


def _called(flow: Flow) -> set[int]:
    return {action.table for action in flow.actions if isinstance(action, Resubmit)}


def _after(flows: Tables, actions: tuple[Action, ...], way: Way) -> Iterator[End]:
    for action in actions:
        match action:
            case SetField():
                way = way.writes(action.field, action.value)
            case Resubmit(table=p.BUDGET.id):
                way = replace(way, asked=way.asked | {"budget"})
            case Resubmit(table=table) if table in READS:
                way = way.forgets(r.MEMBER)
            case Resubmit():
                yield from _ends_below(flows, action.table, way)
            case Conntrack(table=int(table)):
                yield from ends(flows, table, way.tracked())
            case Output() | OutputRegister() | Bundle(into=None):
                yield End(way, _ofport(action, way))


def _ends_below(flows: Tables, table: int, way: Way) -> Iterator[End]:
    for each in LEADS_TO.get(table, (table,)):
        yield from ends(flows, each, way)


def _ofport(action: Output | OutputRegister | Bundle, way: Way) -> int | None:
    match action:
        case Output():
            return action.ofport
        case Bundle():
            return action.members[0]
        case _:
            return way.exactly(action.field)


def all_ends(flows: Tables) -> Iterator[End]:
    """All registers are 0 at first, as for a packet that enters."""
    registers = {register: (0, register.full) for register in r.REGISTERS.values()}
    return ends(flows, p.CLASSIFY.id, Way({**registers, f.CT_STATE: (0, 32)}))


def in_port(way: Way) -> int:
    found = way.exactly(f.IN_PORT)
    assert found is not None, way.tables
    return found


def unasked(found: Iterable[End]) -> Iterator[End]:
    """Paths to or from a port with port security on which its rules were not checked."""
    for end in found:
        needed = {"sender"} if in_port(end.way) in WORKLOADS else set[str]()
        needed |= {"receiver"} if end.ofport in WORKLOADS else set()
        if not needed <= end.way.asked:
            yield end


def is_of_link(end: End) -> bool:
    """Whether the path requires everything that keeps a message on its link."""
    way, receiver, from_workload = end.way, end.ofport, in_port(end.way) in WORKLOADS
    kind = way.exactly(f.ETH_TYPE)
    if from_workload and kind != PERMITTED and "budget" not in way.asked:
        return False
    if kind == 0x0806:
        return _is_arp(way, from_workload, receiver)
    if kind == PERMITTED:
        return in_port(way) == 1 or receiver == 1
    if way.exactly(f.IP_PROTO) == 17:
        return _is_dhcp(way, from_workload, receiver)
    return way.exactly(f.ICMPV6_CODE) == 0 and _is_icmpv6(way, from_workload, receiver)


def _is_arp(way: Way, from_workload: bool, receiver: int | None) -> bool:
    """No router forwards ARP. To a workload, it is a broadcast, or is about an address of the workload."""
    readable = not from_workload or way.exactly(f.ARP_OP) in (1, 2)
    answer = way.exactly(f.ARP_OP) == 2 and way.exactly(f.ARP_TPA) == 0
    concerned = way.tables[-1] == "BROADCAST" or answer or _is_for(way, f.ARP_TPA, receiver)
    return readable and concerned


def _own(receiver: int | None) -> tuple[Prefix, ...]:
    found = next((each for each in policy() if isinstance(each, Port) and each.id == f"p{receiver}"), None)
    if found is None:
        return ()
    link_local = Prefix.parse(f"fe80::ff:fe00:{receiver}"), Prefix.parse("fe80::ff:fe00:101")
    pairs = tuple(pair.prefix for pair in found.allowed_address_pairs)
    return (*found.fixed_ips, *link_local, *pairs)


def _is_for(way: Way, to: Field, receiver: int | None) -> bool:
    """The destination is an address of the workload; other receivers are not checked. Port 4 has ::/0."""
    return receiver not in WORKLOADS or receiver == 4 or way.within(to, *_own(receiver))


def _is_to_many(way: Way) -> bool:
    """Whether the MAC is known to be a group address."""
    value, mask = way.known.get(f.ETH_DST, (0, 0))
    return bool(value & mask & 1 << 40)


def _is_dhcp(way: Way, from_workload: bool, receiver: int | None) -> bool:
    ports = way.exactly(f.ETH_TYPE), way.exactly(f.UDP_SRC), way.exactly(f.UDP_DST)
    to_all4 = way.within(f.IPV4_DST, LIMITED_BROADCAST)
    if ports == (0x0800, 68, 67):
        return from_workload and _is_to_many(way) and receiver not in WORKLOADS and to_all4
    if ports == (0x86DD, 546, 547):
        to_servers = way.within(f.IPV6_DST, SERVERS6) and way.within(f.IPV6_SRC, LINK_LOCAL)
        return from_workload and _is_to_many(way) and receiver not in WORKLOADS and to_servers
    if ports == (0x0800, 67, 68):
        answers = way.within(f.IPV4_SRC, SUBNETS[0]) and _is_for(way, f.IPV4_DST, receiver)
        return not from_workload and (to_all4 or answers)
    from_link = way.within(f.IPV6_SRC, LINK_LOCAL) and _is_for(way, f.IPV6_DST, receiver)
    return ports == (0x86DD, 547, 546) and not from_workload and from_link


def _is_icmpv6(way: Way, from_workload: bool, receiver: int | None) -> bool:
    kind, hops = way.exactly(f.ICMPV6_TYPE), way.exactly(f.IP_TTL)
    link = (LINK_LOCAL, SUBNETS[1], SHARED)
    if kind in (135, 136):
        group = SOLICITED_NODE if kind == 135 else NODES
        return hops == 255 and (not from_workload or way.within(f.IPV6_DST, group, *link))
    if kind in (133, 131, 132, 143):
        groups = {133: ROUTERS, 131: MULTICAST6, 132: ROUTERS, 143: MLDV2}[kind]
        stays = hops == (255 if kind == 133 else 1) and way.within(f.IPV6_DST, groups)
        return from_workload and _is_to_many(way) and receiver not in WORKLOADS and stays
    if from_workload or not way.within(f.IPV6_SRC, LINK_LOCAL):
        return False
    to_receiver = way.within(f.IPV6_DST, NODES) or _is_for(way, f.IPV6_DST, receiver)
    if kind == 130:
        return hops == 1 and way.within(f.IPV6_DST, MULTICAST6)
    return kind in (134, 137) and hops == 255 and to_receiver


@pytest.fixture(scope="module")
def found() -> list[End]:
    return list(all_ends(tables()))


def test_messages_that_need_no_rule_stay_on_the_link(found: list[End]) -> None:
    for end in unasked(found):
        if not is_of_link(end):
            known = [f"{name}={value:#x}/{mask:#x}" for name, (value, mask) in end.way.known.items()]
            pytest.fail(f"{' '.join(end.way.tables)} to {end.ofport}\n{' '.join(known)}", pytrace=False)


BUDGET = Resubmit(p.BUDGET.id)
INTRUDERS = {
    "any ICMPv6 to all": Flow(p.ADMIT, 250, (IPV6_TERM, f.IP_PROTO(58)), (BUDGET, *TELL_OUTSIDE)),
    "any hop limit to routers": Flow(p.ADMIT, 250, icmpv6(133), (BUDGET, *TELL_OUTSIDE)),
    "any hop limit to neighbours": Flow(p.ADMIT, 250, icmpv6(136), (BUDGET, Resubmit(p.NEIGHBOUR.id))),
    "a protocol that is let in": Flow(p.RECEIVER, 250, (IPV4_TERM, f.IP_PROTO(89)), (Resubmit(p.OUTPUT.id),)),
    "DHCP from anywhere": Flow(p.UPLINK_DELIVER, 250, DHCP_FROM_SERVER, exempt(p.FORWARD)),
    "ARP for anybody": Flow(p.RECEIVER, 250, (ARP_TERM,), (Resubmit(p.OUTPUT.id),)),
    "DHCP without a budget": Flow(p.ADMIT, 250, FROM_CLIENTS[0], TELL_OUTSIDE),
}


@pytest.mark.parametrize("intruder", INTRUDERS.values(), ids=INTRUDERS.keys())
def test_a_flow_that_bypasses_the_rules_is_found(intruder: Flow) -> None:
    assert not all(map(is_of_link, unasked(all_ends(tables(intruder)))))


def test_every_exempt_message_can_pass(found: list[End]) -> None:
    """And connections have paths on which the rules of both sides are checked."""
    without_rules = [end.way for end in unasked(found)]
    kinds = {way.exactly(f.ICMPV6_TYPE) for way in without_rules}
    assert kinds >= {130, 131, 132, 133, 134, 135, 136, 137, 143}
    assert {way.exactly(f.UDP_DST) for way in without_rules} >= {67, 68, 546, 547}
    assert {way.exactly(f.ARP_OP) for way in without_rules} >= {1, 2}
    asked = [end for end in found if {"sender", "receiver"} <= end.way.asked]
    assert {(in_port(end.way), end.ofport) for end in asked} >= {(1, 2), (2, 1)}
