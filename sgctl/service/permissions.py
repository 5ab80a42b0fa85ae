"""What a rule permits, as a key: to find rules that permit the same."""

from __future__ import annotations

from flows.policy.objects import Rule
from sgctl.service.draft import Draft

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
