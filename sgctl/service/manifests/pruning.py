"""Taking away what no document mentions, within bounds that the user names."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from flows.model import KINDS, Network, PolicyObject, Rule, SecurityGroup
from sgctl.service.draft import Draft, Key
from sgctl.service.kinds import MANIFEST_KINDS
from sgctl.service.ownership import DEFAULT_GROUP_TAG
from sgctl.service.plan import Action, Outcome


@dataclass(frozen=True)
class Bounds:
    """What may be taken away: objects of these kinds and projects."""

    kinds: frozenset[type[PolicyObject]]
    projects: frozenset[str]

    def hold(self, obj: PolicyObject) -> bool:
        """Whether the object is within them."""
        return type(obj) in self.kinds and obj.meta.project_id in self.projects


def prune(draft: Draft, stated: AbstractSet[Key], bounds: Bounds) -> Iterator[Outcome]:
    """Take everything out of the draft that is within the bounds and not stated; what was taken.

    A group goes with its rules. The default group that was made for a network stays with its network.
    """
    for kind in reversed([kind for kind in KINDS if kind is not Rule]):
        for obj in sorted(draft.all(kind), key=lambda each: (each.name, each.id)):
            if bounds.hold(obj) and (kind, obj.id) not in stated and not _made_for_network(draft, obj):
                yield _take(draft, obj)


def _made_for_network(draft: Draft, obj: PolicyObject) -> bool:
    if not isinstance(obj, SecurityGroup) or DEFAULT_GROUP_TAG not in obj.meta.tags:
        return False
    return bool(draft.where(Network, "default_group", obj.id))


def _take(draft: Draft, obj: PolicyObject) -> Outcome:
    draft.remove(type(obj), obj.id)
    if isinstance(obj, SecurityGroup):
        for rule in draft.where(Rule, "group_id", obj.id):
            draft.remove(Rule, rule.id)
    return Outcome(MANIFEST_KINDS[type(obj)], obj.name or obj.id, Action.DELETED)
