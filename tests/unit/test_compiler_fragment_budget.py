"""Fragments that wait in the connection tracker: whose budget they use, and which do not get there."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flows.compiler.bridge import LocalState, compile_bridge
from flows.compiler.services import IPV4_TERM, IPV6_TERM
from flows.compiler.static import NO_FRAGMENT, drop
from flows.openflow import fields as f
from flows.openflow import numbers, table
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, Conntrack, Resubmit
from flows.openflow.flow import Flow
from flows.openflow.reasons import Reason
from flows.openflow.wire import BUDGETS, PORTS_AT_ONCE, Budget, Budgets, DropCounters, MeterUnit, encode
from flows.policy.index import Policy
from flows.policy.objects import (
    Change,
    Direction,
    EgressDefault,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)

PAYS, ALL_PAY = Resubmit(p.FRAGMENTS.id), Resubmit(p.NETWORK_FRAGMENTS.id)
ZONE, UPLINK = 10, 9
SUBNETS = tuple(map(Prefix.parse, ("10.0.0.0/24", "10.0.1.0/24", "2001:db8::/64", "2001:db8:1::/64")))
GROUP = SecurityGroup("g", "g")
EGRESS4 = Rule("r16", 16, "g", Direction.EGRESS, Ethertype.IPV4)
INGRESS6 = Rule("r17", 17, "g", Direction.INGRESS, Ethertype.IPV6)


def port(ofport: int, *, secure: bool = True) -> Port:
    address, groups = Prefix.parse(f"10.0.0.{ofport}"), frozenset(["g"] if secure else [])
    mac = f"02:00:00:00:00:{ofport:02x}"
    return Port(f"p{ofport}", "", "blue", mac, "", (address,), groups, port_security_enabled=secure)


def flows(*objects: PolicyObject, uplinks: Iterable[int] = (UPLINK,)) -> list[Flow]:
    policy = Policy()
    network = Network("blue", "blue", subnets=SUBNETS)
    policy.apply(Change(None, each) for each in (network, GROUP, port(1), port(2, secure=False), *objects))
    carried = dict.fromkeys(uplinks, frozenset(["blue"]))
    return list(compile_bridge(policy, LocalState({1: "p1", 2: "p2"}, carried, {"blue": ZONE})).values())


def test_every_fragment_is_metered_before_it_is_tracked() -> None:
    lookups = [flow for flow in flows() if _may_be_first_lookup_of_fragments(flow)]
    tables = {p.TABLE_BY_ID[flow.key.table] for flow in lookups}
    assert tables == {p.RETURNED, p.CONNTRACK, p.VIA_ROUTER, p.DEST_CONNTRACK}
    assert all(_pays_before(flow.actions) for flow in lookups)


def _may_be_first_lookup_of_fragments(flow: Flow) -> bool:
    """Copies are looked up only after the packet itself was looked up."""
    looked_up = any(isinstance(action, Conntrack) for action in flow.actions)
    known = any(term.field is f.CT_STATE and term.value & f.CT_STATE_BITS["trk"] for term in flow.key.match)
    return looked_up and not known and NO_FRAGMENT not in flow.key.match


def _pays_before(actions: Iterable[Action]) -> bool:
    return next(each for each in actions if each == PAYS or isinstance(each, Conntrack)) == PAYS


def test_fragments_use_the_budget_of_their_port_and_network() -> None:
    paid = {flow.key.match: flow.actions for flow in flows() if flow.key.table == p.FRAGMENTS.id}
    for ofport in (1, 2):
        meter = numbers.FRAGMENT_METERS + ofport
        for match in ((f.IN_PORT(ofport),), (r.OUT(ofport),)):
            actions = paid.pop(match)
            assert (str(actions[0]), actions[1:]) == (f"meter:{meter}", (ALL_PAY,))
    assert paid == {(): (ALL_PAY,)}
    networks = {flow.key.match: flow.meter for flow in flows() if flow.key.table == p.NETWORK_FRAGMENTS.id}
    assert networks == {(r.ZONE(ZONE),): numbers.NETWORK_METERS + ZONE}


def test_without_an_uplink_fragments_use_the_senders_budget_only() -> None:
    paid = {flow.key.match for flow in flows(uplinks=()) if flow.key.table == p.FRAGMENTS.id}
    assert paid == {(), (f.IN_PORT(1),), (f.IN_PORT(2),)}


@pytest.mark.parametrize(
    ("rules", "dropped"),
    [
        ((), {IPV4_TERM, IPV6_TERM}),
        ((EGRESS4,), {IPV6_TERM}),
        ((INGRESS6,), {IPV4_TERM}),
        ((EGRESS4, INGRESS6), set()),
    ],
)
def test_fragments_of_an_ethertype_without_a_rule_are_dropped(
    rules: tuple[Rule, ...], dropped: set[f.Term]
) -> None:
    """In either direction of the rule: replies may be fragments, too."""
    found = _dropped_fragments(flows(*rules))
    assert {family for _, family, _ in found} == dropped
    ways = {(table, reason) for table, _, reason in found}
    sent, received = Reason.EGRESS_FRAGMENT, Reason.INGRESS_FRAGMENT
    everywhere = {(p.CONNTRACK, sent), (p.CONNTRACK, received), (p.DEST_CONNTRACK, received)}
    assert ways == (everywhere if dropped else set())


def _dropped_fragments(compiled: Iterable[Flow]) -> list[tuple[table.Table, f.Term, Reason]]:
    return [
        (p.TABLE_BY_ID[flow.key.table], family, reason)
        for flow in compiled
        for family in (IPV4_TERM, IPV6_TERM)
        for reason in Reason
        if family in flow.key.match and flow.actions == drop(reason)
        if flow.key.table in (p.CONNTRACK.id, p.DEST_CONNTRACK.id)
    ]


def test_ports_with_open_egress_may_send_fragments() -> None:
    network = Network("blue", "blue", subnets=SUBNETS, egress_default=EgressDefault.OPEN_UNTIL_RULE)
    policy = Policy()
    policy.apply(Change(None, each) for each in (network, GROUP, port(1)))
    local = LocalState({1: "p1"}, {}, {"blue": ZONE})
    assert not _dropped_fragments(compile_bridge(policy, local).values())


def test_the_budget_of_a_meter_follows_from_its_number() -> None:
    budgets = Budgets(Budget(1, 2), Budget(10, 20, MeterUnit.PACKETS))
    assert budgets.of_meter(0xFEFF) == Budget(1, 2)
    assert budgets.of_meter(numbers.FRAGMENT_METERS + 0xFEFF) == Budget(10, 20, MeterUnit.PACKETS)
    of_network = Budget(10 * PORTS_AT_ONCE, 20 * PORTS_AT_ONCE, MeterUnit.PACKETS)
    assert budgets.of_meter(numbers.NETWORK_METERS + 1) == of_network
    assert budgets.of_meter(numbers.NETWORK_METERS + 65534) == of_network


def test_two_networks_leave_room_in_the_userspace_tracker() -> None:
    """It holds 5,000 fragments for 15 seconds."""
    seconds, places, ports = 15, 5000, BUDGETS.fragments
    held_by_network = (ports.burst + seconds * ports.rate) * PORTS_AT_ONCE
    assert 2 * held_by_network < places


def test_the_drop_counters_of_a_port_include_its_meters() -> None:
    (sent, received) = DropCounters.of_port(7)
    assert sent.meters() == [7, numbers.FRAGMENT_METERS + 7]
    assert received.meters() == []


def test_a_bridges_own_interface_has_no_meters() -> None:
    """It may become an uplink or stop being one, and its OpenFlow number is too large for a meter id."""
    for counters in DropCounters.of_port(0xFFFFFFFE):
        assert counters.meters() == []
        assert encode(counters)
