"""The OpenAPI document of the API, written from its routes."""

from __future__ import annotations

from collections.abc import Iterable

from sgctl.attributes.value_types import Schema
from sgctl.rest.errors import ApiService, service_of
from sgctl.rest.http import Body
from sgctl.rest.resources import RESOURCES
from sgctl.rest.routing import PARAMETER, Route
from sgctl.rest.schemas import TAG, mapping

_REASONS = {
    400: "The request is invalid",
    401: "There is no valid token",
    403: "The role of the token does not permit this",
    404: "No such object, or an object that it refers to does not exist",
    409: "The address, name or number is taken, the object is in use, or a quota is exceeded",
    412: "The object has another revision",
    413: "The body is too large",
    429: "Too many requests",
    503: "The policy database cannot be reached",
}
_ALWAYS = (401, 403, 429, 503)

_TEXT: Schema = {"type": "string"}
_STATUS: Schema = {"type": "integer"}
_ERRORS: dict[ApiService, tuple[str, Schema]] = {
    ApiService.NETWORK: (
        "error",
        mapping(
            ["NeutronError"],
            NeutronError=mapping(["type", "message", "detail"], type=_TEXT, message=_TEXT, detail=_TEXT),
        ),
    ),
    ApiService.COMPUTE: (
        "compute_error",
        {
            "type": "object",
            "additionalProperties": mapping(["code", "message"], code=_STATUS, message=_TEXT),
            "minProperties": 1,
            "maxProperties": 1,
        },
    ),
    ApiService.IDENTITY: (
        "identity_error",
        mapping(
            ["error"],
            error=mapping(["code", "title", "message"], code=_STATUS, title=_TEXT, message=_TEXT),
        ),
    ),
}
"""Name and schema of the errors of each service."""

_PATH_SCHEMAS = {"tag": TAG}
"""Schemas of path parameters, where they are not any text."""


def document(routes: Iterable[Route]) -> Body:
    """OpenAPI 3.1."""
    paths: dict[str, Body] = {}
    for route in routes:
        item = paths.setdefault(route.path, _item(route.path))
        item[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sgctl",
            "version": "2.0",
            "description": "Security groups of the Neutron API v2.0 on plain Open vSwitch bridges, and what "
            "its clients need of the compute API v2.1 and the identity API v3.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {resource.singular: resource.schema.answer for resource in RESOURCES}
            | dict(_ERRORS.values()),
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
        "security": [{}, {"token": []}],
    }


def _item(path: str) -> Body:
    names = PARAMETER.findall(path)
    return {"parameters": [_path_parameter(name) for name in names]} if names else {}


def _path_parameter(name: str) -> Body:
    schema = _PATH_SCHEMAS.get(name, {"type": "string", "minLength": 1})
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation(route: Route) -> Body:
    success: Body = {"description": "Done"}
    if route.response is not None:
        success |= _content(route.response)
    responses: Body = {str(route.status): success}
    error = {"$ref": f"#/components/schemas/{_ERRORS[service_of(route.path)][0]}"}
    for status in sorted({*route.errors, *_ALWAYS}):
        responses[str(status)] = {"description": _REASONS[status], **_content(error)}
    operation: Body = {
        "summary": route.summary,
        "parameters": list(route.parameters),
        "responses": responses,
    }
    if route.request is not None:
        operation["requestBody"] = {"required": True, **_content(route.request)}
    return operation


def _content(schema: Schema) -> Body:
    return {"content": {"application/json": {"schema": schema}}}
