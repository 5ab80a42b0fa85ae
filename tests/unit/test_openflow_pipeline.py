from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, groupby

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from flows.compiler.bridge import compile_bridge
from flows.compiler.services import IPV6_TERM
from flows.compiler.static import NO_FRAGMENT, static_flows
from flows.openflow import fields as f
from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, Clone, Conjunction, Conntrack, Resubmit, SetField
from flows.openflow.datapath_key import NEIGHBOUR_FIELDS
from flows.openflow.fields import Match, Term, ct_state
from flows.openflow.flow import Flow, FlowError, FlowKey
from flows.openflow.numbers import Priority
from flows.openflow.reasons import Reason
from flows.openflow.table import Miss, Table
from flows.policy.index import Policy
from flows.policy.objects import Change, Network, PolicyObject, Prefix
from flows.reference.verdict import PolicyText
from tests.examples import examples
from tests.ovs import wiring
from tests.shrinking import Unshown
from tests.unit.strategies import policies

BACKWARD_CALLS = {
    **{(each, p.SPOOF_ND): "what was compared bit by bit is looked up" for each in (p.OWN_LINK, p.NO_LINK)},
    **{(each, p.SPOOF_ARP): "the same" for each in (p.OWN_ADDRESS, p.OTHER_ADDRESS)},
    **{(each, p.ANNOUNCING): "the same" for each in (p.OTHER_SUBNET, p.KNOWN)},
    (p.KNOWN, p.KNOWN): "each time more bits are compared",
    (p.KNOWN, p.NOBODY): "nobody here has the address",
    (p.SENDER, p.SPOOF_IP): "the same",
    (p.SPOOF, p.OWN_MAC): "every frame has a MAC that is compared",
    **{(p.LINK_MESSAGE, each): "a packet like any other after all" for each in (p.CONNTRACK, p.BUDGET)},
    (p.PROTOCOL, p.PROTOCOL): "each time a lower bit is compared",
    **{(p.PROTOCOL, each): "the protocol has been compared" for each in (p.ADMIT, p.LINK_MESSAGE)},
    (p.HOP_LIMIT, p.HOP_LIMIT): "each time a lower bit is compared",
    **{(p.VRRP, each): "the hop limit has been compared" for each in (p.ADMIT, p.SOURCE_STATELESS)},
    (p.ANNOUNCING, p.NEIGHBOUR): "somebody here may have the address",
    **{
        (p.NOBODY, each): "nobody here has the address"
        for each in (p.FORWARD, p.BROADCAST, p.LISTENERS, p.EXIT)
    },
    **{(p.COMMITTED, each): "on its way out before, too" for each in (p.FDB, p.UPLINK_OUT)},
    **{(each, each): "the DSCP has been read" for each in (p.EGRESS_ANY, p.INGRESS_ANY)},
    **{(each, each): "the list of chunks visits each" for each in (p.BROADCAST, p.SHARED, p.LISTENERS)},
}


RETRIES = {
    (p.OTHER_MAC, p.OWN_MAC),
    (p.OTHER_ADDRESS, p.OWN_ADDRESS),
    (p.OTHER_SUBNET, p.IN_SUBNET),
}
"""Each time another value is compared, as a test shows."""


def compiled(objects: Iterable[PolicyObject]) -> Mapping[FlowKey, Flow]:
    policy = Policy()
    policy.apply(Change(None, each) for each in objects)
    text = PolicyText(policy.networks, policy.ports, policy.address_groups, policy.rules)
    return compile_bridge(policy, wiring.local_state(text))


def test_tables_are_declared_once_and_in_order() -> None:
    ids = [table.id for table in p.TABLES]
    assert ids == sorted(set(ids))
    assert max(ids) < 254
    assert len({table.name for table in p.TABLES}) == len(p.TABLES)


def register_bits(field: f.Field) -> set[tuple[int, int]]:
    """The bits of a register in terms of the 32-bit registers 0–15."""
    if field.name.startswith("xreg"):
        return {(2 * field.number + half, bit) for half in (0, 1) for bit in range(32)}
    assert field.name == f"reg{field.number}"
    return {(field.number, bit) for bit in range(field.bits)}


def test_registers_do_not_overlap() -> None:
    for one, other in combinations(r.REGISTERS.values(), 2):
        assert not register_bits(one) & register_bits(other), f"{one} and {other}"


def test_every_register_is_declared_under_its_name() -> None:
    """Compares the registers of the module with the list."""
    found = {name: each for name, each in vars(p).items() if isinstance(each, f.Field)}
    assert found == r.REGISTERS


def test_numbers_with_a_meaning_are_no_identities() -> None:
    assert r.UNRESTRICTED < r.FIRST_IDENTITY
    assert r.EGRESS_OPEN < 16
    assert len({numbers.COOKIE_TAG, numbers.LEARNED_COOKIE_TAG}) == 2


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_counted_and_explained(reason: Reason) -> None:
    match = (r.REASON(reason),)
    (flow,) = [flow for flow in static_flows() if flow.key.table == p.DROP.id and flow.key.match == match]
    assert not any(isinstance(action, Conntrack) for action in flow.actions)
    assert reason.explanation


def test_every_table_that_drops_says_why() -> None:
    flows = {flow.key: flow for flow in static_flows()}
    for table in p.TABLES:
        default = flows.get(FlowKey(table.id, Priority.MISS, ()))
        if isinstance(table.miss, Miss) or table is p.DROP:
            assert default is None or default.actions
        else:
            assert default is not None
            assert default.actions == (SetField(r.REASON, table.miss), Resubmit(p.DROP.id))


def test_a_flow_matches_declared_fields_only() -> None:
    with pytest.raises(FlowError, match="FORWARD does not match udp_dst"):
        Flow(p.FORWARD, 100, (f.UDP_DST(53),), ())


@pytest.mark.parametrize("said", [(), (f.ICMPV6_TYPE(136),), (f.ICMPV6_TYPE(134), f.ICMPV6_CODE(0))], ids=str)
@pytest.mark.parametrize("field", sorted(NEIGHBOUR_FIELDS, key=str), ids=str)
def test_a_flow_asks_for_neighbours_only_where_every_datapath_compares_them(
    field: f.Field, said: Match
) -> None:
    with pytest.raises(FlowError, match="the kernel would not compare"):
        Flow(p.NEIGHBOUR, 100, (IPV6_TERM, f.IP_PROTO(58), *said, field(1)), ())


def test_a_mask_that_a_datapath_would_not_compare_cannot_be_written() -> None:
    for field, mask in ((f.IP_FRAG, 2), (f.ARP_OP, 1)):
        with pytest.raises(ValueError, match="would not compare"):
            field(0, mask)


def test_a_table_matches_only_what_a_datapath_compares() -> None:
    igmp_type = f.Field("igmp_type", f.NICIRA, 200, 8)
    with pytest.raises(ValueError, match="NEW: a datapath does not compare"):
        Table(99, "NEW", "made here", Miss.RETURN, frozenset({f.IN_PORT, igmp_type}))


def test_a_flow_holds_no_more_actions_than_a_message() -> None:
    full = tuple(Conjunction(number, 1, 2) for number in range(numbers.RULES_PER_BAND))
    assert len(Flow(p.EGRESS_ANY, 1, (), full).instruction_bytes) < 1 << 16
    with pytest.raises(FlowError, match="do not fit"):
        _ = Flow(p.EGRESS_ANY, 1, (), full + full).instruction_bytes


def test_conjunctions_have_priorities_between_plain_rules_and_the_default() -> None:
    edges = (0, 16, numbers.RULES_PER_BAND - 1, numbers.RULES_PER_BAND, 2**32 - 1)
    for number in edges:
        assert Priority.GUARD < numbers.conjunction_priority(number) < Priority.UNNAMED
        assert Priority.UNNAMED < numbers.conjunction_priority(number, all_protocols=True) <= 0xFFFF
    assert numbers.conjunction_priority(0) == numbers.conjunction_priority(numbers.RULES_PER_BAND - 1)
    assert numbers.conjunction_priority(0) != numbers.conjunction_priority(numbers.RULES_PER_BAND)


def calls(flows: Iterable[Flow]) -> set[tuple[Table, Table]]:
    """The tables to which each table sends packets."""
    found = set()
    for flow in flows:
        for action in flow.actions:
            table = getattr(action, "table", None)
            if isinstance(action, Resubmit | Conntrack) and table is not None:
                found.add((p.TABLE_BY_ID[flow.key.table], p.TABLE_BY_ID[table]))
    return found


def lookups(actions: Iterable[Action], copied: bool = False) -> Iterator[tuple[Conntrack, bool]]:
    """Every lookup in the connection tracker, and whether it is for a copy of the packet."""
    for action in actions:
        if isinstance(action, Conntrack):
            yield action, copied
        elif isinstance(action, Clone):
            yield from lookups(action.actions, copied=True)


def test_fragments_released_by_another_lookup_are_dropped() -> None:
    """The tracker may return fragments of other packets together with the packet that was looked up."""
    subnets = tuple(map(Prefix.parse, ("10.0.0.0/24", "10.0.1.0/24")))
    flows = compiled(Network(network, network, subnets=subnets) for network in wiring.ZONES).values()
    tracked = [each for flow in flows for each in lookups(flow.actions)]
    ways_back = {lookup.table for lookup, copied in tracked if not copied}
    assert any(flow.key.table == p.EXIT.id for flow in flows for _ in lookups(flow.actions))
    assert ways_back == {each.id for each in (p.TRACKED, p.RETURNED_TRACKED, p.DEST_TRACKED, p.COMMITTED)}
    for flow in flows:
        if flow.key.table in ways_back and flow.key.priority > Priority.MISS:
            assert ct_state("+trk") in flow.key.match
            whole = NO_FRAGMENT in flow.key.match or flow.key.table == p.COMMITTED.id
            assert [each.zone for each, _ in lookups(flow.actions)] == ([] if whole else [r.NO_NETWORK])


def reaches(start: Table, edges: set[tuple[Table, Table]]) -> set[Table]:
    found: set[Table] = set()
    new = {start}
    while new:
        new = {there for here, there in edges if here in new} - found
        found |= new
    return found


ONCE_PER_POLICY = settings(
    max_examples=examples(30), phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@ONCE_PER_POLICY
@given(policies().map(Unshown))
def test_tables_have_no_cycles(objects: Unshown[list[PolicyObject]]) -> None:
    edges = calls(compiled(objects.value).values())
    backward = {(here, there) for here, there in edges if there.id <= here.id} - RETRIES
    unexplained = [f"{here} to {there}" for here, there in backward - BACKWARD_CALLS.keys()]
    between = {(here, there) for here, there in edges if here is not there} - RETRIES
    circular = [str(table) for table in p.TABLES if table in reaches(table, between)]
    assert (unexplained, circular) == ([], [])


@ONCE_PER_POLICY
@given(policies().map(Unshown))
def test_repeated_comparisons_end(objects: Unshown[list[PolicyObject]]) -> None:
    """The chain of values that are compared one after the other ends, for each table and match."""
    following: dict[tuple[Table, Match], dict[Term, Term]] = {}
    for flow in compiled(objects.value).values():
        table = p.TABLE_BY_ID[flow.key.table]
        for field, value in constant_writes(flow.actions):
            held = [term for term in flow.key.match if term.field is field]
            if table in {here for here, _ in RETRIES} and held:
                rest = tuple(term for term in flow.key.match if term.field is not field)
                following.setdefault((table, rest), {})[held[0]] = field(value)
    for chain in following.values():
        for start in chain:
            seen, now = {start}, chain.get(start)
            while now is not None:
                assert now not in seen
                seen.add(now)
                now = chain.get(now)


def constant_writes(actions: Iterable[Action]) -> Iterator[tuple[f.Field, int]]:
    for action in actions:
        if isinstance(action, SetField):
            yield action.field, action.value


def compatible(one: Match, other: Match) -> bool:
    """Whether a packet could match both."""
    terms: dict[f.Field, Term] = {term.field: term for term in one}
    for term in other:
        same = terms.get(term.field)
        if same is not None:
            full = term.field.full
            mask = (term.mask if term.mask is not None else full) & (
                same.mask if same.mask is not None else full
            )
            if (term.value ^ same.value) & mask:
                return False
    return True


def is_clause(flow: Flow) -> bool:
    return all(isinstance(action, Conjunction) for action in flow.actions) and bool(flow.actions)


def serve_together(one: Flow, other: Flow) -> bool:
    """Whether both belong to conjunctions: clauses are combined, and the conj_id flow has more priority."""
    return all(
        is_clause(flow) or f.CONJ_ID in {term.field for term in flow.key.match} for flow in (one, other)
    )


def contradictions(flows: Iterable[Flow]) -> Iterator[tuple[Flow, Flow]]:
    """Flows of equal priority and different actions that one packet can match."""
    ordered = sorted(flows, key=lambda flow: flow.key[:2])
    for _, group in groupby(ordered, key=lambda flow: flow.key[:2]):
        for one, other in combinations(group, 2):
            harmless = one.actions == other.actions or serve_together(one, other)
            if not harmless and compatible(one.key.match, other.key.match):
                yield one, other


@ONCE_PER_POLICY
@given(policies().map(Unshown))
def test_no_two_flows_of_equal_priority_contradict_each_other(objects: Unshown[list[PolicyObject]]) -> None:
    for one, other in contradictions(compiled(objects.value).values()):
        pytest.fail(f"{one.text(names=True)}\n{other.text(names=True)}", pytrace=False)


@ONCE_PER_POLICY
@given(policies().map(Unshown))
def test_every_flow_has_one_order_of_conditions(objects: Unshown[list[PolicyObject]]) -> None:
    """The order of conditions is part of our flow key, but not of the switch's."""
    keys = [(key.table, key.priority, frozenset(key.match)) for key in compiled(objects.value)]
    assert len(keys) == len(set(keys))


@ONCE_PER_POLICY
@given(policies().map(Unshown))
def test_learning_tables_have_no_other_flows(objects: Unshown[list[PolicyObject]]) -> None:
    """Flows of others are found by flow counts, which are unknown for these tables."""
    assert not [key for key in compiled(objects.value) if key.table in p.LEARNING]


@ONCE_PER_POLICY
@given(policies().map(Unshown))
def test_every_flow_has_a_cookie_of_its_own(objects: Unshown[list[PolicyObject]]) -> None:
    flows = compiled(objects.value).values()
    assert len({flow.cookie for flow in flows}) == len(flows)
    assert {flow.cookie >> 56 for flow in flows} == {numbers.COOKIE_TAG}
