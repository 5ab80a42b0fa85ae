"""What a rule permits, as a key: to find rules that permit the same."""

from __future__ import annotations

from dataclasses import replace

from flows.policy.objects import Rule, permission_of
from sgctl.service.draft import Draft

Permission = tuple[object, ...]


def permissions_of(draft: Draft, group_id: str) -> dict[Permission, Rule]:
    """The rules of a group by `permission`."""
    return {permission(rule): rule for rule in draft.where(Rule, "group_id", group_id)}


def permission(rule: Rule) -> Permission:
    """A key that is equal for rules that permit the same; no remote equals 0.0.0.0/0 and ::/0."""
    prefix = rule.remote_ip_prefix
    if prefix is not None and not prefix.length:
        rule = replace(rule, remote_ip_prefix=None)
    return permission_of(rule)
