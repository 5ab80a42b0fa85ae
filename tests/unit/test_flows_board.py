from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows import fields as f
from flows import pipeline as p
from flows.actions import Conjunction, Output, SetField
from flows.board import Actions, Board, Owner
from flows.fields import Match
from flows.flow import Flow, FlowKey
from flows.static import TELL_OUTSIDE

RULE, OTHER, THIRD = ("rule", 16), ("rule", 17), ("rule", 100)
KEY = FlowKey(p.EGRESS_ANY.id, 100, (f.ETH_TYPE(0x0800),))
SHARED = FlowKey(p.NEIGHBOUR.id, 100, (p.ZONE(1), f.ETH_TYPE(0x0806), f.ARP_TPA(1)))
PLAIN = FlowKey(p.FORWARD.id, 100, (p.ZONE(1), f.ETH_DST(1)))


def clause(number: int) -> Actions:
    return (Conjunction(number, 1, 2),)


def actions_of(board: Board, key: FlowKey) -> Actions | None:
    flow = board.flows.get(key)
    return flow.actions if flow else None


def test_clauses_on_one_match_add_up() -> None:
    board = Board()
    for owner in (OTHER, THIRD, RULE):
        board.claim(owner, KEY, clause(owner[1]))
    assert [flow.key for flow in board.flush().added] == [KEY]
    assert actions_of(board, KEY) == clause(16) + clause(17) + clause(100)
    board.release(OTHER)
    diff = board.flush()
    assert [flow.actions for flow in diff.added] == [clause(16) + clause(100)]
    assert diff.removed == []


def test_a_shared_address_goes_to_all_its_owners() -> None:
    board = Board()
    board.claim(("port", 2), SHARED, (Output(2),))
    board.claim(("port", 1), SHARED, (Output(1),))
    board.flush()
    assert actions_of(board, SHARED) == (Output(1), Output(2))


def test_the_holders_of_a_range_are_asked_before_the_outside_and_that_once() -> None:
    board = Board()
    for port in (2, 1):
        board.claim(("port", port), SHARED, (Output(port), *TELL_OUTSIDE))
    board.flush()
    assert actions_of(board, SHARED) == (Output(1), Output(2), *TELL_OUTSIDE)


def test_what_does_not_fit_is_left_out_until_it_does() -> None:
    board, most = Board(), 65_000 // 16
    for port in range(1, most + 1):
        board.claim(("port", port), SHARED, (Output(port),))
    assert [flow.key for flow in board.flush().added] == [SHARED]
    board.claim(("port", most + 1), SHARED, (Output(most + 1),))
    board.claim(("port", 1), PLAIN, (SetField(p.OUT, 1),))
    diff = board.flush()
    assert [flow.key for flow in diff.removed] == [SHARED]
    assert [flow.key for flow in diff.added] == [PLAIN], "nothing else is held up"
    assert (list(board.left_out), list(board.flows), len(board.flows)) == ([SHARED], [PLAIN], 1)
    assert len(board.owners(SHARED)) == most + 1
    board.claim(("port", 1), PLAIN, (SetField(p.OUT, 2),))
    assert [flow.key for flow in board.flush().added] == [PLAIN]
    board.release(("port", 7))
    assert [flow.key for flow in board.flush().added] == [SHARED]
    assert not board.left_out
    for port in range(1, most + 2):
        board.release(("port", port))
    board.flush()
    assert not board.flows
    assert not board.owners(SHARED)


def test_any_other_flow_goes_to_the_first_in_order() -> None:
    board = Board()
    for port in (3, 1, 2):
        board.claim(("port", port), PLAIN, (SetField(p.OUT, port),))
    board.flush()
    assert actions_of(board, PLAIN) == (SetField(p.OUT, 1),)
    board.release(("port", 1))
    board.flush()
    assert actions_of(board, PLAIN) == (SetField(p.OUT, 2),)


def test_a_flow_stays_while_somebody_wants_it() -> None:
    board = Board()
    board.claim(RULE, KEY, clause(1))
    board.claim(OTHER, KEY, clause(1))
    board.flush()
    board.release(RULE)
    assert not board.flush()
    board.release(OTHER)
    assert [flow.key for flow in board.flush().removed] == [KEY]
    assert board.flows == {}


def test_what_comes_and_goes_between_two_looks_is_no_difference() -> None:
    board = Board()
    board.claim(RULE, KEY, clause(16))
    board.release(RULE)
    assert not board.flush()
    board.claim(RULE, KEY, clause(16))
    board.flush()
    board.release(RULE)
    board.claim(RULE, KEY, clause(16))
    assert not board.flush()


def test_assigning_replaces_all_that_an_owner_had() -> None:
    board = Board()
    board.assign(RULE, [Flow(p.EGRESS_ANY, 100, KEY.match, clause(16))])
    board.flush()
    board.assign(RULE, [Flow(p.EGRESS_ANY, 200, KEY.match, clause(16))])
    diff = board.flush()
    assert [flow.key.priority for flow in diff.added] == [200]
    assert [flow.key.priority for flow in diff.removed] == [100]


def test_owners_are_told_in_order_and_strangers_change_nothing() -> None:
    board = Board()
    board.claim(OTHER, KEY, clause(17))
    board.withdraw(RULE, KEY)
    board.claim(RULE, KEY, clause(16))
    assert board.owners(KEY) == [RULE, OTHER]
    board.withdraw(THIRD, KEY)
    board.release(THIRD)
    assert board.owners(KEY) == [RULE, OTHER]
    assert board.owners(PLAIN) == []


Step = tuple[Owner, Match, bool]
OWNERS: st.SearchStrategy[Owner] = st.integers(16, 20).map(lambda number: ("rule", number))
MATCHES = st.sampled_from([(f.ETH_TYPE(0x0800),), (f.ETH_TYPE(0x86DD),)])


@given(st.lists(st.tuples(OWNERS, MATCHES, st.booleans())), st.integers(1, 5))
def test_flows_follow_from_the_claims_alone(steps: list[Step], every: int) -> None:
    """Against the plainest model of it: a set of (owner, match)."""
    board, claims = Board(), set()
    table: dict[FlowKey, Actions] = {}
    for number, (owner, match, present) in enumerate(steps):
        key = FlowKey(p.EGRESS_ANY.id, 100, match)
        if present:
            board.claim(owner, key, clause(int(owner[1])))
            claims.add((owner, key))
        else:
            board.withdraw(owner, key)
            claims.discard((owner, key))
        if number % every == 0:
            diff = board.flush()
            for flow in diff.removed:
                del table[flow.key]
            table.update({flow.key: flow.actions for flow in diff.added})
            keys = {key for _, key in claims}
            wanted = {
                key: tuple(Conjunction(int(owner[1]), 1, 2) for owner, each in sorted(claims) if each == key)
                for key in keys
            }
            assert table == wanted
