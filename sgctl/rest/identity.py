"""The little of Keystone without which some clients do not start: a token for a token, and a catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sgctl.rest.access import Access
from sgctl.rest.credentials import Caller
from sgctl.rest.errors import ApiError, bad_request, no_such_path, wrong_method
from sgctl.rest.http import Body, Request, Response, reply
from sgctl.rest.schemas import read_json

_VALID = timedelta(hours=24)
_OPEN = "no-token-needed"
_DOMAIN = {"id": "default", "name": "Default"}


class Identity:
    """`/identity/v3`. A password is a token: there are no users, only tokens of projects."""

    def __init__(self, access: Access, projects: Callable[[], Iterable[str]]) -> None:
        """`projects` are all that there are, which admins may list."""
        self._access = access
        self._all_projects = projects

    def answer(self, request: Request, rest: tuple[str, ...]) -> Response:
        """`rest` is the path below `/identity`."""
        if rest == ("v3", "auth", "tokens"):
            handlers = {"POST": self._issue, "GET": self._show}
            handler = handlers.get(request.method)
            if handler is None:
                raise wrong_method(request.method, tuple(handlers))
            return handler(request)
        if rest[:2] == ("v3", "auth") and rest[2:] in (("projects",), ("catalog",)):
            return self._listed(request, rest[2])
        if rest[:2] == ("v3", "projects") and len(rest) <= 3:
            return self._projects(request, rest[2:])
        raise no_such_path(request.path[:256])

    def _issue(self, request: Request) -> Response:
        document = read_json(request)
        secret = _secret(document)
        caller = self._access.by_token(secret)
        if caller is None:
            raise ApiError(401, "Unauthorized", "The request you have made requires authentication.")
        return self._token(request, caller, secret or _OPEN, 201)

    def _show(self, request: Request) -> Response:
        caller = self._access.caller(request)
        subject = request.headers.get("x-subject-token", "")
        about = self._access.by_token(subject)
        if about is None or not (caller.is_admin or about.project == caller.project):
            raise ApiError(404, "TokenNotFound", "There is no such token.")
        return self._token(request, about, subject, 200)

    def _token(self, request: Request, caller: Caller, secret: str, status: int) -> Response:
        now = datetime.now(UTC)
        document = {
            "token": {
                "methods": ["password"],
                "user": {"id": "sgctl", "name": "sgctl", "domain": _DOMAIN, "password_expires_at": None},
                "project": _project(caller),
                "roles": [{"id": caller.role.name.lower(), "name": caller.role.name.lower()}],
                "catalog": _catalog(request),
                "issued_at": _time(now),
                "expires_at": _time(now + _VALID),
                "audit_ids": [],
            }
        }
        return reply(document, status, (("X-Subject-Token", secret),))

    def _listed(self, request: Request, what: str) -> Response:
        if request.method != "GET":
            raise wrong_method(request.method, ("GET",))
        caller = self._access.caller(request)
        if what == "catalog":
            return reply({"catalog": _catalog(request), "links": {}})
        return reply({"projects": [_project(caller)], "links": {}})

    def _projects(self, request: Request, rest: tuple[str, ...]) -> Response:
        """A project is known by its name only, which is its id."""
        if request.method != "GET":
            raise wrong_method(request.method, ("GET",))
        caller = self._access.caller(request)
        if not rest:
            names = request.values("name")
            listed = names if caller.is_admin and names else self._visible(caller)
            shown = [name for name in listed if not names or name in names]
            return reply({"projects": [_project(Caller(name, caller.role)) for name in shown], "links": {}})
        if not caller.is_admin and rest[0] != caller.project:
            raise ApiError(404, "ProjectNotFound", f"Could not find project: {rest[0][:64]}.")
        return reply({"project": _project(Caller(rest[0], caller.role))})

    def _visible(self, caller: Caller) -> list[str]:
        """The caller's project, and for an admin all others that have a name."""
        others = self._all_projects() if caller.is_admin else ()
        return [caller.project, *sorted({*others} - {caller.project, ""})]


def _secret(document: Any) -> str:
    """The password, token or application credential in a request for a token."""
    try:
        identity = document["auth"]["identity"]
        method = identity["methods"][0]
        stated = identity[method]
        secret = {
            "password": lambda: stated["user"]["password"],
            "token": lambda: stated["id"],
            "application_credential": lambda: stated["secret"],
        }[method]()
    except (KeyError, IndexError, TypeError):
        raise bad_request("The body is no request for a token") from None
    if not isinstance(secret, str) or not secret.isascii() or not secret.isprintable():
        raise bad_request("The body is no request for a token")
    return secret


def _project(caller: Caller) -> Body:
    name = caller.project or "default"
    return {"id": name, "name": name, "domain": _DOMAIN, "domain_id": "default", "enabled": True}


def _catalog(request: Request) -> list[Body]:
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
                    "url": f"{request.origin}{path}",
                }
                for interface in ("public", "internal", "admin")
            ],
        }
        for kind, path in paths.items()
    ]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
