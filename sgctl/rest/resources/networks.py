"""`/v2.0/networks`."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from flows.policy.objects import Network
from sgctl.attributes.attribute import Place
from sgctl.attributes.plain import shown_by
from sgctl.attributes.value_types import UUID, Schema, optional
from sgctl.rest.edit_context import EditContext
from sgctl.rest.errors import ApiError, bad_request, forbidden
from sgctl.rest.http import Body
from sgctl.rest.resource import new_meta, permitted_values, standard, with_description
from sgctl.rest.resources.simple import Simple
from sgctl.rest.schemas import (
    FLAG,
    NUMBER,
    STANDARD,
    TEXT,
    ResourceSchema,
    declared,
    editable,
    given_once,
    read_only,
)
from sgctl.rest.view import View
from sgctl.service.names import is_shared
from sgctl.service.subnets import subnet_id

_TYPE = "provider:network_type"
_PHYSICAL = "provider:physical_network"
_TAG = "provider:segmentation_id"


_SEGMENT: Schema = {"type": ["integer", "string", "null"], "pattern": "^[0-9]{1,4}$"}
_SHOWN = shown_by(Network, Place.REST)


class Networks(Simple[Network]):
    """On the uplinks, a network with a segmentation id is a VLAN; a network without one is untagged."""

    plural = "networks"
    singular = "network"
    noun = "Network"
    type_name = "Network"
    kind = Network
    schema = ResourceSchema(
        (
            *STANDARD,
            *editable(
                name=TEXT, description=TEXT, admin_state_up=FLAG, shared=FLAG, port_security_enabled=FLAG
            ),
            *editable(**{"router:external": FLAG}),
            *editable(default_group=optional(UUID)),
            *declared(Network),
            *given_once(
                **{
                    _TYPE: {"type": ["string", "null"], "enum": ["flat", "vlan", None]},
                    _TAG: _SEGMENT,
                    _PHYSICAL: optional(TEXT),
                }
            ),
            *read_only(status=TEXT, subnets={"type": "array", "items": UUID}, mtu=NUMBER),
        ),
    )

    def render(self, view: View, item: Network) -> Body:  # noqa: ARG002  # other resources need it
        """The network with the ids of its subnets."""
        return {
            **standard(item, item.meta.project_id),
            "status": "ACTIVE",
            "admin_state_up": True,
            "shared": is_shared(item),
            "port_security_enabled": True,
            "router:external": False,
            _TYPE: "flat" if item.segmentation_id is None else "vlan",
            _TAG: item.segmentation_id,
            _PHYSICAL: None,
            "subnets": [subnet_id(item, prefix) for prefix in item.subnets],
            "mtu": 1500,
            "default_group": item.default_group,
            **_SHOWN(item),
        }

    def create(self, edit: EditContext, body: Body) -> str:
        """Create a network; only an admin may set what it is on the uplinks."""
        meta = new_meta(edit, body)
        _refuse_unsupported_values(body, shared=not meta.project_id, new=True)
        tag = body.get(_TAG)
        if not edit.caller.is_admin and any(body.get(name) is not None for name in (_TYPE, _PHYSICAL, _TAG)):
            raise forbidden("Only an admin may set provider attributes")
        if body.get(_TYPE) == "vlan" and tag is None:
            raise bad_request(f"{_TAG} required for VLAN provider network", "InvalidInput")
        if body.get(_TYPE) == "flat" and tag is not None:
            raise bad_request(f"{_TAG} specified for flat network", "InvalidInput")
        number = None if tag is None else int(tag)
        _refuse_tag_in_use(edit, number)
        network = Network(str(uuid4()), body.get("name", ""), number, meta=meta)
        edit.put(_edited(edit, network, body))
        return network.id

    def update(self, edit: EditContext, item: Network, body: Body) -> None:
        """Change any attribute, except what the network is on the uplinks."""
        _refuse_unsupported_values(body, shared=is_shared(item), new=False)
        name = body.get("name", item.name)
        network = replace(item, name=name, meta=with_description(item.meta, body))
        edit.put(_edited(edit, network, body))


def _edited(edit: EditContext, network: Network, body: Body) -> Network:
    """The network with the values from the body."""
    values = permitted_values(edit, Network, body, network)
    if "default_group" in body:
        group = body["default_group"]
        values["default_group"] = None if group is None else group.lower()
    return replace(network, **values)


def _refuse_tag_in_use(edit: EditContext, tag: int | None) -> None:
    if tag is not None and edit.draft.where(Network, "segmentation_id", tag):
        message = f"Unable to create the network. The VLAN {tag} is in use."
        raise ApiError(409, "VlanIdInUse", message)


def _refuse_unsupported_values(body: Body, *, shared: bool, new: bool) -> None:
    """Refuse values that would have no effect."""
    if body.get("admin_state_up") is False:
        raise bad_request("admin_state_up: a network cannot be down; its ports can", "InvalidInput")
    if body.get("port_security_enabled") is False:
        raise bad_request("port_security_enabled: is set for each port", "InvalidInput")
    if body.get("router:external"):
        raise bad_request("router:external: there are no routers here", "InvalidInput")
    wanted = body.get("shared")
    if (wanted is True and not shared) or (wanted is False and shared and not new):
        raise bad_request("shared: the networks that belong to no project are shared", "InvalidInput")
