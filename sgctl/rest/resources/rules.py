"""`/v2.0/security-group-rules`."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from flows.policy.objects import Ethertype, Network, Prefix, Rule, SecurityGroup
from flows.policy.validate import ICMP, ICMPV6
from sgctl.attributes.attribute import Place
from sgctl.attributes.plain import shown_by
from sgctl.attributes.value_types import UUID, optional
from sgctl.rest.address_format import cidr, read_network
from sgctl.rest.edit_context import NOUNS, EditContext, owner
from sgctl.rest.errors import ApiError, bad_request
from sgctl.rest.http import Body
from sgctl.rest.resource import new_meta, permitted_values, standard
from sgctl.rest.resources.simple import Simple
from sgctl.rest.schemas import ADDRESS, STANDARD, TEXT, ResourceSchema, declared, given_once, read_only
from sgctl.rest.view import View
from sgctl.service import protocols
from sgctl.service.default_group import DEFAULT_GROUP
from sgctl.service.permissions import permission
from sgctl.store.snapshot import Objects

_PORT: dict[str, Any] = {"type": ["integer", "string", "null"], "pattern": "^[0-9]{1,5}$"}
_SHOWN = shown_by(Rule, Place.REST)
_ANY_CASE = {"ipv4": Ethertype.IPV4, "ipv6": Ethertype.IPV6}

RULE_SCHEMA = ResourceSchema(
    (
        *STANDARD,
        *given_once(
            security_group_id=UUID,
            ethertype={"type": ["string", "null"], "enum": ["IPv4", "IPv6", "ipv4", "ipv6", None]},
            protocol={"type": ["string", "integer", "null"], "maxLength": 32},
            port_range_min=_PORT,
            port_range_max=_PORT,
            remote_ip_prefix=optional(ADDRESS),
            description=TEXT,
        ),
        *declared(Rule),
        *read_only(name=TEXT, normalized_cidr=optional(ADDRESS), belongs_to_default_sg={"type": "boolean"}),
    ),
    ("security_group_id", "direction"),
)


def render(view: View, rule: Rule) -> Body:
    """A rule as answers show it; flows, traces and counters use `number` to identify it."""
    prefix = cidr(rule.remote_ip_prefix or _only_subnet(view.policy, rule))
    group = view.policy.get(SecurityGroup, rule.group_id)
    return {
        **standard(rule, owner(rule, view.policy)),
        "security_group_id": rule.group_id,
        "ethertype": str(rule.ethertype),
        "protocol": None if rule.protocol is None else str(protocols.show(rule.protocol)),
        "port_range_min": rule.port_range_min,
        "port_range_max": rule.port_range_max,
        "remote_ip_prefix": prefix,
        "normalized_cidr": prefix,
        **_SHOWN(rule),
        "belongs_to_default_sg": group is not None and group.name == DEFAULT_GROUP,
    }


def _only_subnet(objects: Objects, rule: Rule) -> Prefix | None:
    """The subnet of the remote network, if it has exactly one of the rule's ethertype.

    Without it, clients would show the rule as one for every remote.
    """
    network = objects.get(Network, rule.remote_network_id) if rule.remote_network_id is not None else None
    subnets = network.subnets if network is not None else ()
    fitting = [prefix for prefix in subnets if prefix.version == rule.ethertype.version]
    return fitting[0] if len(fitting) == 1 else None


class Rules(Simple[Rule]):
    """Rules are created and deleted, but never changed."""

    plural = "security_group_rules"
    singular = "security_group_rule"
    noun = "Security group rule"
    type_name = "SecurityGroupRule"
    kind = Rule
    schema = RULE_SCHEMA

    def render(self, view: View, item: Rule) -> Body:
        """The rule."""
        return render(view, item)

    def create(self, edit: EditContext, body: Body) -> str:
        """Create a rule of a group that the caller may see; it belongs to the group's project."""
        group = edit.find(SecurityGroup, body["security_group_id"], *NOUNS[SecurityGroup])
        rule = _read(body, group, edit)
        same = edit.permissions(group.id).setdefault(permission(rule), rule)
        if same is not rule:
            message = f"Security group rule already exists. Rule id is {same.id}."
            raise ApiError(409, "SecurityGroupRuleExists", message)
        edit.put(rule)
        return rule.id


def _read(body: Body, group: SecurityGroup, edit: EditContext) -> Rule:
    prefix = _prefix(body.get("remote_ip_prefix"))
    ethertype = _ANY_CASE[(body.get("ethertype") or "IPv4").lower()]
    meta = new_meta(edit, {**body, "project_id": group.meta.project_id})
    return Rule(
        id=str(uuid4()),
        number=0,
        group_id=group.id,
        ethertype=ethertype,
        protocol=_protocol(body.get("protocol"), ethertype),
        port_range_min=_port(body.get("port_range_min")),
        port_range_max=_port(body.get("port_range_max")),
        remote_ip_prefix=prefix,
        meta=meta,
        **permitted_values(edit, Rule, body),
    )


def _prefix(text: str | None) -> Prefix | None:
    if text is None:
        return None
    try:
        return read_network(text)
    except ValueError as error:
        message = f"Invalid input for remote_ip_prefix. Reason: {error}."
        raise bad_request(message, "InvalidCIDR") from error


def _protocol(value: str | int | None, ethertype: Ethertype) -> int | None:
    """The protocol number; `icmp` is ICMPv6 if the rule is for IPv6."""
    try:
        number = protocols.parse(value)
    except ValueError as error:
        raise bad_request(
            f"Security group rule: protocol: {error}", "SecurityGroupRuleInvalidProtocol"
        ) from error
    return ICMPV6 if number == ICMP and ethertype is Ethertype.IPV6 else number


def _port(value: str | float | None) -> int | None:
    return None if value is None else int(value)
