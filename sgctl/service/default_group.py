"""The group that a project's ports have by default, as in Neutron."""

from __future__ import annotations

from uuid import uuid4

from flows.policy.objects import Direction, Ethertype, Meta, Rule, SecurityGroup
from sgctl.service.draft import Draft

DEFAULT_GROUP = "default"
"""The name of the group that a project's ports have by default."""


def default_group(draft: Draft, project_id: str) -> SecurityGroup:
    """The project's default group, created if missing. It permits all egress, and ingress from itself."""
    known = find_default_group(draft, project_id)
    if known is not None:
        return known
    meta = Meta(description="Default security group", project_id=project_id)
    group = SecurityGroup(str(uuid4()), DEFAULT_GROUP, meta=meta)
    draft.put(group)
    for ethertype in Ethertype:
        draft.put(_new_rule(group, Direction.INGRESS, ethertype, group.id))
    add_egress(draft, group)
    return group


def find_default_group(draft: Draft, project_id: str) -> SecurityGroup | None:
    """The project's default group; the oldest if another tool created several."""
    named = draft.where(SecurityGroup, "name", DEFAULT_GROUP)
    own = [group for group in named if group.meta.project_id == project_id]
    return min(own, key=lambda group: (group.meta.created_at, group.id), default=None)


def add_egress(draft: Draft, group: SecurityGroup) -> None:
    """Add rules that permit all egress."""
    for ethertype in Ethertype:
        draft.put(_new_rule(group, Direction.EGRESS, ethertype, None))


def _new_rule(group: SecurityGroup, direction: Direction, ethertype: Ethertype, remote: str | None) -> Rule:
    meta = Meta(project_id=group.meta.project_id)
    return Rule(str(uuid4()), 0, group.id, direction, ethertype, remote_group_id=remote, meta=meta)
