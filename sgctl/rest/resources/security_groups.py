"""`/v2.0/security-groups`."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from flows.policy.objects import Rule, SecurityGroup
from sgctl.attributes.attribute import Place
from sgctl.attributes.plain import shown_by
from sgctl.rest.credentials import Caller
from sgctl.rest.edit_context import EditContext
from sgctl.rest.errors import ApiError
from sgctl.rest.http import Body
from sgctl.rest.resource import new_meta, permitted_values, standard, with_description
from sgctl.rest.resources import rules
from sgctl.rest.resources.simple import Simple
from sgctl.rest.schemas import FLAG, STANDARD, TEXT, ResourceSchema, declared, editable, read_only
from sgctl.rest.view import View
from sgctl.service.default_group import DEFAULT_GROUP, add_egress, default_group
from sgctl.store.snapshot import Objects

_SHOWN = shown_by(SecurityGroup, Place.REST)


class SecurityGroupsResource(Simple[SecurityGroup]):
    """A new group allows all egress. The default group of a project is created before its first group."""

    plural = "security_groups"
    singular = "security_group"
    noun = "Security group"
    type_name = "SecurityGroup"
    kind = SecurityGroup
    schema = ResourceSchema(
        (
            *STANDARD,
            *editable(name=TEXT, description=TEXT),
            *declared(SecurityGroup),
            *read_only(shared=FLAG, is_default=FLAG),
            *read_only(security_group_rules={"type": "array", "items": rules.RULE_SCHEMA.answer}),
        ),
    )

    def render(self, view: View, item: SecurityGroup) -> Body:
        """The group with its rules, oldest first."""
        found = sorted(view.policy.where(Rule, "group_id", item.id), key=lambda rule: rule.number)
        return {
            **standard(item, item.meta.project_id),
            **_SHOWN(item),
            "shared": False,
            "is_default": item.name == DEFAULT_GROUP,
            "security_group_rules": [rules.render(view, rule) for rule in found],
        }

    def is_ready(self, objects: Objects, caller: Caller) -> bool:
        """Whether the project has its default group."""
        named = (group for group in objects.all(SecurityGroup) if group.name == DEFAULT_GROUP)
        return any(group.meta.project_id == caller.project for group in named)

    def prepare(self, edit: EditContext) -> None:
        """Create the project's default group, which every list of its groups must show."""
        default_group(edit.draft, edit.caller.project)

    def create(self, edit: EditContext, body: Body) -> str:
        """Create a group whose rules allow all egress and no ingress."""
        meta = new_meta(edit, body)
        if body.get("name") == DEFAULT_GROUP:
            raise _default_exists("Default security group already exists.")
        default_group(edit.draft, meta.project_id)
        values = permitted_values(edit, SecurityGroup, body)
        group = SecurityGroup(str(uuid4()), body.get("name", ""), meta=meta, **values)
        edit.put(group)
        add_egress(edit.draft, group)
        return group.id

    def update(self, edit: EditContext, item: SecurityGroup, body: Body) -> None:
        """Change name, description or `stateful`; no group can become or stop being the default group."""
        name = body.get("name", item.name)
        if name != item.name and DEFAULT_GROUP in (name, item.name):
            raise ApiError(
                409, "SecurityGroupCannotUpdateDefault", "Updating default security group not allowed."
            )
        values = permitted_values(edit, SecurityGroup, body, item)
        edit.put(replace(item, name=name, meta=with_description(item.meta, body), **values))

    def delete(self, edit: EditContext, item: SecurityGroup) -> None:
        """Delete the group and its rules."""
        if item.name == DEFAULT_GROUP and not edit.caller.is_admin:
            message = "Removing the default security group is not allowed."
            raise ApiError(409, "SecurityGroupCannotRemoveDefault", message)
        edit.draft.remove(SecurityGroup, item.id)
        for rule in edit.draft.where(Rule, "group_id", item.id):
            edit.draft.remove(Rule, rule.id)


def _default_exists(message: str) -> ApiError:
    return ApiError(409, "SecurityGroupDefaultAlreadyExists", message)
