"""The part of Keystone without which some clients do not start: a token for a token, and a catalog.

There are no users and no passwords. A client gives its token as the password.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import getitem
from typing import Any

from flows.policy.objects import KINDS
from sgctl.attributes.value_types import Schema
from sgctl.rest.credentials import Caller
from sgctl.rest.errors import ApiError, bad_request
from sgctl.rest.http import Body, Response, reply
from sgctl.rest.quotas import NAMELESS
from sgctl.rest.routing import Auth, Context, Route
from sgctl.rest.schemas import Checker, envelope, read_json

_VALID = timedelta(hours=24)
_OPEN = "no-token-needed"
_DOMAIN = {"id": "default", "name": "Default"}


def _issue(context: Context) -> Response:
    secret = _secret(read_json(context.request))
    caller = context.backend.access.by_token(secret)
    if caller is None:
        raise ApiError(401, "Unauthorized", "The request you have made requires authentication.")
    return _token(context, caller, secret or _OPEN, 201)


def _show(context: Context) -> Response:
    subject = context.request.headers.get("x-subject-token", "")
    about = context.backend.access.by_token(subject)
    if about is None or not (context.caller.is_admin or about.project == context.caller.project):
        raise ApiError(404, "TokenNotFound", "There is no such token.")
    return _token(context, about, subject, 200)


def _token(context: Context, caller: Caller, secret: str, status: int) -> Response:
    now = datetime.now(UTC)
    document = {
        "token": {
            "methods": ["password"],
            "user": {"id": "sgctl", "name": "sgctl", "domain": _DOMAIN, "password_expires_at": None},
            "project": _project(caller.project),
            "roles": [{"id": caller.role.name.lower(), "name": caller.role.name.lower()}],
            "catalog": _catalog(context),
            "issued_at": _time(now),
            "expires_at": _time(now + _VALID),
            "audit_ids": [],
        }
    }
    return reply(document, status, (("X-Subject-Token", secret),))


def _show_catalog(context: Context) -> Response:
    return reply({"catalog": _catalog(context), "links": {}})


def _list_own_projects(context: Context) -> Response:
    return reply({"projects": [_project(context.caller.project)], "links": {}})


def _list_projects(context: Context) -> Response:
    """The projects that the caller may see. An admin finds any name, because a project is only a name."""
    names = context.request.values("name")
    listed = names if context.caller.is_admin and names else _visible_projects(context)
    shown = [_project(name) for name in listed if not names or name in names]
    return reply({"projects": shown, "links": {}})


def _show_project(context: Context, name: str) -> Response:
    if not context.caller.is_admin and name != context.caller.project:
        raise ApiError(404, "ProjectNotFound", f"Could not find project: {name[:64]}.")
    return reply({"project": _project(name)})


def _visible_projects(context: Context) -> list[str]:
    """The caller's project, and for an admin every other project that owns something and has a name."""
    own = context.caller.project
    if not context.caller.is_admin:
        return [own]
    view = context.backend.policy.view(context.request.turn)
    owners = {*view.quotas, *(obj.meta.project_id for kind in KINDS for obj in view.policy.all(kind))}
    return [own, *sorted(owners - {own, ""})]


def _secret(document: Any) -> str:
    """The password, token or application credential in a request for a token. Raises ApiError 400."""
    if _REQUEST.error(document) is not None:  # its text may hold the secret
        raise bad_request("The body is not a request for a token")
    identity = document["auth"]["identity"]
    method = identity["methods"][0]
    return str(reduce(getitem, _SECRETS[method], identity[method]))


def _project(name: str) -> Body:
    name = name or NAMELESS
    return {"id": name, "name": name, "domain": _DOMAIN, "domain_id": _DOMAIN["id"], "enabled": True}


def _catalog(context: Context) -> list[Body]:
    paths = {"network": "", "compute": "/compute/v2.1", "identity": "/identity/v3", "image": ""}
    return [
        {
            "type": kind,
            "name": kind,
            "id": kind,
            "endpoints": [
                {
                    "id": f"{kind}-{interface}",
                    "interface": interface,
                    "region": "RegionOne",
                    "region_id": "RegionOne",
                    "url": f"{context.request.origin}{path}",
                }
                for interface in ("public", "internal", "admin")
            ],
        }
        for kind, path in paths.items()
    ]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


_SECRETS = {"password": ("user", "password"), "token": ("id",), "application_credential": ("secret",)}
"""By Keystone's method: where the secret is in the method's object."""
_SECRET: Schema = {"type": "string", "not": {"pattern": "[^ -~]"}}


def _nested(path: Sequence[str], content: Schema) -> Schema:
    """The schema of objects in each other, at whose end the content is."""
    for name in reversed(path):
        content = {"type": "object", "properties": {name: content}, "required": [name]}
    return content


def _by(method: str, path: Sequence[str]) -> Schema:
    """The schema of a request for a token by one of Keystone's methods."""
    methods = {"type": "array", "prefixItems": [{"const": method}], "minItems": 1}
    identity = {
        "type": "object",
        "properties": {"methods": methods, method: _nested(path, _SECRET)},
        "required": ["methods", method],
    }
    return _nested(("auth", "identity"), identity)


_REQUEST = Checker({"anyOf": [_by(method, path) for method, path in _SECRETS.items()]})


_TOKENS, _PROJECTS = "/identity/v3/auth/tokens", "/identity/v3/projects"
_SUBJECT: Body = {
    "name": "X-Subject-Token",
    "in": "header",
    "description": "the token to validate",
    "schema": {"type": "string"},
}
_NAMES: Body = {"name": "name", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}

ROUTES = (
    Route(
        "POST",
        _TOKENS,
        _issue,
        "Exchange a token for a token with a catalog",
        request=_REQUEST.schema,
        response=envelope("token"),
        status=201,
        errors=(400, 413),
        auth=Auth.LOCAL,
    ),
    Route(
        "GET",
        _TOKENS,
        _show,
        "Validate a token",
        response=envelope("token"),
        parameters=(_SUBJECT,),
        errors=(404,),
    ),
    Route(
        "GET",
        "/identity/v3/auth/catalog",
        _show_catalog,
        "Show the catalog",
        response=envelope("catalog", "array"),
    ),
    Route(
        "GET",
        "/identity/v3/auth/projects",
        _list_own_projects,
        "Show the caller's project",
        response=envelope("projects", "array"),
    ),
    Route(
        "GET",
        _PROJECTS,
        _list_projects,
        "List projects",
        response=envelope("projects", "array"),
        parameters=(_NAMES,),
    ),
    Route(
        "GET",
        f"{_PROJECTS}/{{id}}",
        _show_project,
        "Show a project",
        response=envelope("project"),
        errors=(404,),
    ),
)
