"""Everything that is known about a change before it is applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from flows.policy.objects import AddressGroup, Change, Network, Port, Rule, SecurityGroup
from flows.reference.verdict import PolicyText
from sgctl.forecast.conntrack import Cut, OpenConnection, cuts
from sgctl.forecast.fleet import Cost, Fleet, SwitchForecast
from sgctl.service.draft import Draft
from sgctl.service.lint import LintWarning, lint
from sgctl.service.plan import Plan
from sgctl.service.preview import preview
from sgctl.store.snapshot import PolicySnapshot


@dataclass(frozen=True)
class RuleForecast:
    """A rule that the change adds (`is_new`) or removes, and how many flows it needs."""

    rule: Rule
    is_new: bool
    cost: Cost


@dataclass(frozen=True)
class Forecast:
    """What a plan does. `cut` is None when this host's connections could not be read."""

    switches: list[SwitchForecast]
    rules: list[RuleForecast]
    cut: list[Cut] | None
    advice: list[LintWarning]
    before: Draft
    after: Draft


def forecast(
    objects: PolicySnapshot,
    plan: Plan,
    fleet: Fleet,
    connections: Iterable[OpenConnection] | None,
    zones: Mapping[int, str],
    bound: AbstractSet[str],
) -> Forecast:
    """Compute the forecast. It applies the plan to `fleet`, which cannot be used again.

    `zones` maps the conntrack zones of this host to network ids; `bound` holds the ids of the ports that are
    bound on some host.
    """
    before = Draft(objects)
    after, changes = preview(objects, plan.changes)
    gone = [change.old for change in changes if isinstance(change.old, Rule) and change.new is None]
    new = [change.new for change in changes if isinstance(change.new, Rule) and change.old is None]
    old_costs = fleet.costs(rule.number for rule in gone)
    switches = fleet.change(changes)
    new_costs = fleet.costs(rule.number for rule in new)
    cut = (
        None
        if connections is None
        else list(cuts(connections, zones, *(_text(draft, bound) for draft in (before, after))))
    )
    return Forecast(
        switches,
        [RuleForecast(rule, False, old_costs[rule.number]) for rule in gone]
        + [RuleForecast(rule, True, new_costs[rule.number]) for rule in new],
        cut,
        list(lint(after, _groups_of(plan, changes, after))),
        before,
        after,
    )


def _groups_of(plan: Plan, changes: Iterable[Change], after: Draft) -> list[str]:
    """The ids of the groups that a plan affects, by name: edited, or with changed rules, ports or remotes."""
    stated = [outcome.name for outcome in plan.outcomes if outcome.kind == "SecurityGroup"]
    touched = {group.id: None for name in stated for group in after.where(SecurityGroup, "name", name)}
    for change in changes:
        for side in change:
            if isinstance(side, SecurityGroup):
                touched[side.id] = None
            elif isinstance(side, Rule):
                touched[side.group_id] = None
            elif isinstance(side, Port):
                touched.update(dict.fromkeys(side.security_groups))
    remotes = [rule.group_id for each in touched for rule in after.where(Rule, "remote_group_id", each)]
    touched.update(dict.fromkeys(remotes))
    groups = (after.get(SecurityGroup, each) for each in touched)
    return [group.id for group in sorted(filter(None, groups), key=lambda group: (group.name, group.id))]


def _text(draft: Draft, bound: AbstractSet[str]) -> PolicyText:
    return PolicyText(
        {each.id: each for each in draft.all(Network)},
        {each.id: each for each in draft.all(Port)},
        {each.id: each for each in draft.all(AddressGroup)},
        {each.id: each for each in draft.all(Rule)},
        {each.id: each for each in draft.all(SecurityGroup)},
        unbound=frozenset(each.id for each in draft.all(Port)) - bound,
    )
