"""`/v2.0/address-groups`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

from flows.policy.objects import AddressGroup, Prefix
from sgctl.attributes.attribute import Place
from sgctl.attributes.plain import shown_by
from sgctl.rest.address_format import cidr, read_network
from sgctl.rest.edit_context import EditContext
from sgctl.rest.errors import ApiError, bad_request
from sgctl.rest.http import Body
from sgctl.rest.resource import ResourceAction, new_meta, permitted_values, standard, with_description
from sgctl.rest.resources.simple import Simple
from sgctl.rest.schemas import (
    ADDRESS,
    FLAG,
    STANDARD,
    TEXT,
    ResourceSchema,
    declared,
    editable,
    given_once,
    list_of,
    mapping,
    read_only,
)
from sgctl.rest.view import View
from sgctl.service.names import is_shared

ADDRESSES = list_of(ADDRESS, 10_000)
_SHOWN = shown_by(AddressGroup, Place.REST)
_REQUEST = mapping(["addresses"], addresses=ADDRESSES)


class AddressGroups(Simple[AddressGroup]):
    """Named sets of addresses that rules refer to."""

    plural = "address_groups"
    singular = "address_group"
    noun = "Address group"
    type_name = "AddressGroup"
    kind = AddressGroup
    schema = ResourceSchema(
        (
            *STANDARD,
            *editable(name=TEXT, description=TEXT),
            *declared(AddressGroup),
            *given_once(addresses=ADDRESSES),
            *read_only(shared=FLAG),
        ),
    )

    def render(self, view: View, item: AddressGroup) -> Body:  # noqa: ARG002  # other resources need it
        """The group with its addresses in ascending order."""
        return {
            **standard(item, item.meta.project_id),
            "addresses": [cidr(prefix) for prefix in sorted(item.addresses)],
            "shared": is_shared(item),
            **_SHOWN(item),
        }

    def create(self, edit: EditContext, body: Body) -> str:
        """Create a group, which may be empty."""
        addresses = _read(body.get("addresses", []))
        values = permitted_values(edit, AddressGroup, body)
        group = AddressGroup(str(uuid4()), body.get("name", ""), addresses, new_meta(edit, body), **values)
        edit.put(group)
        return group.id

    def update(self, edit: EditContext, item: AddressGroup, body: Body) -> None:
        """Change the name or the description."""
        name = body.get("name", item.name)
        values = permitted_values(edit, AddressGroup, body, item)
        edit.put(replace(item, name=name, meta=with_description(item.meta, body), **values))

    @property
    def actions(self) -> Mapping[str, ResourceAction[AddressGroup]]:
        """The actions that add and remove addresses."""
        return {
            "add_addresses": ResourceAction(_REQUEST, _add),
            "remove_addresses": ResourceAction(_REQUEST, _remove),
        }


def _add(edit: EditContext, group: AddressGroup, body: Body) -> None:
    edit.put(replace(group, addresses=group.addresses | _read(body["addresses"])))


def _remove(edit: EditContext, group: AddressGroup, body: Body) -> None:
    given = _read(body["addresses"])
    absent = given - group.addresses
    if absent:
        shown = ", ".join(str(cidr(prefix)) for prefix in sorted(absent)[:5])
        message = f"Addresses {shown} not found in the address group {group.id}."
        raise ApiError(404, "AddressesNotFound", message)
    edit.put(replace(group, addresses=group.addresses - given))


def _read(addresses: list[str]) -> frozenset[Prefix]:
    try:
        return frozenset(map(read_network, addresses))
    except ValueError as error:
        raise bad_request(f"Invalid input for addresses. Reason: {error}.", "InvalidInput") from error
