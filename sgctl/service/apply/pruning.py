"""Deletes objects that no document mentions, within the scope that the user gives."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from flows.policy.objects import KINDS, Network, PolicyObject, Rule, SecurityGroup
from sgctl.service.draft import Draft
from sgctl.service.kinds import MANIFEST_KINDS
from sgctl.service.ownership import DEFAULT_GROUP_TAG
from sgctl.service.plan import ObjectAction, ObjectOutcome
from sgctl.store.snapshot import Key


@dataclass(frozen=True)
class PruneScope:
    """The scope of deletion: objects of these kinds and projects."""

    kinds: frozenset[type[PolicyObject]]
    projects: frozenset[str]

    def includes(self, obj: PolicyObject) -> bool:
        """Whether the object is within the scope."""
        return type(obj) in self.kinds and obj.meta.project_id in self.projects


def prune(draft: Draft, stated: AbstractSet[Key], scope: PruneScope) -> Iterator[ObjectOutcome]:
    """Delete all objects within the scope from the draft that are not stated; yields each deletion.

    Deleting a group deletes its rules. The default group that was created for an existing network is kept.
    """
    for kind in reversed([kind for kind in KINDS if kind is not Rule]):
        for obj in sorted(draft.all(kind), key=lambda each: (each.name, each.id)):
            if scope.includes(obj) and (kind, obj.id) not in stated and not _made_for_network(draft, obj):
                yield _take(draft, obj)


def _made_for_network(draft: Draft, obj: PolicyObject) -> bool:
    if not isinstance(obj, SecurityGroup) or DEFAULT_GROUP_TAG not in obj.meta.tags:
        return False
    return bool(draft.where(Network, "default_group", obj.id))


def _take(draft: Draft, obj: PolicyObject) -> ObjectOutcome:
    draft.remove(type(obj), obj.id)
    if isinstance(obj, SecurityGroup):
        for rule in draft.where(Rule, "group_id", obj.id):
            draft.remove(Rule, rule.id)
    return ObjectOutcome(MANIFEST_KINDS[type(obj)], obj.name or obj.id, ObjectAction.DELETED)
