"""From a request to its response: authentication, scheduling, dispatch, and errors."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from sgctl.rest.access import RateLimit
from sgctl.rest.credentials import Caller, Role
from sgctl.rest.errors import ApiError, error_response, forbidden, from_policy
from sgctl.rest.follower import Unavailable
from sgctl.rest.http import Request, Response
from sgctl.rest.routes import ROUTES
from sgctl.rest.routing import Auth, Backend, Context, Match, Router
from sgctl.rest.turns import Owner, Rank, Turns
from sgctl.service.errors import PolicyError
from sgctl.store import StoreError

LOG = logging.getLogger(__name__)

ROUTER = Router(ROUTES)


@dataclass(frozen=True)
class Api:
    """The northbound interface."""

    backend: Backend
    rate: RateLimit
    turns: Turns = field(default_factory=Turns)

    def answer(self, request: Request) -> Response:
        """Never raises: every failure becomes a response."""
        try:
            self.rate.admit(request.peer.client)
            return self._dispatch(request, ROUTER.match(request))
        except ApiError as error:
            return error_response(error, request.path)
        except PolicyError as error:
            return error_response(from_policy(error), request.path)
        except (StoreError, Unavailable) as error:
            return error_response(ApiError(503, "ServiceUnavailable", str(error)), request.path)
        except Exception:
            LOG.exception("%s %s failed", request.method, request.path)
            unknown = ApiError(500, "HTTPInternalServerError", "Internal error; see the log")
            return error_response(unknown, request.path)

    def _dispatch(self, request: Request, match: Match) -> Response:
        if match.auth is not Auth.NONE:
            self.backend.access.admit(request)
        if match.auth is not Auth.CALLER:
            return match.handler(Context(request, self.backend), *match.arguments)
        caller = self.backend.access.caller(request)
        with self.turns.turn(_owner(request, caller)) as turn:
            if match.writes and caller.role < Role.MEMBER:
                raise forbidden("A reader may not change anything")
            context = Context(replace(request, turn=turn), self.backend, caller)
            return match.handler(context, *match.arguments)


def _owner(request: Request, caller: Caller) -> Owner:
    if not caller.is_admin:
        return Owner(Rank.OTHERS, caller.project)
    return Owner(Rank.ADMIN_READS if request.method == "GET" else Rank.ADMIN_WRITES, caller.project)
