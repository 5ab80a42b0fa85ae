"""Active rules: each is one conjunction of local identity, remote identity and service.

A rule is active on a bridge while one of the bridge's ports has the rule's group. The number of flows never
grows with the product of ports, remotes and rules: rules match the identities of ports and remotes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from flows.compiler.claims import ClaimTable, Owner
from flows.compiler.dscp import reading_flows, recording_flows
from flows.compiler.named_protocols import named_protocol
from flows.compiler.remotes import MemberTable, PrefixTable, is_member_selector
from flows.compiler.services import ethertype_term, has_service, service_matches
from flows.openflow import registers as r
from flows.openflow.actions import Conjunction, SetField
from flows.openflow.fields import CONJ_ID, Field, Match, Term
from flows.openflow.flow import Flow, FlowKey
from flows.openflow.numbers import Priority, conjunction_priority
from flows.openflow.pipeline import EGRESS_TABLES, INGRESS_TABLES
from flows.openflow.table import Table
from flows.policy.index import ANY, Policy, Selector, SelectorKind, Touched, selector_of
from flows.policy.objects import Direction, Rule

Side = tuple[Direction, int]
SIDES: tuple[Side, ...] = tuple((direction, version) for direction in Direction for version in (4, 6))


@lru_cache(maxsize=1 << 12)
def _clause(number: int, position: int, clauses: int) -> tuple[Conjunction]:
    """Cached, because all flows of a clause can share it."""
    return (Conjunction(number, position, clauses),)


@dataclass(frozen=True, slots=True)
class RuleConjunction:
    """The table of a rule's flows and the number of clauses of its conjunction.

    `owner` is the owner of the flows in the claim table; it sorts by rule number.
    """

    rule: Rule
    selector: Selector
    table: Table
    clauses: int
    owner: Owner

    @classmethod
    def of(cls, rule: Rule) -> RuleConjunction:
        """The conjunction of a rule, which depends on the rule alone."""
        tables = EGRESS_TABLES if rule.direction is Direction.EGRESS else INGRESS_TABLES
        selector = selector_of(rule)
        table = tables.any if selector == ANY else tables.rules
        return cls(
            rule, selector, table, 1 + has_service(rule) + (selector != ANY), owner=("rule", rule.number)
        )

    @property
    def side(self) -> Side:
        """Direction and family."""
        return (self.rule.direction, self.rule.ethertype.version)

    @property
    def priority(self) -> int:
        """The priority of all flows of the rule."""
        if self.clauses == 1:
            return Priority.UNCONDITIONAL
        return conjunction_priority(self.rule.number, all_protocols=self.rule.protocol is None)

    def key(self, match: Match) -> FlowKey:
        """The key of a clause flow of this rule."""
        family = ethertype_term(self.rule.ethertype)
        return FlowKey(self.table.id, self.priority, (family, *match))

    def clause(self, position: int) -> tuple[Conjunction]:
        """The action of a clause. Positions count from 1: local identity, service if any, remote last."""
        return _clause(self.rule.number, position, self.clauses)

    def local_flows(self, number: int) -> Iterator[Flow]:
        """The flows for one local identity: the clause or the whole rule, and what the rule needs read."""
        local = r.LOCAL(number)
        accept = (SetField(r.VERDICT, self.rule.number),)
        yield Flow.at(self.key((local,)), accept if self.clauses == 1 else self.clause(1))
        if self.rule.ip_dscp is not None:
            tables = EGRESS_TABLES if self.rule.direction is Direction.EGRESS else INGRESS_TABLES
            yield from reading_flows(tables.any, self.rule.ethertype, number)

    def base_flows(self) -> Iterable[Flow]:
        """The flows that do not depend on ports and remotes: the conjunction's result and its service."""
        if self.clauses == 1:
            return
        priority = self.priority
        accept = (SetField(r.VERDICT, self.rule.number),)
        yield Flow(self.table, priority, self.key((CONJ_ID(self.rule.number),)).match, accept)
        if has_service(self.rule):
            clause = self.clause(2)
            for match in service_matches(self.rule):
                yield Flow(self.table, priority, match, clause)
        if self.rule.protocol is not None:
            yield from named_protocol(self.rule.ethertype, self.rule.protocol)
        if self.rule.ip_dscp is not None:
            yield from recording_flows(self.rule.ethertype)


@dataclass
class SideState:
    """One direction of one family: the tables of remotes, and the rules by remote."""

    members: MemberTable
    prefixes: PrefixTable
    by_selector: defaultdict[Selector, dict[str, RuleConjunction]] = field(
        default_factory=lambda: defaultdict(dict)
    )


class RuleBook:
    """Keeps the flows of all active rules in a claim table."""

    def __init__(self, policy: Policy, claims: ClaimTable, zones_of_scope: dict[str, set[int]]) -> None:
        self._policy = policy
        self._claims = claims
        self._active: dict[str, RuleConjunction] = {}
        self._locals: defaultdict[str, set[int]] = defaultdict(set)
        self._sides = {side: self._side_state(side, zones_of_scope) for side in SIDES}

    def _side_state(self, side: Side, zones_of_scope: dict[str, set[int]]) -> SideState:
        tables = EGRESS_TABLES if side[0] is Direction.EGRESS else INGRESS_TABLES

        def member_watcher(selector: Selector, number: int, appeared: bool) -> None:
            self._remote_identity(side, selector, r.MEMBER(number), appeared)

        def prefix_watcher(selector: Selector, number: int, appeared: bool) -> None:
            self._remote_identity(side, selector, r.PREFIX(number), appeared)

        return SideState(
            MemberTable(self._claims, tables.member, side, member_watcher, zones_of_scope),
            PrefixTable(self._claims, tables.prefix, side, prefix_watcher),
        )

    def add_identity(self, number: int, groups: Iterable[str]) -> None:
        """Add a local identity, when its first port is bound."""
        for group in groups:
            self._locals[group].add(number)
            for rule_id in self._policy.rules_of_group.get(group, ()):
                if rule_id in self._active:
                    self._claim_local(self._active[rule_id], number)
                else:
                    self.refresh_rule(rule_id)

    def remove_identity(self, number: int, groups: Iterable[str]) -> None:
        """Remove a local identity, when its last port is gone."""
        for group in groups:
            self._locals[group].discard(number)
            for conjunction in [
                self._active[rule]
                for rule in self._policy.rules_of_group.get(group, ())
                if rule in self._active
            ]:
                for flow in conjunction.local_flows(number):
                    self._claims.withdraw(conjunction.owner, flow.key)
                self.refresh_rule(conjunction.rule.id)

    def identities_of(self, group: str) -> set[int]:
        """The local identities that include a group."""
        return self._locals.get(group, set())

    def remote_identities(self) -> dict[int, frozenset[Selector]]:
        """The sets of selectors in use, by identity."""
        tables = [table for state in self._sides.values() for table in (state.members, state.prefixes)]
        return {
            table.identities.number(selectors): selectors
            for table in tables
            for selectors in table.identities.sets()
        }

    def refresh_rule(self, rule_id: str) -> None:
        """Activate, deactivate or replace one rule, as the policy and the bound ports require."""
        rule = self._policy.rules.get(rule_id)
        wanted = RuleConjunction.of(rule) if rule is not None and self._locals.get(rule.group_id) else None
        current = self._active.get(rule_id)
        if wanted == current:
            return
        if current is not None:
            self._deactivate(current)
        if wanted is not None:
            self._activate(wanted)

    def update(self, touched: Touched) -> None:
        """Update the remotes and rules that a change of the policy touched."""
        for selector, prefix in touched.prefixes:
            present = prefix in self._policy.prefixes_of(selector)
            for state in self._watching(selector):
                state.prefixes.set_prefix(selector, prefix, present)
        selectors = {group: Selector(SelectorKind.GROUP, group) for group, _ in touched.members}
        watching = {group: self._watching(selector) for group, selector in selectors.items()}
        for group, member in touched.members:
            for state in watching[group]:
                state.members.set_member(selectors[group], member, member in self._policy.members[group])
        for rule in touched.rules:
            self.refresh_rule(rule)

    def _watching(self, selector: Selector) -> list[SideState]:
        return [state for state in self._sides.values() if selector in state.by_selector]

    def refresh_zone(self, zone: int, scope: str | None) -> None:
        """Update a zone whose network appeared on the bridge, left it (no `scope`), or changed its scope."""
        for state in self._sides.values():
            state.members.refresh_zone(zone, scope)

    def _activate(self, conjunction: RuleConjunction) -> None:
        self._active[conjunction.rule.id] = conjunction
        self._claims.assign(conjunction.owner, conjunction.base_flows())
        for number in self._locals[conjunction.rule.group_id]:
            self._claim_local(conjunction, number)
        if conjunction.selector != ANY:
            self._attach_remote(conjunction)

    def _deactivate(self, conjunction: RuleConjunction) -> None:
        del self._active[conjunction.rule.id]
        self._claims.release(conjunction.owner)
        if conjunction.selector != ANY:
            self._detach_remote(conjunction)

    def _claim_local(self, conjunction: RuleConjunction, number: int) -> None:
        for flow in conjunction.local_flows(number):
            self._claims.claim(conjunction.owner, flow.key, flow.actions)

    def _attach_remote(self, conjunction: RuleConjunction) -> None:
        state = self._sides[conjunction.side]
        first = conjunction.selector not in state.by_selector
        state.by_selector[conjunction.selector][conjunction.rule.id] = conjunction
        if first:
            self._watch_selector(state, conjunction.selector, present=True)
        else:
            table, register = self._remote_table(state, conjunction.selector)
            for number in table.identities.of_selector[conjunction.selector]:
                self._claims.claim(
                    conjunction.owner,
                    conjunction.key((register(number),)),
                    conjunction.clause(conjunction.clauses),
                )

    def _detach_remote(self, conjunction: RuleConjunction) -> None:
        state = self._sides[conjunction.side]
        del state.by_selector[conjunction.selector][conjunction.rule.id]
        if not state.by_selector[conjunction.selector]:
            self._watch_selector(state, conjunction.selector, present=False)
            del state.by_selector[conjunction.selector]

    def _watch_selector(self, state: SideState, selector: Selector, *, present: bool) -> None:
        """Add a remote's addresses for the first rule that names it, or remove them after the last one."""
        if is_member_selector(selector):
            for member in self._policy.members.get(selector.key, ()):
                state.members.set_member(selector, member, present)
        else:
            for prefix in self._policy.prefixes_of(selector):
                state.prefixes.set_prefix(selector, prefix, present)

    @staticmethod
    def _remote_table(state: SideState, selector: Selector) -> tuple[MemberTable | PrefixTable, Field]:
        if is_member_selector(selector):
            return state.members, r.MEMBER
        return state.prefixes, r.PREFIX

    def _remote_identity(self, side: Side, selector: Selector, condition: Term, appeared: bool) -> None:
        """Update a selector's rules when an identity that contains the selector appears or disappears."""
        for conjunction in self._sides[side].by_selector.get(selector, {}).values():
            key = conjunction.key((condition,))
            if appeared:
                self._claims.claim(conjunction.owner, key, conjunction.clause(conjunction.clauses))
            else:
                self._claims.withdraw(conjunction.owner, key)
