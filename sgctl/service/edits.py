"""Single edits of the policy that do not come from a manifest, with the same checks."""

from __future__ import annotations

from uuid import uuid4

from flows.policy.objects import Direction, Ethertype, Meta, PolicyObject, Rule, SecurityGroup
from sgctl.service.checks import violations
from sgctl.service.draft import Draft
from sgctl.service.errors import Finding, PolicyError, Source
from sgctl.service.kinds import MANIFEST_KINDS
from sgctl.service.plan import Plan

DEFAULT_GROUP = "default"
"""The name of the group that a project's ports have by default."""


def checked_plan(draft: Draft) -> Plan:
    """The draft's edits as a plan. Raises PolicyError with every problem."""
    changes = tuple(draft.changes())
    findings = [
        Finding(_source(broken.subject), broken.field, broken.reason, broken.code)
        for broken in violations(draft, changes)
    ]
    if findings:
        raise PolicyError(findings)
    return Plan(changes, ())


def _source(obj: PolicyObject) -> Source:
    return Source(kind=MANIFEST_KINDS[type(obj)], name=obj.name or obj.id)


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


Permission = tuple[object, ...]


def permissions_of(draft: Draft, group_id: str) -> dict[Permission, Rule]:
    """The rules of a group by `permission`."""
    return {permission(rule): rule for rule in draft.where(Rule, "group_id", group_id)}


def permission(rule: Rule) -> Permission:
    """A key that is equal for rules that permit the same; no remote equals 0.0.0.0/0 and ::/0."""
    prefix = rule.remote_ip_prefix
    return (
        rule.direction,
        rule.ethertype,
        rule.protocol,
        rule.port_range_min,
        rule.port_range_max,
        prefix if prefix is not None and prefix.length else None,
        rule.remote_group_id,
        rule.remote_address_group_id,
        rule.remote_network_id,
    )
