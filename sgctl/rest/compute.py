"""The part of Nova that its clients need to add a security group to a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from flows.policy.objects import Port, SecurityGroup
from sgctl.attributes.value_types import Schema
from sgctl.rest.edit_context import EditContext
from sgctl.rest.errors import ApiError, bad_request
from sgctl.rest.http import Body, Json, Response, reply
from sgctl.rest.routing import Context, Handler, Route
from sgctl.rest.schemas import Checker, check, envelope, mapping, read_json
from sgctl.rest.servers import Server, find_server, groups_of, render_interface, render_server, servers
from sgctl.rest.view import View
from sgctl.service.plan import Plan
from sgctl.store import Store


def _view(context: Context) -> View:
    return context.backend.policy.view(context.request.turn)


def _list(context: Context) -> Response:
    found = _named(context, _view(context))
    return reply({"servers": [{"id": each.id, "name": each.name, "links": []} for each in found]})


def _list_details(context: Context) -> Response:
    view = _view(context)
    shown = [render_server(view, server) for server in _in_turns(context, _named(context, view))]
    return reply({"servers": shown})


def _named(context: Context, view: View) -> list[Server]:
    """The servers whose name contains one of those that the query asks for, or all."""
    names = context.request.values("name")
    found = sorted(servers(view.policy, context.caller), key=lambda server: (server.name, server.id))
    return [server for server in found if not names or any(name in server.name for name in names)]


def _in_turns(context: Context, found: list[Server]) -> Iterator[Server]:
    for server in found:
        context.request.turn.pause(len(server.ports))
        yield server


def _show(context: Context, identifier: str) -> Response:
    view = _view(context)
    return reply({"server": render_server(view, find_server(view.policy, context.caller, identifier))})


def _list_groups(context: Context, identifier: str) -> Response:
    view = _view(context)
    shown = [
        {
            "id": each.id,
            "name": each.name,
            "description": each.meta.description,
            "tenant_id": each.meta.project_id,
            "rules": [],
        }
        for each in groups_of(view.policy, find_server(view.policy, context.caller, identifier))
    ]
    return reply({"security_groups": shown})


def _list_interfaces(context: Context, identifier: str) -> Response:
    view = _view(context)
    server = find_server(view.policy, context.caller, identifier)
    return reply({"interfaceAttachments": [render_interface(view, port) for port in server.ports]})


def _attach(context: Context, identifier: str) -> Response:
    """Give a port to the server; Nova answers with the interface."""
    wanted = check(_ATTACHMENT, read_json(context.request))["interfaceAttachment"]["port_id"]

    def attach(edit: EditContext) -> None:
        server = find_server(edit.draft, edit.caller, identifier)
        port = _port(edit, wanted)
        if port.meta.project_id != server.project:
            raise ApiError(404, "PortNotFound", f"Port {port.id} does not belong to the server's project.")
        if port.device_id and port.device_id != server.id:
            raise ApiError(409, "PortInUse", f"Port {port.id} is still in use.")
        if not all(each.device_id for each in server.ports):
            raise bad_request("The server is a port without device_id; give it one first")
        edit.put(replace(port, device_id=server.id, device_owner=port.device_owner or "compute:sgctl-api"))

    _commit(context, attach)
    view = _view(context)
    port = view.policy.get(Port, wanted)
    return reply({"interfaceAttachment": render_interface(view, port) if port is not None else {}})


def _port(edit: EditContext, identifier: str) -> Port:
    return edit.find(Port, identifier, "Port", "Port")


def _detach(context: Context, identifier: str, port_id: str) -> Response:
    def detach(edit: EditContext) -> None:
        port = _port(edit, port_id)
        server = find_server(edit.draft, edit.caller, identifier)
        if port.id not in {each.id for each in server.ports}:
            raise ApiError(404, "PortNotFound", f"Port {port_id[:64]} is not one of the server's.")
        edit.put(replace(port, device_id="", device_owner=""))

    _commit(context, detach)
    return Response(202)


def _act(context: Context, identifier: str) -> Response:
    ((action, group),) = check(_ACTION, read_json(context.request)).items()

    def act(edit: EditContext) -> None:
        server = find_server(edit.draft, edit.caller, identifier)
        _ACTIONS[action](edit, server, _group(edit, group["name"], server.project))

    _commit(context, act)
    return Response(202)


def _group(edit: EditContext, reference: str, project: str) -> SecurityGroup:
    """The group of the server's project with this id, or the only one with this name.

    The name of a server does not prove whose it is, so its ports never get a group of another project.
    """
    by_id = edit.draft.get(SecurityGroup, reference)
    candidates = [by_id] if by_id else edit.draft.where(SecurityGroup, "name", reference)
    found = [group for group in candidates if group.meta.project_id == project]
    if not found:
        raise ApiError(404, "SecurityGroupNotFound", f"Security group {reference[:64]} not found.")
    if len(found) > 1:
        message = f"Multiple security_group matches found for name '{reference[:64]}', use an ID."
        raise ApiError(409, "NoUniqueMatch", message)
    return found[0]


def _add(edit: EditContext, server: Server, group: SecurityGroup) -> None:
    for port in server.ports:
        if port.port_security_enabled:
            edit.put(replace(port, security_groups=port.security_groups | {group.id}))
    if not any(port.port_security_enabled for port in server.ports):
        raise bad_request(f"Network of {server.name} has port security disabled")


def _remove(edit: EditContext, server: Server, group: SecurityGroup) -> None:
    if not any(group.id in port.security_groups for port in server.ports):
        message = f"Security group {group.name} not associated with the instance {server.id}"
        raise ApiError(404, "SecurityGroupNotFound", message)
    for port in server.ports:
        edit.put(replace(port, security_groups=port.security_groups - {group.id}))


_ACTIONS = {"addSecurityGroup": _add, "removeSecurityGroup": _remove}


def _commit(context: Context, apply: Callable[[EditContext], None]) -> None:
    def decide(store: Store) -> Plan:
        edit = EditContext(store.objects, context.caller)
        apply(edit)
        return edit.plan()

    context.backend.policy.change(context.request.turn, decide, lambda _: None)


_LIMITED = ("cores", "instances", "key_pairs", "ram", "server_groups", "server_group_members")


def _quotas(_: Context, project: str) -> Response:
    """No limits: the number of servers follows from the ports. Clients ask for all quotas of a project."""
    return _no_limits(project, -1)


def _quota_details(_: Context, project: str) -> Response:
    return _no_limits(project, {"limit": -1, "in_use": 0, "reserved": 0})


def _no_limits(project: str, limit: Json) -> Response:
    return reply({"quota_set": {"id": project, **dict.fromkeys(_LIMITED, limit)}})


def _with_text(name: str) -> Schema:
    """The schema of an object that has the string `name`."""
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


_ATTACHMENT = Checker(
    {
        "type": "object",
        "properties": {"interfaceAttachment": _with_text("port_id")},
        "required": ["interfaceAttachment"],
    }
)
_ACTION = Checker(
    {**mapping(**dict.fromkeys(_ACTIONS, _with_text("name"))), "minProperties": 1, "maxProperties": 1}
)
_NAMES: Body = {"name": "name", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
_SERVERS, _SERVER = "/compute/v2.1/servers", "/compute/v2.1/servers/{id}"


def _quota_route(rest: str, handler: Handler, summary: str) -> Route:
    path = f"/compute/v2.1/os-quota-sets/{{id}}{rest}"
    return Route("GET", path, handler, summary, response=envelope("quota_set"), errors=(404,))


ROUTES = (
    Route(
        "GET", _SERVERS, _list, "List servers", response=envelope("servers", "array"), parameters=(_NAMES,)
    ),
    Route(
        "GET",
        f"{_SERVERS}/detail",
        _list_details,
        "List servers with details",
        response=envelope("servers", "array"),
        parameters=(_NAMES,),
    ),
    Route("GET", _SERVER, _show, "Show a server", response=envelope("server"), errors=(404, 409)),
    Route(
        "GET",
        f"{_SERVER}/os-security-groups",
        _list_groups,
        "List the security groups of a server",
        response=envelope("security_groups", "array"),
        errors=(404, 409),
    ),
    Route(
        "POST",
        f"{_SERVER}/action",
        _act,
        "Add a security group to a server, or remove one",
        request=_ACTION.schema,
        status=202,
        errors=(400, 404, 409, 413),
    ),
    Route(
        "GET",
        f"{_SERVER}/os-interface",
        _list_interfaces,
        "List the interfaces of a server",
        response=envelope("interfaceAttachments", "array"),
        errors=(404, 409),
    ),
    Route(
        "POST",
        f"{_SERVER}/os-interface",
        _attach,
        "Attach a port to a server",
        request=_ATTACHMENT.schema,
        response=envelope("interfaceAttachment"),
        errors=(400, 404, 409, 413),
    ),
    Route(
        "DELETE",
        f"{_SERVER}/os-interface/{{port_id}}",
        _detach,
        "Detach a port from a server",
        status=202,
        errors=(404, 409),
    ),
    _quota_route("", _quotas, "Limits of a project"),
    _quota_route("/defaults", _quotas, "Default limits of projects"),
    _quota_route("/detail", _quota_details, "Limits of a project and their use"),
)
