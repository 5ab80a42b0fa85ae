"""The flow table depends only on the present policy, not on the changes that led to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import SearchStrategy

from flows.compiler import bridge as compiler
from flows.compiler.bridge import BridgeCompiler, LocalState, compile_bridge
from flows.openflow.flow import Flow, FlowDiff, FlowKey
from flows.openflow.numbers import COOKIE_TAG
from flows.openflow.wire import Installed, reconcile
from flows.policy.index import Policy
from flows.policy.objects import AddressGroup, Change, Network, PolicyObject, Port, Rule, SecurityGroup
from tests.examples import examples
from tests.unit.strategies import (
    ADDRESS_GROUPS,
    GROUPS,
    NETWORKS,
    PORTS,
    RULES,
    address_groups,
    groups,
    networks,
    policies,
    ports,
    rules,
)

OFPORTS = (1, 2, 255, 256, 600)
UPLINKS = (900, 901)
ZONES = (1001, 1002, 1003)
STEPS, PATHS = 25, 80

Key = tuple[type[PolicyObject], str]
POOLS: dict[type[PolicyObject], tuple[str, ...]] = {
    Network: NETWORKS,
    SecurityGroup: GROUPS,
    AddressGroup: ADDRESS_GROUPS,
    Rule: RULES,
    Port: PORTS,
}


def key(each: PolicyObject) -> Key:
    return type(each), each.id


def rule_numbers(name: str) -> SearchStrategy[int]:
    """Several per rule, in two priority bands, and never the same for two rules."""
    first = 16 + RULES.index(name)
    return st.sampled_from([first, first + len(RULES), first + 3000])


def any_objects() -> SearchStrategy[list[PolicyObject]]:
    """New values for objects of the pools."""
    one = st.one_of(
        *(networks(name) for name in NETWORKS),
        *(groups(name) for name in GROUPS),
        *(address_groups(name) for name in ADDRESS_GROUPS),
        *(rules(name, rule_numbers(name)) for name in RULES),
        *(ports(name) for name in PORTS),
    )
    return st.lists(one, min_size=1, max_size=8, unique_by=key)


def some_keys() -> SearchStrategy[list[Key]]:
    every = [(kind, name) for kind, names in POOLS.items() for name in names]
    return st.lists(st.sampled_from(every), min_size=1, max_size=4, unique=True)


@st.composite
def local_states(draw: st.DrawFn) -> LocalState:
    """Any bound ports, which may not exist, with zones that may move between networks."""
    bound = draw(st.lists(st.sampled_from(PORTS), max_size=len(OFPORTS), unique=True))
    numbers = draw(st.permutations(OFPORTS))
    carried = st.frozensets(st.sampled_from(NETWORKS))
    uplinks = draw(st.lists(st.sampled_from(UPLINKS), max_size=2, unique=True))
    return LocalState(
        ports=dict(zip(numbers, bound, strict=False)),
        uplinks={uplink: draw(carried) for uplink in uplinks},
        zones=dict(zip(NETWORKS, draw(st.permutations(ZONES)), strict=False)),
    )


class Paths(RuleBasedStateMachine):
    """Edits a policy and the bound ports; `table` has the flows of a switch that got all differences.

    After every step it must be what a fresh compile of the present policy yields.
    """

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[Key, PolicyObject] = {}
        self.local = LocalState()
        self.bound: dict[str, bool] = {}
        self.policy = Policy()
        self.compiler = BridgeCompiler(self.policy)
        self.table: dict[FlowKey, Flow] = {}
        self.past: list[tuple[list[Change], LocalState, Mapping[FlowKey, Flow]]] = []
        self._settle()

    @initialize(objects=policies(), local=local_states())
    def begin(self, objects: list[PolicyObject], local: LocalState) -> None:
        self._go([Change(None, each) for each in objects], local)

    @rule(changed=any_objects())
    def edit(self, changed: list[PolicyObject]) -> None:
        self._go(self._changes(changed))

    @rule(keys=some_keys())
    def delete(self, keys: list[Key]) -> None:
        self._go(self._deletions(keys))

    @rule(local=local_states())
    def rewire(self, local: LocalState) -> None:
        self._go([], local)

    @rule(news=st.dictionaries(st.sampled_from(PORTS), st.booleans(), min_size=1))
    def bind_somewhere(self, news: dict[str, bool]) -> None:
        """Hosts report ports as bound or no longer bound."""
        self.past.clear()
        self.bound |= news
        self.compiler.update(self.policy.apply_bound(news))
        self._settle()
        self._check()

    @rule(changed=any_objects(), keys=some_keys(), local=local_states(), attach_first=st.booleans())
    def everything_at_once(
        self, changed: list[PolicyObject], keys: list[Key], local: LocalState, attach_first: bool
    ) -> None:
        changed_keys = set(map(key, changed))
        gone = self._deletions([each for each in keys if each not in changed_keys])
        self._go([*self._changes(changed), *gone], local, attach_first)

    @rule(changed=any_objects(), order=st.randoms(use_true_random=False))
    def one_by_one_in_any_order(self, changed: list[PolicyObject], order: Random) -> None:
        self._remember(self._changes(changed))
        order.shuffle(changed)
        for each in changed:
            self._take(self._changes([each]))
        self._check()

    @precondition(lambda self: self.past)
    @rule(times=st.integers(1, 3))
    def undo(self, times: int) -> None:
        for _ in range(min(times, len(self.past))):
            changes, local, before = self.past.pop()
            self._take([Change(new, old) for old, new in reversed(changes)], local)
            check_same(self.table, before)
        self._check()

    @precondition(lambda self: self.past)
    @rule()
    def hear_the_last_edit_again(self) -> None:
        changes = self.past[-1][0]
        self._take([Change(new, new) for _, new in changes if new is not None])
        self._check()

    @rule(
        changed=any_objects(),
        local=st.none() | local_states(),
        restarted=st.booleans(),
        lost=st.randoms(use_true_random=False),
    )
    def reconnect(
        self, changed: list[PolicyObject], local: LocalState | None, restarted: bool, lost: Random
    ) -> None:
        """The policy and the bound ports change, and flows are lost, while the switch is not connected."""
        self.past.clear()
        changes = self._changes(changed)
        self._note(changes, local)
        if restarted:
            self.policy = Policy()
            self.policy.apply_bound(self.bound)
            self.compiler = BridgeCompiler(self.policy)
            changes = [Change(None, each) for each in self.objects.values()]
        self._compile(changes, attach_first=restarted)
        self.compiler.flush()
        for each in lost.sample(list(self.table), len(self.table) // 10):
            del self.table[each]
        self._reconcile()
        self._check()

    def _reconcile(self) -> None:
        """The requests and changes that a controller sends to a switch when it connects."""
        missing, foreign = reconcile(self.compiler.flows.values(), self._installed(), COOKIE_TAG)
        unneeded = set(foreign)
        self.table = {each: flow for each, flow in self.table.items() if flow.cookie not in unneeded}
        self.table |= {flow.key: flow for flow in missing}

    def _installed(self) -> list[Installed]:
        return [Installed(flow.key.table, flow.cookie) for flow in self.table.values()]

    def _changes(self, changed: Iterable[PolicyObject]) -> list[Change]:
        return [Change(self.objects.get(key(each)), each) for each in changed]

    def _deletions(self, keys: Iterable[Key]) -> list[Change]:
        return [Change(self.objects[each], None) for each in keys if each in self.objects]

    def _go(self, changes: list[Change], local: LocalState | None = None, attach_first: bool = False) -> None:
        self._remember(changes)
        self._take(changes, local, attach_first)
        self._check()

    def _remember(self, changes: list[Change]) -> None:
        self.past.append((changes, self.local, dict(self.table)))

    def _take(
        self, changes: Sequence[Change], local: LocalState | None = None, attach_first: bool = False
    ) -> None:
        self._note(changes, local)
        self._compile(changes, attach_first)
        self._settle()

    def _note(self, changes: Iterable[Change], local: LocalState | None) -> None:
        for change in changes:
            self.objects.pop((change.kind, change.id), None)
            if change.new is not None:
                self.objects[key(change.new)] = change.new
        self.local = self.local if local is None else local

    def _compile(self, changes: Iterable[Change], attach_first: bool) -> None:
        if attach_first:
            self.compiler.set_local(self.local)
        self.compiler.update(self.policy.apply(changes))
        if not attach_first:
            self.compiler.set_local(self.local)

    def _settle(self) -> None:
        """Apply the flow difference as a switch would, the parts of a large one first."""
        for part in self.compiler.parts():
            self._take_in(part)
        self._take_in(self.compiler.flush())

    def _take_in(self, diff: FlowDiff) -> None:
        added, removed = {flow.key for flow in diff.added}, {flow.key for flow in diff.removed}
        assert (len(added), len(removed)) == (len(diff.added), len(diff.removed)), "a flow is named twice"
        assert not added & removed, "a flow is added and removed"
        for flow in diff.removed:
            assert self.table.pop(flow.key) == flow
        for flow in diff.added:
            assert self.table.get(flow.key) != flow, "the difference contains an unchanged flow"
            self.table[flow.key] = flow

    def _check(self) -> None:
        check_same(self.table, compile_fresh(self.objects.values(), self.local, self.bound))
        assert self.compiler.flows == self.table


def check_same(table: Mapping[FlowKey, Flow], expected: Mapping[FlowKey, Flow]) -> None:
    missing = [str(expected[each]) for each in expected.keys() - table.keys()]
    surplus = [str(table[each]) for each in table.keys() - expected.keys()]
    differing = [str(flow) for each, flow in table.items() if expected.get(each, flow) != flow]
    assert (missing, surplus, differing) == ([], [], []), f"{missing=}\n{surplus=}\n{differing=}"


def compile_fresh(
    objects: Iterable[PolicyObject], local: LocalState, bound: Mapping[str, bool]
) -> Mapping[FlowKey, Flow]:
    policy = Policy()
    policy.apply_bound(bound)
    policy.apply(Change(None, each) for each in objects)
    return compile_bridge(policy, local)


@pytest.mark.parametrize("ports_at_a_time", [1, compiler.PORTS_AT_A_TIME])
def test_any_order_of_changes_leads_to_the_same_flows(
    monkeypatch: pytest.MonkeyPatch, ports_at_a_time: int
) -> None:
    monkeypatch.setattr(compiler, "PORTS_AT_A_TIME", ports_at_a_time)
    run_state_machine_as_test(
        Paths,
        settings=settings(
            max_examples=examples(PATHS),
            stateful_step_count=STEPS,
            phases=[phase for phase in settings().phases if phase is not Phase.explain],  # takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
