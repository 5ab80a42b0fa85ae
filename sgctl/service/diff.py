"""The changes of a plan as each object's manifest before and after."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from flows.policy.objects import Change, PolicyObject, Rule, SecurityGroup
from sgctl.service.draft import Draft
from sgctl.service.export import manifest, to_yaml
from sgctl.service.kinds import MANIFEST_KINDS
from sgctl.service.plan import ObjectAction, Plan
from sgctl.service.preview import preview
from sgctl.store.snapshot import Key, PolicySnapshot

_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class ManifestDifference:
    """One object's manifest before and after; empty if the object does not exist then."""

    kind: str
    name: str
    before: str
    after: str

    @property
    def action(self) -> ObjectAction:
        """What the plan does to the object."""
        if not self.before:
            return ObjectAction.CREATED
        return ObjectAction.UPDATED if self.after else ObjectAction.DELETED

    def lines(self) -> list[str]:
        """A unified diff."""
        label = f"{self.kind}/{self.name}"
        old, new = (label if text else "/dev/null" for text in (self.before, self.after))
        sides = self.before.splitlines(), self.after.splitlines()
        return list(difflib.unified_diff(*sides, old, new, lineterm="", n=_CONTEXT))


def differences(objects: PolicySnapshot, plan: Plan) -> list[ManifestDifference]:
    """One difference per changed object, sorted by kind and name; a group's rules are part of the group."""
    before, now = Draft(objects), preview(objects, plan.changes)[0]
    found = []
    for kind, identifier in dict.fromkeys(map(_subject, plan.changes)):
        sides = before.get(kind, identifier), now.get(kind, identifier)
        obj = sides[1] or sides[0]
        assert obj is not None
        texts = (_text(before, sides[0]), _text(now, sides[1]))
        found.append(ManifestDifference(MANIFEST_KINDS[kind], obj.name or obj.id, *texts))
    changed = (each for each in found if each.before != each.after)
    return sorted(changed, key=lambda each: (list(MANIFEST_KINDS.values()).index(each.kind), each.name))


def _subject(change: Change) -> Key:
    obj = change.new or change.old
    return (SecurityGroup, obj.group_id) if isinstance(obj, Rule) else (change.kind, change.id)


def _text(draft: Draft, obj: PolicyObject | None) -> str:
    return "" if obj is None else to_yaml([manifest(draft, obj)])
