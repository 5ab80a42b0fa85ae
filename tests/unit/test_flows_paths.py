"""The flow table depends on what the policy is, never on the way it came about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from flows.compiler import BridgeCompiler, LocalState, compile_bridge
from flows.flow import Flow, FlowKey
from flows.model import AddressGroup, Change, Network, PolicyObject, Port, Rule, SecurityGroup
from flows.policy import Policy
from tests.shrinking import Unshown, brief, plainer_object, shrink, with_one_plainer, without_one
from tests.unit.strategies import (
    ADDRESS_GROUPS,
    GROUPS,
    NETWORKS,
    PORTS,
    RULES,
    address_groups,
    groups,
    networks,
    ports,
    rules,
)

OFPORTS = (1, 2, 255, 256, 600)
UPLINKS = (900, 901)
ZONES = (1001, 1002, 1003)


def rule_numbers(name: str) -> SearchStrategy[int]:
    """Several per rule, in two priority bands, and never the same for two rules."""
    first = 16 + RULES.index(name)
    return st.sampled_from([first, first + len(RULES), first + 3000])


def any_object() -> SearchStrategy[PolicyObject]:
    """A new value for any object of the pools."""
    return st.one_of(
        *(networks(name) for name in NETWORKS),
        *(groups(name) for name in GROUPS),
        *(address_groups(name) for name in ADDRESS_GROUPS),
        *(rules(name, rule_numbers(name)) for name in RULES),
        *(ports(name) for name in PORTS),
    )


@st.composite
def local_states(draw: st.DrawFn) -> LocalState:
    """Any attachment, of ports that may not exist, with zones that may change hands."""
    bound = draw(st.lists(st.sampled_from(PORTS), max_size=len(OFPORTS), unique=True))
    numbers = draw(st.permutations(OFPORTS))
    carried = st.frozensets(st.sampled_from(NETWORKS))
    uplinks = draw(st.lists(st.sampled_from(UPLINKS), max_size=2, unique=True))
    return LocalState(
        ports=dict(zip(numbers, bound, strict=False)),
        uplinks={uplink: draw(carried) for uplink in uplinks},
        zones=dict(zip(NETWORKS, draw(st.permutations(ZONES)), strict=False)),
    )


Key = tuple[type[PolicyObject], str]


def key(each: PolicyObject) -> Key:
    return type(each), each.id


def keys() -> SearchStrategy[Key]:
    pools: dict[type[PolicyObject], tuple[str, ...]] = {
        Network: NETWORKS,
        SecurityGroup: GROUPS,
        AddressGroup: ADDRESS_GROUPS,
        Rule: RULES,
        Port: PORTS,
    }
    return st.sampled_from([(kind, name) for kind, names in pools.items() for name in names])


@dataclass(frozen=True)
class Step:
    """Some edits, in this order, and perhaps another attachment, all of which the switch sees as one."""

    changed: tuple[PolicyObject, ...] = ()
    deleted: tuple[Key, ...] = ()
    local: LocalState | None = None
    attach_first: bool = False
    undone: bool = False


@st.composite
def step(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(["edit", "edit", "edit", "delete", "rewire", "all"]))
    changed = st.lists(any_object(), min_size=1, max_size=8, unique_by=key)
    deleted = st.lists(keys(), max_size=4, unique=True)
    return Step(
        changed=tuple(draw(changed)) if kind in ("edit", "all") else (),
        deleted=tuple(draw(deleted)) if kind in ("delete", "all") else (),
        local=draw(local_states()) if kind in ("rewire", "all") else None,
        attach_first=draw(st.booleans()),
        undone=draw(st.integers(0, 3)) == 0,
    )


class Path:
    """Edits a policy and its attachment, and keeps the table that the flow differences add up to."""

    def __init__(self) -> None:
        self.objects: dict[Key, PolicyObject] = {}
        self.local = LocalState()
        self.policy = Policy()
        self.compiler = BridgeCompiler(self.policy)
        self.table: dict[FlowKey, Flow] = {}
        self.settle()

    def take(self, step: Step) -> None:
        table, local = dict(self.table), self.local
        changes = self.changes(step)
        self.go(changes, step.local, step.attach_first)
        self.check_against_fresh_compile()
        if step.undone:
            self.go([Change(new, old) for old, new in reversed(changes)], local, step.attach_first)
            check_same(self.table, table)

    def changes(self, step: Step) -> list[Change]:
        changed = {key(each) for each in step.changed}
        gone = [each for each in step.deleted if each in self.objects and each not in changed]
        return [
            *(Change(self.objects.get(key(each)), each) for each in step.changed),
            *(Change(self.objects[each], None) for each in gone),
        ]

    def go(self, changes: list[Change], local: LocalState | None, attach_first: bool) -> None:
        for change in changes:
            self.objects.pop((change.kind, change.id), None)
            if change.new is not None:
                self.objects[key(change.new)] = change.new
        self.local = self.local if local is None else local
        if attach_first:
            self.compiler.set_local(self.local)
        self.compiler.update(self.policy.apply(changes))
        if not attach_first:
            self.compiler.set_local(self.local)
        self.settle()

    def settle(self) -> None:
        """Take in the flow difference, as the switch would."""
        diff = self.compiler.flush()
        added, removed = {flow.key for flow in diff.added}, {flow.key for flow in diff.removed}
        assert (len(added), len(removed)) == (len(diff.added), len(diff.removed)), "a flow is named twice"
        assert not added & removed, "a flow is added and removed"
        for flow in diff.removed:
            assert self.table.pop(flow.key) == flow
        for flow in diff.added:
            assert self.table.get(flow.key) != flow, "the difference holds what does not differ"
            self.table[flow.key] = flow

    def check_against_fresh_compile(self) -> None:
        check_same(self.table, compile_fresh(self.objects.values(), self.local))
        assert self.compiler.flows == self.table


def check_same(table: Mapping[FlowKey, Flow], expected: Mapping[FlowKey, Flow]) -> None:
    missing = [str(expected[each]) for each in expected.keys() - table.keys()]
    surplus = [str(table[each]) for each in table.keys() - expected.keys()]
    differing = [str(flow) for each, flow in table.items() if expected.get(each, flow) != flow]
    assert (missing, surplus, differing) == ([], [], []), f"{missing=}\n{surplus=}\n{differing=}"


def compile_fresh(objects: Iterable[PolicyObject], local: LocalState) -> Mapping[FlowKey, Flow]:
    policy = Policy()
    policy.apply(Change(None, each) for each in objects)
    return compile_bridge(policy, local)


def fault(steps: list[Step]) -> str:
    """What goes wrong on the way; empty when nothing does."""
    path = Path()
    try:
        for each in steps:
            path.take(each)
    except (AssertionError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def plainer_step(step: Step) -> Iterator[Step]:
    yield from plainer_object(step)
    for changed in with_one_plainer(step.changed, plainer_object):
        yield replace(step, changed=tuple(changed))
    for local in plainer_object(step.local) if step.local else ():
        yield replace(step, local=local)


def shorter(steps: list[Step]) -> Iterator[list[Step]]:
    yield from without_one(steps)
    yield from with_one_plainer(steps, plainer_step)


@settings(max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.lists(step(), min_size=15, max_size=25).map(Unshown))
def test_any_path_leads_to_the_same_table(steps: Unshown[list[Step]]) -> None:
    if fault(steps.value):
        least = shrink(steps.value, shorter, lambda fewer: bool(fault(fewer)))
        pytest.fail("\n".join([fault(least), *map(brief, least)]), pytrace=False)
