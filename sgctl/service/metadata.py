"""Metadata that users do not set: timestamps, revision numbers and the project of a rule.

As in Neutron, a rule belongs to its group: by default it is in the group's project, and a change of a rule
increments the group's revision number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

from flows.policy.objects import Change, Rule, SecurityGroup
from sgctl.service.draft import Objects


def with_metadata(changes: Sequence[Change], objects: Objects, now: str) -> list[Change]:
    """The changes of one transaction on `objects` with this metadata. `now` is in RFC 3339 format, UTC."""
    named = {change.id: change for change in changes if change.kind is SecurityGroup}
    groups = {**objects.get(SecurityGroup, {}), **{each: change.new for each, change in named.items()}}
    with_projects = [_with_project(change, cast("dict[str, SecurityGroup]", groups)) for change in changes]
    bumped = [
        Change(group, group)
        for identifier in _groups_of(changes)
        if identifier not in named and (group := groups.get(identifier)) is not None
    ]
    return [_stamp(change, now) for change in [*bumped, *with_projects]]


def _groups_of(changes: Iterable[Change]) -> dict[str, None]:
    """The ids of the groups whose rules change."""
    return {side.group_id: None for change in changes for side in change if isinstance(side, Rule)}


def _with_project(change: Change, groups: dict[str, SecurityGroup]) -> Change:
    old, new = change
    if old is not None or not isinstance(new, Rule) or new.meta.project_id:
        return change
    group = groups.get(new.group_id)
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
