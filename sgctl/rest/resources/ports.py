"""`/v2.0/ports`."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from flows.policy.objects import AddressPair, Network, Port, Prefix
from sgctl.attributes.attribute import Place, Setter
from sgctl.attributes.plain import DEFAULTS, reserved_to, shown_by
from sgctl.attributes.value_types import UUID, Schema, optional
from sgctl.rest.address_format import read_address
from sgctl.rest.edit_context import NOUNS, EditContext
from sgctl.rest.errors import ApiError, bad_request, forbidden, not_found
from sgctl.rest.http import Body
from sgctl.rest.resource import new_meta, permitted_values, standard, with_description
from sgctl.rest.resources.simple import Simple
from sgctl.rest.schemas import (
    ADDRESS,
    STANDARD,
    TAGS,
    TEXT,
    ResourceAttribute,
    ResourceSchema,
    declared,
    editable,
    given_once,
    list_of,
    mapping,
    read_only,
)
from sgctl.rest.view import View
from sgctl.service.addresses import new_mac
from sgctl.service.default_group import default_group
from sgctl.service.subnets import details_of, subnet_id
from sgctl.store.snapshot import Objects

_FIXED_IP = {**mapping(subnet_id=optional(UUID), ip_address=optional(ADDRESS)), "minProperties": 1}
_PAIR = mapping(["ip_address"], ip_address=ADDRESS, mac_address=optional(TEXT))
_ETHERTYPE: Schema = {
    "type": ["integer", "string"],
    "pattern": "^0[xX][0-9a-fA-F]{1,4}$",
    "minimum": 0x0600,
    "maximum": 0xFFFF,
}
_SHOWN = shown_by(Port, Place.REST)
_OWNERS_ONLY = [(each.name, DEFAULTS[Port][each.field]) for each in reserved_to(Port, Setter.NETWORK_OWNER)]
"""Attributes that let a port send as others or bypass the checks of IP, and their defaults."""

_STANDARD = [attribute for attribute in STANDARD if attribute.name != "tags"]


class Ports(Simple[Port]):
    """A new port gets its project's default group, unless the caller may use that of the network."""

    plural = "ports"
    singular = "port"
    noun = "Port"
    type_name = "Port"
    kind = Port
    schema = ResourceSchema(
        (
            *_STANDARD,
            ResourceAttribute("tags", TAGS, "c"),
            *given_once(network_id=UUID),
            *editable(
                name=TEXT,
                description=TEXT,
                mac_address=TEXT,
                fixed_ips=list_of(_FIXED_IP, 100),
                security_groups=optional(list_of(UUID, 100)),
                allowed_address_pairs=optional(list_of(_PAIR, 100)),
                permitted_ethertypes=list_of(_ETHERTYPE, 100),
            ),
            *declared(Port),
            *editable(
                **{
                    "binding:host_id": optional(TEXT),
                    "binding:vnic_type": {"type": "string", "enum": ["normal"]},
                    "binding:profile": optional({"type": "object", "maxProperties": 0}),
                }
            ),
            *read_only(**{"binding:vif_type": TEXT, "binding:vif_details": {"type": "object"}}),
            *read_only(status=TEXT, extra_dhcp_opts={"type": "array"}),
        ),
        ("network_id",),
    )

    def render(self, view: View, item: Port) -> Body:
        """The port; `status` is ACTIVE if its switch enforces the present policy."""
        host = view.status.host(item)
        return {
            **standard(item, item.meta.project_id),
            "network_id": item.network_id,
            "mac_address": item.mac,
            "fixed_ips": _shown_addresses(view.policy, item),
            "status": "ACTIVE" if view.status.is_active(item) else "DOWN",
            "security_groups": sorted(item.security_groups),
            "allowed_address_pairs": [
                {"ip_address": str(pair.prefix), "mac_address": pair.mac}
                for pair in item.allowed_address_pairs
            ],
            **_SHOWN(item),
            "binding:host_id": host,
            "binding:vnic_type": "normal",
            "binding:vif_type": "ovs" if host else "unbound",
            "binding:vif_details": {"port_filter": item.port_security_enabled} if host else {},
            "binding:profile": {},
            "extra_dhcp_opts": [],
            "permitted_ethertypes": [f"{each:#06x}" for each in sorted(item.permitted_ethertypes)],
        }

    def create(self, edit: EditContext, body: Body) -> str:
        """Create a port. If not given, these are chosen: MAC, an address of each family, security groups."""
        network = edit.find(Network, body["network_id"], *NOUNS[Network])
        meta = new_meta(edit, body)
        _refuse_owners_attributes(edit, network, body)
        _refuse_chosen_addresses(edit, network, body, ())
        identifier = str(uuid4())
        mac = body.get("mac_address", "").lower() or new_mac(edit.draft, network.id)
        port = Port(identifier, "", network.id, mac, iface_id=identifier, meta=meta)
        if "fixed_ips" not in body:
            port = replace(port, fixed_ips=_any_addresses(edit, network))
        port = _edited(edit, network, port, body)
        stated = body.get("security_groups") is not None or not port.port_security_enabled
        if not stated and not edit.may_use_default(network):
            group = default_group(edit.draft, meta.project_id)
            port = replace(port, security_groups=frozenset({group.id}))
        edit.put(port)
        return identifier

    def update(self, edit: EditContext, item: Port, body: Body) -> None:
        """Change anything but the network; a list in the body replaces the whole list."""
        network = edit.draft.get(Network, item.network_id)
        assert network is not None, "the database keeps references whole"
        _refuse_owners_attributes(edit, network, body)
        _refuse_chosen_addresses(edit, network, body, item.fixed_ips)
        edit.put(_edited(edit, network, item, body))


def _shown_addresses(objects: Objects, port: Port) -> list[Body]:
    network = objects.get(Network, port.network_id)
    shown = []
    for address in port.fixed_ips:
        subnets = network.subnets if network is not None else ()
        home = next((prefix for prefix in subnets if prefix.covers(address)), None)
        identifier = subnet_id(network, home) if network is not None and home is not None else None
        shown.append({"subnet_id": identifier, "ip_address": address.address})
    return shown


def _refuse_owners_attributes(edit: EditContext, network: Network, body: Body) -> None:
    given = [name for name, default in _OWNERS_ONLY if body.get(name) not in (None, [], default)]
    if given and not edit.caller.is_admin and network.meta.project_id != edit.caller.project:
        raise forbidden(f"Only the owner of the network may set {given[0]}")
    if body.get("binding:host_id") and not edit.caller.is_admin:
        raise forbidden("Only an admin may set binding:host_id")


def _refuse_chosen_addresses(
    edit: EditContext, network: Network, body: Body, kept: tuple[Prefix, ...]
) -> None:
    """Refuse chosen addresses unless the caller owns the network: one of them may be the gateway's.

    Everybody may keep a port's addresses, and may choose the subnets of new ones.
    """
    if edit.caller.is_admin or network.meta.project_id == edit.caller.project:
        return
    had = {address.address for address in kept}
    for each in body.get("fixed_ips") or ():
        address = each.get("ip_address")
        if address and _canonical(address) not in had:
            raise forbidden("Only the owner of the network may choose fixed_ips by ip_address")


def _canonical(address: str) -> str:
    try:
        return read_address(address).address
    except ValueError:
        return address  # refused later, with the reason


def _edited(edit: EditContext, network: Network, port: Port, body: Body) -> Port:
    """The port with the values from the body."""
    name, meta = body.get("name", port.name), with_description(port.meta, body)
    changed = replace(port, name=name, meta=meta, **permitted_values(edit, Port, body, port))
    if body.get("mac_address"):
        changed = replace(changed, mac=body["mac_address"].lower())
    if "security_groups" in body:
        changed = replace(changed, security_groups=frozenset(map(str.lower, body["security_groups"] or ())))
    if "allowed_address_pairs" in body:
        pairs = [_pair(pair, changed.mac) for pair in body["allowed_address_pairs"] or ()]
        changed = replace(changed, allowed_address_pairs=tuple(pairs))
    if "permitted_ethertypes" in body:
        types = frozenset(map(_ethertype, body["permitted_ethertypes"]))
        changed = replace(changed, permitted_ethertypes=types)
    if "fixed_ips" in body:
        # The port's present addresses are free, so that it can keep them. Given addresses are taken first.
        edit.draft.put(replace(changed, fixed_ips=()))
        changed = replace(changed, fixed_ips=_addresses(edit, network, port, body["fixed_ips"]))
    return changed


def _ethertype(value: str | int) -> int:
    return int(value, 16) if isinstance(value, str) else value


def _pair(pair: Body, mac: str) -> AddressPair:
    try:
        address = Prefix.parse(pair["ip_address"])
    except ValueError as error:
        raise bad_request(
            f"Invalid input for allowed_address_pairs. Reason: {error}.", "InvalidInput"
        ) from error
    return AddressPair((pair.get("mac_address") or mac).lower(), address)


def _any_addresses(edit: EditContext, network: Network) -> tuple[Prefix, ...]:
    try:
        return edit.addresses.take(network)
    except ValueError as error:
        raise _exhausted(network, error) from error


def _addresses(edit: EditContext, network: Network, port: Port, wanted: list[Body]) -> tuple[Prefix, ...]:
    """The requested addresses, and free addresses of the requested subnets."""
    stated = [_requested_address(network, each) for each in wanted]
    taken = {address for address in stated if address is not None}
    found = []
    for each, address in zip(wanted, stated, strict=True):
        if address is None:
            address = _free(edit, network, port, each["subnet_id"], taken)  # noqa: PLW2901  # the one chosen
            taken.add(address)
        if address in found:
            raise bad_request(
                f"Invalid input for fixed_ips. Reason: {address} is given twice.", "InvalidInput"
            )
        found.append(address)
    return tuple(found)


def _requested_address(network: Network, wanted: Body) -> Prefix | None:
    if not wanted.get("ip_address"):
        if not wanted.get("subnet_id"):
            raise bad_request("Invalid input for fixed_ips. Reason: neither subnet_id nor ip_address.")
        return None
    try:
        address = read_address(wanted["ip_address"])
    except ValueError as error:
        raise bad_request(f"Invalid input for fixed_ips. Reason: {error}.", "InvalidInput") from error
    subnet = wanted.get("subnet_id")
    if subnet and not _subnet(network, subnet).covers(address):
        message = f"IP address {address} is not a valid IP for the specified subnet {subnet}."
        raise bad_request(message, "InvalidIpForSubnet")
    return address


def _subnet(network: Network, identifier: str) -> Prefix:
    for prefix in network.subnets:
        if subnet_id(network, prefix) == identifier:
            return prefix
    raise not_found("Subnet", "Subnet", identifier)


def _free(edit: EditContext, network: Network, port: Port, identifier: str, taken: set[Prefix]) -> Prefix:
    """An address that the port has in that subnet, else a new one."""
    prefix = _subnet(network, identifier)
    kept = [address for address in port.fixed_ips if prefix.covers(address) and address not in taken]
    if kept:
        return kept[0]
    subnet = [detail for detail in details_of(network) if detail.prefix == prefix]
    try:
        address = edit.addresses.take_from(network, subnet)
        while address in taken:
            address = edit.addresses.take_from(network, subnet)
    except ValueError as error:
        raise _exhausted(network, error) from error
    return address


def _exhausted(network: Network, error: ValueError) -> Exception:
    message = f"No more IP addresses available on network {network.id}: {error}"
    return ApiError(409, "IpAddressGenerationFailure", message)
