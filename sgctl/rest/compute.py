"""The little of Nova that its clients need to give a server a security group. A server is its ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from flows.model import Network, Port, SecurityGroup
from sgctl.rest.credentials import Caller, Role
from sgctl.rest.errors import ApiError, bad_request, forbidden, no_such_path, wrong_method
from sgctl.rest.http import Body, Json, Request, Response, reply
from sgctl.rest.keeper import Keeper
from sgctl.rest.resource import Desk, may_see
from sgctl.rest.schemas import read_json
from sgctl.rest.view import View
from sgctl.service.draft import Draft
from sgctl.service.edits import settle
from sgctl.service.plan import Plan
from sgctl.store import Store


@dataclass(frozen=True, slots=True)
class Server:
    """The ports of one project with one `device_id`, or one port without.

    `id` is the device's, else the port's. A `device_id` is chosen by whoever makes a port, and says nothing
    about other projects' ports.
    """

    project: str
    id: str
    name: str
    ports: tuple[Port, ...]


_LIMITED = ("cores", "instances", "key_pairs", "ram", "server_groups", "server_group_members")


def _no_limits(project: str, which: str = "") -> Body:
    """Of servers there are as many as ports belong to; clients ask when they show all quotas of a project."""
    limit: Json = {"limit": -1, "in_use": 0, "reserved": 0} if which == "detail" else -1
    return {"quota_set": {"id": project, **dict.fromkeys(_LIMITED, limit)}}


def servers(objects: View | Draft, caller: Caller) -> Iterator[Server]:
    """The servers whose ports the caller may see."""
    by_device: dict[tuple[str, str], list[Port]] = {}
    for port in objects.all(Port):
        if may_see(caller, port, objects):
            by_device.setdefault((port.meta.project_id, port.device_id or port.id), []).append(port)
    for (project, identifier), ports in by_device.items():
        yield Server(project, identifier, _name(identifier, ports), tuple(ports))


def _name(identifier: str, ports: list[Port]) -> str:
    """The device's name; of a device that is only a number, the name of its first port."""
    if ports[0].device_id and not _is_uuid(identifier):
        return identifier
    return next((port.name for port in ports if port.name), identifier)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


class Compute:
    """`/compute/v2.1` on behalf of one caller."""

    def __init__(self, keeper: Keeper, caller: Caller) -> None:
        self._keeper = keeper
        self._caller = caller

    def answer(self, request: Request, rest: tuple[str, ...]) -> Response:
        """`rest` is the path below the version."""
        if rest in (("servers",), ("servers", "detail")):
            return self._get(request, lambda view: self._list(request, view, rest))
        if rest[:1] == ("os-quota-sets",) and rest[1:] and rest[2:] in ((), ("detail",), ("defaults",)):
            return self._get(request, lambda _: _no_limits(*rest[1:]))
        if rest[:1] != ("servers",):
            raise no_such_path(request.path[:256])
        return self._one(request, *rest[1:])

    def _one(self, request: Request, identifier: str, *rest: str) -> Response:
        match rest:
            case ():
                return self._get(request, lambda view: self._show(view, identifier))
            case ("os-security-groups",):
                return self._get(request, lambda view: self._groups(view, identifier))
            case ("os-interface",) if request.method == "POST":
                return self._attach(request, identifier)
            case ("os-interface",):
                return self._get(request, lambda view: self._interfaces(view, identifier))
            case ("os-interface", port) if request.method == "DELETE":
                return self._detach(request, identifier, port)
            case ("action",):
                return self._act(request, identifier)
        raise no_such_path(request.path[:256])

    def _get(self, request: Request, show: Callable[[View], Body]) -> Response:
        if request.method != "GET":
            raise wrong_method(request.method, ("GET",))
        return reply(show(self._keeper.view(request.turn)))

    def _list(self, request: Request, view: View, rest: tuple[str, ...]) -> Body:
        found = sorted(servers(view, self._caller), key=lambda server: (server.name, server.id))
        names = request.values("name")
        found = [server for server in found if not names or any(name in server.name for name in names)]
        if rest[1:]:
            return {"servers": [_shown(view, server) for server in _in_turns(request, found)]}
        return {"servers": [{"id": server.id, "name": server.name, "links": []} for server in found]}

    def _show(self, view: View, identifier: str) -> Body:
        return {"server": _shown(view, self._find(view, identifier))}

    def _find(self, objects: View | Draft, identifier: str) -> Server:
        """The caller's own server of that id, else the only one of others that an admin may see.

        Where it is the id of a port, which nobody chose, it means that port.
        """
        found = [server for server in servers(objects, self._caller) if server.id == identifier]
        own = [server for server in found if server.ports[0].id == identifier]
        own = own or [server for server in found if server.project == self._caller.project]
        if not found:
            raise ApiError(404, "InstanceNotFound", f"Instance {identifier[:64]} could not be found.")
        if not own and len(found) > 1:
            message = f"Several projects have an instance {identifier[:64]}; edit its ports instead."
            raise ApiError(409, "NoUniqueMatch", message)
        return (own or found)[0]

    def _groups(self, view: View, identifier: str) -> Body:
        groups = _groups(view, self._find(view, identifier))
        shown = [
            {
                "id": each.id,
                "name": each.name,
                "description": each.meta.description,
                "tenant_id": each.meta.project_id,
                "rules": [],
            }
            for each in groups
        ]
        return {"security_groups": shown}

    def _interfaces(self, view: View, identifier: str) -> Body:
        server = self._find(view, identifier)
        return {"interfaceAttachments": [_interface(view, port) for port in server.ports]}

    def _attach(self, request: Request, identifier: str) -> Response:
        """Make a port the server's; Nova answers with the interface."""
        attachment = _member(read_json(request), "interfaceAttachment")
        wanted = attachment.get("port_id")
        if not isinstance(wanted, str):
            raise bad_request("interfaceAttachment needs a port_id")

        def edit(desk: Desk) -> None:
            server = self._find(desk.draft, identifier)
            port = self._port(desk, wanted)
            if port.meta.project_id != server.project:
                raise ApiError(404, "PortNotFound", f"Port {port.id} is not of the server's project.")
            if port.device_id and port.device_id != server.id:
                raise ApiError(409, "PortInUse", f"Port {port.id} is still in use.")
            if not all(each.device_id for each in server.ports):
                raise bad_request("The server is a port without device_id; give it one first")
            desk.put(
                replace(port, device_id=server.id, device_owner=port.device_owner or "compute:sgctl-api")
            )

        self._write(request, edit)
        view = self._keeper.view(request.turn)
        port = view.get(Port, wanted)
        return reply({"interfaceAttachment": _interface(view, port) if port is not None else {}})

    def _port(self, desk: Desk, identifier: str) -> Port:
        return desk.find(Port, identifier, "Port", "Port")

    def _detach(self, request: Request, identifier: str, port_id: str) -> Response:
        def edit(desk: Desk) -> None:
            port = self._port(desk, port_id)
            if port.id not in {each.id for each in self._find(desk.draft, identifier).ports}:
                raise ApiError(404, "PortNotFound", f"Port {port_id[:64]} is not one of the server's.")
            desk.put(replace(port, device_id="", device_owner=""))

        self._write(request, edit)
        return Response(202)

    def _act(self, request: Request, identifier: str) -> Response:
        if request.method != "POST":
            raise wrong_method(request.method, ("POST",))
        document = read_json(request)
        actions = {"addSecurityGroup": _add, "removeSecurityGroup": _remove}
        if not isinstance(document, dict) or len(document) != 1 or not set(document) <= set(actions):
            raise bad_request(f"There is no such action; use {' or '.join(actions)}")
        action = next(iter(document))
        name = _member(document, action).get("name")
        if not isinstance(name, str):
            raise bad_request(f"{action} needs the name of a security group")

        def edit(desk: Desk) -> None:
            server = self._find(desk.draft, identifier)
            actions[action](desk, server, self._group(desk, name, server.project))

        self._write(request, edit)
        return Response(202)

    def _group(self, desk: Desk, reference: str, project: str) -> SecurityGroup:
        """The group of the server's project with this id, else the only one with this name.

        What a server is called is no proof of whose it is: no other project's group is given to its ports.
        """
        by_id = desk.draft.get(SecurityGroup, reference)
        candidates = [by_id] if by_id else desk.draft.where(SecurityGroup, "name", reference)
        found = [group for group in candidates if group.meta.project_id == project]
        if not found:
            raise ApiError(404, "SecurityGroupNotFound", f"Security group {reference[:64]} not found.")
        if len(found) > 1:
            message = f"Multiple security_group matches found for name '{reference[:64]}', use an ID."
            raise ApiError(409, "NoUniqueMatch", message)
        return found[0]

    def _write(self, request: Request, edit: Callable[[Desk], None]) -> None:
        if self._caller.role < Role.MEMBER:
            raise forbidden("A reader may not change anything")

        def decide(store: Store) -> Plan:
            desk = Desk.of(store.objects, self._caller)
            edit(desk)
            return settle(desk.draft)

        self._keeper.change(request.turn, decide, lambda _: None)


def _in_turns(request: Request, found: list[Server]) -> Iterator[Server]:
    for server in found:
        request.turn.pause(len(server.ports))
        yield server


def _member(document: Any, key: str) -> Body:
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, dict):
        raise bad_request(f"The body needs the object {key}")
    return value


def _add(desk: Desk, server: Server, group: SecurityGroup) -> None:
    for port in server.ports:
        if port.port_security_enabled:
            desk.put(replace(port, security_groups=port.security_groups | {group.id}))
    if not any(port.port_security_enabled for port in server.ports):
        raise bad_request(f"Network of {server.name} has port security disabled")


def _remove(desk: Desk, server: Server, group: SecurityGroup) -> None:
    if not any(group.id in port.security_groups for port in server.ports):
        message = f"Security group {group.name} not associated with the instance {server.id}"
        raise ApiError(404, "SecurityGroupNotFound", message)
    for port in server.ports:
        desk.put(replace(port, security_groups=port.security_groups - {group.id}))


def _groups(view: View, server: Server) -> list[SecurityGroup]:
    ids = {identifier for port in server.ports for identifier in port.security_groups}
    found = [view.get(SecurityGroup, identifier) for identifier in ids]
    return sorted((group for group in found if group is not None), key=lambda group: (group.name, group.id))


def _interface(view: View, port: Port) -> Body:
    return {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac,
        "port_state": "ACTIVE" if view.is_active(port) else "DOWN",
        "fixed_ips": [{"ip_address": address.address, "subnet_id": None} for address in port.fixed_ips],
    }


def _shown(view: View, server: Server) -> Body:
    """A server as Nova shows it; what a port does not know is empty."""
    addresses: dict[str, list[Body]] = {}
    for port in server.ports:
        network = view.get(Network, port.network_id)
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
    active = all(view.is_active(port) for port in server.ports)
    meta = server.ports[0].meta
    return {
        "id": server.id,
        "name": server.name,
        "status": "ACTIVE" if active else "UNKNOWN",
        "addresses": addresses,
        "security_groups": [{"name": group.name} for group in _groups(view, server)],
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
        "OS-EXT-SRV-ATTR:host": next(filter(None, map(view.host, server.ports)), ""),
        "os-extended-volumes:volumes_attached": [],
        "links": [],
    }
