"""Metadata that users do not set: timestamps, revision numbers and the project of a rule.

As in Neutron, a rule belongs to its group: by default it is in the group's project, and a change of a rule
increments the group's revision number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from flows.policy.objects import Change, Rule, SecurityGroup
from sgctl.store.checked import CheckedChanges
from sgctl.store.snapshot import PolicySnapshot


def with_metadata(changes: CheckedChanges, objects: PolicySnapshot, now: str) -> CheckedChanges:
    """The changes of one transaction on `objects` with this metadata. `now` is in RFC 3339 format, UTC."""
    named = {change.id for change in changes if change.kind is SecurityGroup}
    new = {change.new.id: change.new for change in changes if isinstance(change.new, SecurityGroup)}

    def group_of(rule: Rule) -> SecurityGroup | None:
        return new.get(rule.group_id) or objects.get(SecurityGroup, rule.group_id)

    with_projects = [_with_project(change, group_of) for change in changes]
    bumped = [
        Change(group, group)
        for identifier in _groups_of(changes)
        if identifier not in named and (group := objects.get(SecurityGroup, identifier)) is not None
    ]
    return changes.with_metadata(_stamp(change, now) for change in [*bumped, *with_projects])


def _groups_of(changes: Iterable[Change]) -> dict[str, None]:
    """The ids of the groups whose rules change."""
    return {side.group_id: None for change in changes for side in change if isinstance(side, Rule)}


def _with_project(change: Change, group_of: Callable[[Rule], SecurityGroup | None]) -> Change:
    old, new = change
    if old is not None or not isinstance(new, Rule) or new.meta.project_id:
        return change
    group = group_of(new)
    project = group.meta.project_id if group is not None else ""
    return Change(None, replace(new, meta=replace(new.meta, project_id=project)))


def _stamp(change: Change, now: str) -> Change:
    old, new = change
    if new is None:
        return change
    if old is None:
        return Change(None, replace(new, meta=replace(new.meta, created_at=now, updated_at=now)))
    meta = replace(
        new.meta,
        created_at=old.meta.created_at,
        updated_at=now,
        revision_number=old.meta.revision_number + 1,
    )
    return Change(old, replace(new, meta=meta))
