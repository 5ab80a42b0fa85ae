"""All routes of the API."""

from __future__ import annotations

from functools import cache

from sgctl.rest import compute, discovery, identity, openapi, quotas
from sgctl.rest.collection_routes import routes_of
from sgctl.rest.http import Response, reply
from sgctl.rest.resources import RESOURCES
from sgctl.rest.routing import Auth, Context, Route


def _openapi(_: Context) -> Response:
    return _openapi_response()


@cache
def _openapi_response() -> Response:
    return reply(openapi.document(ROUTES))


ROUTES: tuple[Route, ...] = (
    *discovery.ROUTES,
    Route("GET", "/openapi.json", _openapi, "This document", response={"type": "object"}, auth=Auth.NONE),
    *quotas.ROUTES,
    *(route for resource in RESOURCES for route in routes_of(resource)),
    *compute.ROUTES,
    *identity.ROUTES,
)
