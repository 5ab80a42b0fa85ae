"""Servers, as the compute API shows them. A server consists of its ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from flows.policy.objects import Network, Port, SecurityGroup
from sgctl.rest.credentials import Caller
from sgctl.rest.edit_context import may_see
from sgctl.rest.errors import ApiError
from sgctl.rest.http import Body
from sgctl.rest.view import View
from sgctl.store.snapshot import Objects


@dataclass(frozen=True, slots=True)
class Server:
    """The ports of one project with one `device_id`, or a single port without one.

    `id` is the `device_id`, or the id of the single port. Whoever creates a port chooses its `device_id`, so
    it says nothing about the ports of other projects.
    """

    project: str
    id: str
    name: str
    ports: tuple[Port, ...]


def servers(objects: Objects, caller: Caller) -> Iterator[Server]:
    """The servers whose ports the caller may see."""
    by_device: dict[tuple[str, str], list[Port]] = {}
    for port in objects.all(Port):
        if may_see(caller, port, objects):
            by_device.setdefault((port.meta.project_id, port.device_id or port.id), []).append(port)
    for (project, identifier), ports in by_device.items():
        yield Server(project, identifier, _name(identifier, ports), tuple(ports))


def _name(identifier: str, ports: list[Port]) -> str:
    """The `device_id` or, if that is a UUID, the name of the first port that has a name."""
    if ports[0].device_id and not _is_uuid(identifier):
        return identifier
    return next((port.name for port in ports if port.name), identifier)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def find_server(objects: Objects, caller: Caller, identifier: str) -> Server:
    """The caller's own server with this id, or the only one of other projects that an admin may see.

    The id of a port means the server of that port, because nobody chooses it. Raises ApiError 404, and 409
    where several projects have a server with this id.
    """
    found = [server for server in servers(objects, caller) if server.id == identifier]
    own = [server for server in found if server.ports[0].id == identifier]
    own = own or [server for server in found if server.project == caller.project]
    if not found:
        raise ApiError(404, "InstanceNotFound", f"Instance {identifier[:64]} could not be found.")
    if not own and len(found) > 1:
        message = f"Several projects have an instance {identifier[:64]}; edit its ports instead."
        raise ApiError(409, "NoUniqueMatch", message)
    return (own or found)[0]


def groups_of(objects: Objects, server: Server) -> list[SecurityGroup]:
    """The security groups of a server's ports, by name."""
    ids = {identifier for port in server.ports for identifier in port.security_groups}
    found = [objects.get(SecurityGroup, identifier) for identifier in ids]
    return sorted((group for group in found if group is not None), key=lambda group: (group.name, group.id))


def render_interface(view: View, port: Port) -> Body:
    """A port as Nova shows an interface."""
    return {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac,
        "port_state": "ACTIVE" if view.status.is_active(port) else "DOWN",
        "fixed_ips": [{"ip_address": address.address, "subnet_id": None} for address in port.fixed_ips],
    }


def render_server(view: View, server: Server) -> Body:
    """A server as Nova shows it. Attributes that ports do not have are empty."""
    addresses: dict[str, list[Body]] = {}
    for port in server.ports:
        network = view.policy.get(Network, port.network_id)
        name = network.name or network.id if network is not None else port.network_id
        addresses.setdefault(name, []).extend(
            {
                "addr": address.address,
                "version": address.version,
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": port.mac,
            }
            for address in port.fixed_ips
        )
    active = all(view.status.is_active(port) for port in server.ports)
    meta = server.ports[0].meta
    return {
        "id": server.id,
        "name": server.name,
        "status": "ACTIVE" if active else "UNKNOWN",
        "addresses": addresses,
        "security_groups": [{"name": group.name} for group in groups_of(view.policy, server)],
        "flavor": {"id": ""},
        "image": "",
        "metadata": {},
        "tenant_id": meta.project_id,
        "user_id": "",
        "created": meta.created_at,
        "updated": max(port.meta.updated_at for port in server.ports),
        "hostId": "",
        "OS-EXT-STS:vm_state": "active" if active else None,
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:power_state": 1 if active else 0,
        "OS-EXT-SRV-ATTR:host": next(filter(None, map(view.status.host, server.ports)), ""),
        "os-extended-volumes:volumes_attached": [],
        "links": [],
    }
