"""From a request to its answer: who asks, which part of the API it is for, and what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from flows.model import KINDS
from sgctl.rest import discovery, openapi
from sgctl.rest.access import Access, RateLimit
from sgctl.rest.collection import Collection
from sgctl.rest.compute import Compute
from sgctl.rest.credentials import Caller
from sgctl.rest.errors import ApiError, from_policy, no_such_path, tell, wrong_method
from sgctl.rest.http import Request, Response, reply
from sgctl.rest.identity import Identity
from sgctl.rest.keeper import Keeper, Unavailable
from sgctl.rest.quotas import Quotas
from sgctl.rest.resources import RESOURCES
from sgctl.rest.turns import Owner, Rank, Turn, Turns
from sgctl.service.errors import PolicyError
from sgctl.store import StoreError

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Api:
    """The whole northbound interface."""

    keeper: Keeper
    access: Access
    quotas: Quotas
    rate: RateLimit
    turns: Turns = field(default_factory=Turns)

    def answer(self, request: Request) -> Response:
        """Never raises: whatever goes wrong is an answer, too."""
        try:
            self.rate.admit(request.visitor.host)
            return self._route(request)
        except ApiError as error:
            return tell(error, request.path)
        except PolicyError as error:
            return tell(from_policy(error), request.path)
        except (StoreError, Unavailable) as error:
            return tell(ApiError(503, "ServiceUnavailable", str(error)), request.path)
        except Exception:
            LOG.exception("%s %s failed", request.method, request.path)
            return tell(ApiError(500, "HTTPInternalServerError", "Internal error; see the log"), request.path)

    def _route(self, request: Request) -> Response:
        segments = request.segments
        public = _PUBLIC.get(segments)
        if public is not None:
            if request.method not in ("GET", "HEAD"):
                raise wrong_method(request.method, ("GET",))
            return public(request)
        self.access.admit(request)
        head, rest = segments[0], segments[1:]
        if head == "identity":
            return Identity(self.access, self._projects).answer(request, rest)
        caller = self.access.caller(request)
        with self.turns.turn(_owner(request, caller)) as turn:
            return self._answer(replace(request, turn=turn), caller)

    def _answer(self, request: Request, caller: Caller) -> Response:
        head, rest = request.segments[0], request.segments[1:]
        if head == "v2.0":
            return self._network(request, rest, caller)
        if head == "compute" and rest[:1] == ("v2.1",):
            return Compute(self.keeper, caller).answer(request, rest[1:])
        raise no_such_path(request.path[:256])

    def _projects(self) -> set[str]:
        """All that anything belongs to."""
        view = self.keeper.view(Turn())
        return {*view.quotas, *(obj.meta.project_id for kind in KINDS for obj in view.all(kind))}

    def _network(self, request: Request, rest: tuple[str, ...], caller: Caller) -> Response:
        if rest[0] == "extensions":
            return discovery.extensions(request, rest[1:])
        if rest[0] == "quotas":
            return self.quotas.answer(request, rest[1:], caller)
        for resource in RESOURCES:
            if rest[0] == resource.path:
                return Collection(resource, self.keeper, caller, self.quotas).answer(request, rest[1:])
        raise no_such_path(request.path[:256])


def _owner(request: Request, caller: Caller) -> Owner:
    if not caller.is_admin:
        return Owner(Rank.OTHERS, caller.project)
    return Owner(Rank.ADMIN_READS if request.method == "GET" else Rank.ADMIN_WRITES, caller.project)


def _compute_version(request: Request) -> Response:
    links = [{"rel": "self", "href": f"{request.origin}/compute/v2.1/"}]
    version = {"id": "v2.1", "status": "CURRENT", "version": "2.1", "min_version": "2.1", "links": links}
    return reply({"version": version} if request.segments[1:] else {"versions": [version]})


def _identity_version(request: Request) -> Response:
    links = [{"rel": "self", "href": f"{request.origin}/identity/v3/"}]
    version = {"id": "v3.14", "status": "stable", "links": links, "media-types": []}
    return reply({"version": version} if request.segments[1:] else {"versions": {"values": [version]}})


def _openapi(_: Request) -> Response:
    return openapi.response()


_PUBLIC: dict[tuple[str, ...], Callable[[Request], Response]] = {
    (): discovery.versions,
    ("v2.0",): discovery.version,
    ("compute",): _compute_version,
    ("compute", "v2.1"): _compute_version,
    ("identity",): _identity_version,
    ("identity", "v3"): _identity_version,
    ("openapi.json",): _openapi,
}
"""What clients ask before they show a token."""
