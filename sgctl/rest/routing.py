"""Routes as data, for dispatching requests and for the OpenAPI document.

See docs/decisions/routes.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from sgctl.attributes.value_types import Schema
from sgctl.rest.access import Access
from sgctl.rest.credentials import Caller
from sgctl.rest.errors import ApiError, ApiService, no_such_path, service_of, wrong_method
from sgctl.rest.follower import PolicyFollower
from sgctl.rest.http import Body, Request, Response
from sgctl.rest.limits import Limits

PARAMETER = re.compile(r"{(\w+)}")
"""A parameter of a path template, as OpenAPI writes it. It stands for one segment of the path."""

_METHODS = ("GET", "POST", "PUT", "DELETE")
"""In the order of `Allow`. HEAD is answered wherever GET is."""


class Auth(Enum):
    """What is checked before a handler is called."""

    NONE = auto()
    """Nothing: versions and the OpenAPI document."""
    LOCAL = auto()
    """`Access.admit`: where no tokens are used, the user of this machine."""
    CALLER = auto()
    """Also who the caller is. The request waits for its turn, and a reader is refused unless it is a GET."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What handlers work with. `limits` are the default quotas of projects."""

    policy: PolicyFollower
    access: Access
    limits: Limits


@dataclass(slots=True, eq=False)
class Context:
    """One request for a handler; `identified` is None if the route does not need the caller."""

    request: Request
    backend: Backend
    identified: Caller | None = None

    @property
    def caller(self) -> Caller:
        """The caller, on a route with `Auth.CALLER`."""
        assert self.identified is not None, "the route does not ask for the caller"
        return self.identified


Handler = Callable[..., Response]
"""Called with a Context and the values of the path's parameters, in their order. May raise ApiError."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One operation of the API.

    `path` is a template such as `/v2.0/ports/{id}`. `request` and `response` are the JSON Schemas of the
    bodies, None where there is none; `status` is that of success. `parameters` are those of the query and
    the headers, as OpenAPI writes them. `errors` are the statuses of failures that are particular to it.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    request: Schema | None = None
    response: Schema | None = None
    status: int = 200
    parameters: tuple[Body, ...] = ()
    errors: tuple[int, ...] = ()
    auth: Auth = Auth.CALLER


class Match(NamedTuple):
    """The result for a request: a handler with the values of the path's parameters, or an error to raise."""

    auth: Auth
    handler: Handler
    arguments: tuple[str, ...] = ()
    writes: bool = False


class Router:
    """Finds the route of a request. Empty segments of a path do not count."""

    def __init__(self, routes: Iterable[Route]) -> None:
        routes = tuple(routes)
        rules = [
            Rule(PARAMETER.sub(r"<\1>", route.path), endpoint=route, methods=[route.method])
            for route in routes
        ]
        # Matching takes 4 µs. Where a path has no parameter, there is nothing to match.
        self._fixed = {
            (route.method, route.path): _found(route) for route in routes if not PARAMETER.search(route.path)
        }
        self._urls = Map(rules, merge_slashes=False, redirect_defaults=False).bind("")

    def match(self, request: Request) -> Match:
        """The route of a request. An unknown path is a match, too: the caller is authenticated first."""
        path = f"/{'/'.join(request.segments)}"
        fixed = self._fixed.get((request.method, path))
        if fixed is not None:
            return fixed
        try:
            route, values = self._match(path, request.method)
        except MethodNotAllowed as error:
            allowed = [method for method in _METHODS if method in (error.valid_methods or ())]
            auths = {self._match(path, method)[0].auth for method in allowed}
            return _refusal(path, wrong_method(request.method, tuple(allowed)), public=auths == {Auth.NONE})
        except NotFound:
            return _refusal(path, no_such_path(request.path[:256]))
        return _found(route, *values.values())

    def _match(self, path: str, method: str) -> tuple[Route, dict[str, str]]:
        route, values = self._urls.match(path, method)
        assert isinstance(route, Route)
        return route, dict(values)


def _found(route: Route, *arguments: str) -> Match:
    return Match(route.auth, route.handler, arguments, writes=route.method != "GET")


def _refusal(path: str, error: ApiError, *, public: bool = False) -> Match:
    def refuse(_: Context) -> Response:
        raise error

    if public:
        return Match(Auth.NONE, refuse)
    return Match(Auth.LOCAL if service_of(path) is ApiService.IDENTITY else Auth.CALLER, refuse)
