from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.compiler.claims import Actions, ClaimTable, Owner
from flows.compiler.static import TELL_OUTSIDE
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Conjunction, Output, SetField
from flows.openflow.fields import Match
from flows.openflow.flow import Flow, FlowKey

RULE, OTHER, THIRD = ("rule", 16), ("rule", 17), ("rule", 100)
KEY = FlowKey(p.EGRESS_ANY.id, 100, (f.ETH_TYPE(0x0800),))
SHARED = FlowKey(p.NEIGHBOUR.id, 100, (r.ZONE(1), f.ETH_TYPE(0x0806), f.ARP_TPA(1)))
PLAIN = FlowKey(p.FORWARD.id, 100, (r.ZONE(1), f.ETH_DST(1)))


def clause(number: int) -> Actions:
    return (Conjunction(number, 1, 2),)


def actions_of(claim_table: ClaimTable, key: FlowKey) -> Actions | None:
    flow = claim_table.flows.get(key)
    return flow.actions if flow else None


def test_clauses_on_one_match_are_combined() -> None:
    claim_table = ClaimTable()
    for owner in (OTHER, THIRD, RULE):
        claim_table.claim(owner, KEY, clause(owner[1]))
    assert [flow.key for flow in claim_table.flush().added] == [KEY]
    assert actions_of(claim_table, KEY) == clause(16) + clause(17) + clause(100)
    claim_table.release(OTHER)
    diff = claim_table.flush()
    assert [flow.actions for flow in diff.added] == [clause(16) + clause(100)]
    assert diff.removed == []


def test_a_shared_address_goes_to_all_its_owners() -> None:
    claim_table = ClaimTable()
    claim_table.claim(("port", 2), SHARED, (Output(2),))
    claim_table.claim(("port", 1), SHARED, (Output(1),))
    claim_table.flush()
    assert actions_of(claim_table, SHARED) == (Output(1), Output(2))


def test_requests_go_to_all_holders_of_a_range_and_once_outside() -> None:
    claim_table = ClaimTable()
    for port in (2, 1):
        claim_table.claim(("port", port), SHARED, (Output(port), *TELL_OUTSIDE))
    claim_table.flush()
    assert actions_of(claim_table, SHARED) == (Output(1), Output(2), *TELL_OUTSIDE)


def test_a_flow_that_does_not_fit_is_left_out_until_it_fits() -> None:
    claim_table, most = ClaimTable(), 65_000 // 16
    for port in range(1, most + 1):
        claim_table.claim(("port", port), SHARED, (Output(port),))
    assert [flow.key for flow in claim_table.flush().added] == [SHARED]
    claim_table.claim(("port", most + 1), SHARED, (Output(most + 1),))
    claim_table.claim(("port", 1), PLAIN, (SetField(r.OUT, 1),))
    diff = claim_table.flush()
    assert [flow.key for flow in diff.removed] == [SHARED]
    assert [flow.key for flow in diff.added] == [PLAIN], "other flows are not affected"
    assert (list(claim_table.left_out), list(claim_table.flows), len(claim_table.flows)) == (
        [SHARED],
        [PLAIN],
        1,
    )
    assert len(claim_table.owners(SHARED)) == most + 1
    claim_table.claim(("port", 1), PLAIN, (SetField(r.OUT, 2),))
    assert [flow.key for flow in claim_table.flush().added] == [PLAIN]
    claim_table.release(("port", 7))
    assert [flow.key for flow in claim_table.flush().added] == [SHARED]
    assert not claim_table.left_out
    for port in range(1, most + 2):
        claim_table.release(("port", port))
    claim_table.flush()
    assert not claim_table.flows
    assert not claim_table.owners(SHARED)


def test_other_flows_have_the_actions_of_the_first_owner() -> None:
    claim_table = ClaimTable()
    for port in (3, 1, 2):
        claim_table.claim(("port", port), PLAIN, (SetField(r.OUT, port),))
    claim_table.flush()
    assert actions_of(claim_table, PLAIN) == (SetField(r.OUT, 1),)
    claim_table.release(("port", 1))
    claim_table.flush()
    assert actions_of(claim_table, PLAIN) == (SetField(r.OUT, 2),)


def test_a_flow_stays_while_an_owner_claims_it() -> None:
    claim_table = ClaimTable()
    claim_table.claim(RULE, KEY, clause(1))
    claim_table.claim(OTHER, KEY, clause(1))
    claim_table.flush()
    claim_table.release(RULE)
    assert not claim_table.flush()
    claim_table.release(OTHER)
    assert [flow.key for flow in claim_table.flush().removed] == [KEY]
    assert claim_table.flows == {}


def test_a_flow_that_is_added_and_removed_between_flushes_is_no_difference() -> None:
    claim_table = ClaimTable()
    claim_table.claim(RULE, KEY, clause(16))
    claim_table.release(RULE)
    assert not claim_table.flush()
    claim_table.claim(RULE, KEY, clause(16))
    claim_table.flush()
    claim_table.release(RULE)
    claim_table.claim(RULE, KEY, clause(16))
    assert not claim_table.flush()


def test_assigning_replaces_all_that_an_owner_had() -> None:
    claim_table = ClaimTable()
    claim_table.assign(RULE, [Flow(p.EGRESS_ANY, 100, KEY.match, clause(16))])
    claim_table.flush()
    claim_table.assign(RULE, [Flow(p.EGRESS_ANY, 200, KEY.match, clause(16))])
    diff = claim_table.flush()
    assert [flow.key.priority for flow in diff.added] == [200]
    assert [flow.key.priority for flow in diff.removed] == [100]


def test_owners_are_listed_in_order_and_others_withdraw_nothing() -> None:
    claim_table = ClaimTable()
    claim_table.claim(OTHER, KEY, clause(17))
    claim_table.withdraw(RULE, KEY)
    claim_table.claim(RULE, KEY, clause(16))
    assert claim_table.owners(KEY) == [RULE, OTHER]
    claim_table.withdraw(THIRD, KEY)
    claim_table.release(THIRD)
    assert claim_table.owners(KEY) == [RULE, OTHER]
    assert claim_table.owners(PLAIN) == []


Step = tuple[Owner, Match, bool]
OWNERS: st.SearchStrategy[Owner] = st.integers(16, 20).map(lambda number: ("rule", number))
MATCHES = st.sampled_from([(f.ETH_TYPE(0x0800),), (f.ETH_TYPE(0x86DD),)])


@given(st.lists(st.tuples(OWNERS, MATCHES, st.booleans())), st.integers(1, 5))
def test_flows_follow_from_the_claims_alone(steps: list[Step], every: int) -> None:
    """Compared with a simple model: a set of (owner, match)."""
    claim_table, claims = ClaimTable(), set()
    table: dict[FlowKey, Actions] = {}
    for number, (owner, match, present) in enumerate(steps):
        key = FlowKey(p.EGRESS_ANY.id, 100, match)
        if present:
            claim_table.claim(owner, key, clause(int(owner[1])))
            claims.add((owner, key))
        else:
            claim_table.withdraw(owner, key)
            claims.discard((owner, key))
        if number % every == 0:
            diff = claim_table.flush()
            for flow in diff.removed:
                del table[flow.key]
            table.update({flow.key: flow.actions for flow in diff.added})
            keys = {key for _, key in claims}
            wanted = {
                key: tuple(Conjunction(int(owner[1]), 1, 2) for owner, each in sorted(claims) if each == key)
                for key in keys
            }
            assert table == wanted
