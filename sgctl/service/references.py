"""All references between kinds of objects, declared once for checks and deletion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.service.draft import Draft


class Reference(NamedTuple):
    """The attribute of a holder that contains the id of a target, or, if `many`, a collection of ids.

    `field` is the attribute's Neutron name.
    """

    holder: type[PolicyObject]
    attribute: str
    field: str
    target: type[PolicyObject]
    many: bool = False

    def ids(self, obj: PolicyObject) -> list[str]:
        """The ids in this attribute of an object."""
        value = getattr(obj, self.attribute)
        return sorted(value) if self.many else [] if value is None else [value]

    def holders(self, draft: Draft, identifier: str) -> list[PolicyObject]:
        """The objects whose attribute contains this id."""
        find = draft.having if self.many else draft.where
        return find(self.holder, self.attribute, identifier)


REFERENCES = (
    Reference(Network, "default_group", "default_group", SecurityGroup),
    Reference(Port, "network_id", "network_id", Network),
    Reference(Port, "security_groups", "security_groups", SecurityGroup, many=True),
    Reference(Rule, "group_id", "security_group_id", SecurityGroup),
    Reference(Rule, "remote_group_id", "remote_group_id", SecurityGroup),
    Reference(Rule, "remote_address_group_id", "remote_address_group_id", AddressGroup),
    Reference(Rule, "remote_network_id", "remote_network_id", Network),
)


def references_of(obj: PolicyObject) -> Iterator[tuple[Reference, str]]:
    """Every reference of an object, with the id of its target."""
    for reference in REFERENCES:
        if reference.holder is type(obj):
            for identifier in reference.ids(obj):
                yield reference, identifier


def users_of(draft: Draft, target: type[PolicyObject], identifier: str) -> list[PolicyObject]:
    """The objects that refer to this object, each once."""
    holders = (
        holder
        for reference in REFERENCES
        if reference.target is target
        for holder in reference.holders(draft, identifier)
    )
    return list({(type(holder), holder.id): holder for holder in holders}.values())
