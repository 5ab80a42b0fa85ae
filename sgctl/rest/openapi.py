"""The OpenAPI document of the API, made from the same schemas that check its requests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sgctl.rest.http import Body, Response, reply
from sgctl.rest.listing import CONTROLS
from sgctl.rest.quotas import BODY as QUOTA
from sgctl.rest.resource import Resource
from sgctl.rest.resources import RESOURCES
from sgctl.rest.resources.address_groups import ADDRESSES_BODY
from sgctl.rest.schemas import TAG, TAGS, Schema, mapping

_ID: Body = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_TAG: Body = {"name": "tag", "in": "path", "required": True, "schema": TAG}
_IF_MATCH: Body = {
    "name": "If-Match",
    "in": "header",
    "description": "revision_number=N: only if the object still has this revision",
    "schema": {"type": "string", "pattern": "^revision_number=[0-9]{1,9}$"},
}
_ERROR = mapping(
    ["NeutronError"],
    NeutronError=mapping(
        ["type", "message", "detail"],
        type={"type": "string"},
        message={"type": "string"},
        detail={"type": "string"},
    ),
)
_WHY = {
    400: "The request makes no sense",
    401: "No valid token",
    403: "The token's role does not reach that far",
    404: "No such object, or an object that it refers to does not exist",
    405: "The object is not changed this way",
    409: "The address, name or number is taken, the object is in use, or the quota exceeded",
    412: "The object has another revision",
    413: "The body is too large",
    429: "Too many requests",
    503: "The policy database cannot be reached",
}
_ALWAYS = (401, 403, 429, 503)


@cache
def response() -> Response:
    """The document as an answer, written once."""
    return reply(document())


def document() -> Body:
    """OpenAPI 3.1."""
    paths: Body = {}
    for resource in RESOURCES:
        paths.update(_paths(resource))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sgctl",
            "version": "2.0",
            "description": "Security groups of the Neutron API v2.0 on plain Open vSwitch bridges.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**_discovery(), **paths},
        "components": {
            "schemas": {resource.singular: resource.shape.answer for resource in RESOURCES}
            | {"error": _ERROR},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
        "security": [{}, {"token": []}],
    }


def _discovery() -> Body:
    found: Body = {}
    for path, about in {
        "/": "Versions",
        "/v2.0": "The version",
        "/v2.0/extensions": "Extensions",
        "/v2.0/quotas": "Limits of the projects that have some of their own",
        "/v2.0/quotas/{id}": "Limits of a project",
        "/v2.0/quotas/{id}/default": "Limits of projects that have none of their own",
        "/v2.0/quotas/{id}/details": "Limits of a project, and what it uses",
    }.items():
        parameters = [_ID] if "{id}" in path else []
        found[path] = {"get": _operation(about, parameters, 200, {"type": "object"}, errors=(404,))}
    quota = found["/v2.0/quotas/{id}"]
    answer: Schema = {"type": "object", "properties": {"quota": {"type": "object"}}, "required": ["quota"]}
    quota["put"] = _operation("Set limits of a project", [_ID], 200, answer, QUOTA, (400, 413))
    quota["delete"] = _operation("Let a project have the default limits", [_ID], 204, errors=(400, 404))
    return found


def _paths(resource: Resource[Any]) -> Iterator[tuple[str, Body]]:
    base = f"/v2.0/{resource.path}"
    one: Schema = {"$ref": f"#/components/schemas/{resource.singular}"}
    enveloped = mapping([resource.singular], **{resource.singular: one})
    yield base, {"get": _list(resource, one), "post": _create(resource, one)}
    item: Body = {
        "parameters": [_ID],
        "get": _operation(
            f"Show a {resource.singular}", [_FIELDS], 200, _loose(resource.singular), errors=(404,)
        ),
        "delete": _operation(f"Delete a {resource.singular}", [_IF_MATCH], 204, errors=(400, 404, 409, 412)),
    }
    if any("u" in attribute.on for attribute in resource.shape.attributes):
        body = mapping([resource.singular], **{resource.singular: resource.shape.request("u")})
        item["put"] = _operation(
            f"Change a {resource.singular}", [_IF_MATCH], 200, enveloped, body, (400, 404, 409, 412, 413)
        )
    yield f"{base}/{{id}}", item
    for action in sorted(resource.actions):
        change = _operation(action, [_IF_MATCH], 200, enveloped, ADDRESSES_BODY, (400, 404, 409, 412, 413))
        yield f"{base}/{{id}}/{action}", {"parameters": [_ID], "put": change}
    yield from _tag_paths(base)


def _tag_paths(base: str) -> Iterator[tuple[str, Body]]:
    tags = mapping(["tags"], tags=TAGS)
    yield (
        f"{base}/{{id}}/tags",
        {
            "parameters": [_ID],
            "get": _operation("Show the tags", [], 200, tags, errors=(404,)),
            "put": _operation("Replace the tags", [], 200, tags, tags, (400, 404, 413)),
            "delete": _operation("Remove all tags", [], 204, errors=(404,)),
        },
    )
    yield (
        f"{base}/{{id}}/tags/{{tag}}",
        {
            "parameters": [_ID, _TAG],
            "get": _operation("Look for a tag", [], 204, errors=(404,)),
            "put": _operation("Add a tag", [], 201, errors=(400, 404)),
            "delete": _operation("Remove a tag", [], 204, errors=(404,)),
        },
    )


_FIELDS: Body = {"name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}


def _list(resource: Resource[Any], one: Schema) -> Body:
    parameters = [_FIELDS]
    text: Schema = {"type": "string"}
    several: Schema = {"type": "array", "items": text}
    names_here = sorted(resource.shape.names - CONTROLS)
    parameters += [{"name": name, "in": "query", "schema": several} for name in names_here]
    names = {"type": "string", "enum": sorted(resource.shape.names)}
    parameters += [
        {"name": "sort_key", "in": "query", "schema": {"type": "array", "items": names}},
        {"name": "sort_dir", "in": "query", "schema": {"type": "array", "items": {"enum": ["asc", "desc"]}}},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 1_000_000}},
        {"name": "marker", "in": "query", "schema": text},
        {"name": "page_reverse", "in": "query", "schema": {"type": "boolean"}},
    ]
    partial = {key: value for key, value in resource.shape.answer.items() if key != "required"}
    answer = {
        "type": "object",
        "properties": {
            resource.plural: {"type": "array", "items": partial},
            f"{resource.plural}_links": {"type": "array", "items": {"type": "object"}},
        },
        "required": [resource.plural],
    }
    assert one
    return _operation(f"List {resource.plural}", parameters, 200, answer, errors=(400, 404))


def _create(resource: Resource[Any], one: Schema) -> Body:
    body = resource.shape.request("c")
    single = mapping([resource.singular], **{resource.singular: body})
    many = mapping(
        [resource.plural],
        **{resource.plural: {"type": "array", "items": body, "minItems": 1, "maxItems": 1000}},
    )
    answer = {
        "anyOf": [
            mapping([resource.singular], **{resource.singular: one}),
            mapping([resource.plural], **{resource.plural: {"type": "array", "items": one}}),
        ]
    }
    about = f"Create one {resource.singular} or several together"
    return _operation(about, [], 201, answer, {"oneOf": [single, many]}, (400, 404, 409, 413))


def _loose(name: str) -> Schema:
    """An object of which `fields` may have left out something."""
    return {"type": "object", "properties": {name: {"type": "object"}}, "required": [name]}


def _operation(
    summary: str,
    parameters: list[Body],
    status: int,
    answer: Schema | None = None,
    body: Schema | None = None,
    errors: tuple[int, ...] = (),
) -> Body:
    content = {"content": {"application/json": {"schema": answer}}} if answer is not None else {}
    responses: Body = {str(status): {"description": "Done", **content}}
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}}
    for number in sorted({*errors, *_ALWAYS}):
        responses[str(number)] = {"description": _WHY[number], **error}
    operation: Body = {"summary": summary, "parameters": parameters, "responses": responses}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation
