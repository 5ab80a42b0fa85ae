"""`/v2.0/subnets`: parts of networks, with ids of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flows.policy.objects import Network, Prefix, SubnetDetail
from sgctl.attributes.value_types import UUID, optional
from sgctl.rest.address_format import address_text, cidr, read_address, read_network
from sgctl.rest.edit_context import NOUNS, EditContext
from sgctl.rest.errors import ApiError, bad_request, forbidden
from sgctl.rest.http import Body
from sgctl.rest.resource import Resource, standard
from sgctl.rest.schemas import (
    ADDRESS,
    FLAG,
    NUMBER,
    STANDARD,
    TAGS,
    TEXT,
    ResourceSchema,
    editable,
    given_once,
    list_of,
    mapping,
    read_only,
)
from sgctl.rest.view import View
from sgctl.service.addresses import host_range
from sgctl.service.names import is_shared, mention
from sgctl.service.subnets import (
    Subnet,
    default_detail,
    ports_in,
    subnet_id,
    subnets_of,
    with_subnet,
    without_subnet,
)
from sgctl.store.snapshot import Objects

_POOLS = list_of(mapping(["start", "end"], start=ADDRESS, end=ADDRESS), 100)


class Subnets(Resource[Subnet]):
    """Name, description and tags belong to the subnet; other metadata is the network's."""

    plural = "subnets"
    singular = "subnet"
    noun = "Subnet"
    type_name = "Subnet"
    schema = ResourceSchema(
        (
            *STANDARD,
            *given_once(network_id=UUID, cidr=ADDRESS, ip_version={"type": "integer", "enum": [4, 6]}),
            *editable(
                name=TEXT,
                description=TEXT,
                gateway_ip=optional(ADDRESS),
                allocation_pools=_POOLS,
                enable_dhcp=FLAG,
                dns_nameservers=list_of(ADDRESS, 5),
                host_routes={"type": "array", "maxItems": 0},
            ),
            *read_only(ipv6_address_mode={"type": "null"}, ipv6_ra_mode={"type": "null"}),
            *read_only(
                subnetpool_id={"type": "null"}, service_types=TAGS, shared=FLAG, segment_id={"type": "null"}
            ),
            *read_only(network_revision=NUMBER),
        ),
        ("network_id", "cidr"),
    )

    def items(self, objects: Objects) -> Iterator[Subnet]:
        """The subnets of all networks."""
        return subnets_of(objects.all(Network))

    def item(self, objects: Objects, identifier: str) -> Subnet | None:
        """The subnet with this id."""
        return next((each for each in subnets_of(objects.all(Network)) if each.id == identifier), None)

    def base(self, item: Subnet) -> Network:
        """The network."""
        return item.network

    def render(self, view: View, item: Subnet) -> Body:  # noqa: ARG002  # other resources need it
        """The subnet."""
        detail, network = item.detail, item.network
        version = detail.prefix.version
        pools = detail.pools or _whole(detail)
        return {
            **standard(network, network.meta.project_id),
            "id": item.id,
            "name": detail.name,
            "description": detail.description,
            "tags": sorted(detail.tags),
            "network_id": network.id,
            "cidr": cidr(detail.prefix),
            "ip_version": version,
            "gateway_ip": detail.gateway.address if detail.gateway is not None else None,
            "allocation_pools": [
                {"start": address_text(version, first), "end": address_text(version, last)}
                for first, last in pools
            ],
            "enable_dhcp": detail.enable_dhcp,
            "dns_nameservers": [server.address for server in detail.dns_nameservers],
            "host_routes": [],
            "ipv6_address_mode": None,
            "ipv6_ra_mode": None,
            "subnetpool_id": None,
            "segment_id": None,
            "service_types": [],
            "shared": is_shared(network),
            "network_revision": network.meta.revision_number,
        }

    def create(self, edit: EditContext, body: Body) -> str:
        """Create a subnet of a network that the caller may change."""
        network = edit.find(Network, body["network_id"], *NOUNS[Network])
        if not edit.caller.is_admin and network.meta.project_id != edit.caller.project:
            raise forbidden("Only the owner of a network may give it subnets")
        prefix = _cidr(body["cidr"])
        if body.get("ip_version", prefix.version) != prefix.version:
            raise bad_request(
                f"cidr {body['cidr']} is not of ip_version {body['ip_version']}", "InvalidInput"
            )
        if prefix in network.subnets:
            message = (
                f"Requested subnet with cidr {prefix} for network {network.id} overlaps with another subnet"
            )
            raise bad_request(message, "InvalidInput")
        changed = with_subnet(network, _edited(default_detail(prefix), body))
        edit.put(changed)
        return subnet_id(changed, prefix)

    def update(self, edit: EditContext, item: Subnet, body: Body) -> None:
        """Change the details, except the CIDR."""
        edit.put(with_subnet(item.network, _edited(item.detail, body)))

    def delete(self, edit: EditContext, item: Subnet) -> None:
        """Delete the subnet; refused if a port has an address in it."""
        for port in ports_in(edit.draft, item):
            message = f"Subnet {item.id} is in use: {mention(edit.draft, port)} has an address of it."
            raise ApiError(409, "SubnetInUse", message)
        edit.put(without_subnet(item.network, item.detail.prefix))

    def tags(self, item: Subnet) -> frozenset[str]:
        """The subnet's own tags."""
        return item.detail.tags

    def tag(self, edit: EditContext, item: Subnet, tags: frozenset[str]) -> None:
        """Replace the subnet's tags."""
        edit.put(with_subnet(item.network, replace(item.detail, tags=tags)))


def _whole(detail: SubnetDetail) -> list[tuple[int, int]]:
    """The pools of a subnet for which none are set: all host addresses except the gateway."""
    hosts = host_range(detail.prefix)
    gateway = detail.gateway.value if detail.gateway is not None else hosts.start - 1
    parts = [(hosts.start, min(gateway - 1, hosts.stop - 1)), (max(gateway + 1, hosts.start), hosts.stop - 1)]
    return [(first, last) for first, last in parts if first <= last]


def _cidr(text: str) -> Prefix:
    try:
        return read_network(text)
    except ValueError as error:
        raise bad_request(f"Invalid input for cidr. Reason: {error}.", "InvalidInput") from error


def _edited(detail: SubnetDetail, body: Body) -> SubnetDetail:
    """The details with the values from the body."""
    try:
        changes: dict[str, object] = {
            key: body[key] for key in ("name", "description", "enable_dhcp") if key in body
        }
        if "gateway_ip" in body:
            gateway = body["gateway_ip"]
            changes["gateway"] = None if gateway is None else read_address(gateway)
        if "dns_nameservers" in body:
            changes["dns_nameservers"] = tuple(map(read_address, body["dns_nameservers"]))
        if "allocation_pools" in body:
            changes["pools"] = tuple(_pool(detail.prefix, pool) for pool in body["allocation_pools"])
    except ValueError as error:
        raise bad_request(f"Invalid input for subnet. Reason: {error}.", "InvalidInput") from error
    return replace(detail, **changes)  # type: ignore[arg-type]  # each is of its field's type


def _pool(prefix: Prefix, pool: Body) -> tuple[int, int]:
    first, last = read_address(pool["start"]), read_address(pool["end"])
    if not (prefix.covers(first) and prefix.covers(last)):
        raise ValueError(f"allocation pool {pool['start']}-{pool['end']} is not in {prefix}")
    return first.value, last.value
