"""The routes of one collection, from the schema of its resource."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sgctl.attributes.value_types import Schema
from sgctl.rest.collection import MAX_BULK, TAGS_BODY, Collection
from sgctl.rest.http import Body
from sgctl.rest.listing import CONTROLS
from sgctl.rest.resource import Resource
from sgctl.rest.routing import Route
from sgctl.rest.schemas import envelope, mapping

_IF_MATCH: Body = {
    "name": "If-Match",
    "in": "header",
    "description": "revision_number=N: only if the object still has this revision",
    "schema": {"type": "string", "pattern": "^revision_number=[0-9]{1,9}$"},
}
_WRITE_ERRORS = (400, 404, 409, 412)


def routes_of(resource: Resource[Any]) -> Iterator[Route]:
    """Every route below `/v2.0/PATH`."""
    collection = Collection(resource)
    path = f"/v2.0/{resource.path}"
    yield _list(collection, path)
    yield _create(collection, path)
    yield from _one(collection, f"{path}/{{id}}")
    yield from _actions(collection, f"{path}/{{id}}")
    yield from _tags(collection, f"{path}/{{id}}/tags")


def _list(collection: Collection[Any], path: str) -> Route:
    resource = collection.resource
    partial = {key: value for key, value in resource.schema.answer.items() if key != "required"}
    answer: Schema = {
        "type": "object",
        "properties": {
            resource.plural: {"type": "array", "items": partial},
            f"{resource.plural}_links": {"type": "array", "items": {"type": "object"}},
        },
        "required": [resource.plural],
    }
    return Route(
        "GET",
        path,
        collection.list_objects,
        f"List {resource.plural}",
        response=answer,
        parameters=tuple(_list_parameters(resource)),
        errors=(400, 404),
    )


def _query(name: str, schema: Schema) -> Body:
    return {"name": name, "in": "query", "schema": schema}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_FIELDS = _query("fields", _array(_TEXT))


def _list_parameters(resource: Resource[Any]) -> Iterator[Body]:
    yield _FIELDS
    for name in sorted(resource.schema.names - CONTROLS):
        yield _query(name, _array(_TEXT))
    yield _query("sort_key", _array({"type": "string", "enum": sorted(resource.schema.names)}))
    yield _query("sort_dir", _array({"enum": ["asc", "desc"]}))
    yield _query("limit", {"type": "integer", "minimum": 0, "maximum": 1_000_000})
    yield _query("marker", _TEXT)
    yield _query("page_reverse", {"type": "boolean"})


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _create(collection: Collection[Any], path: str) -> Route:
    singular, plural = collection.resource.singular, collection.resource.plural
    body, one = collection.resource.schema.request("c"), _reference(collection.resource)
    several: Schema = {"type": "array", "items": body, "minItems": 1, "maxItems": MAX_BULK}
    return Route(
        "POST",
        path,
        collection.create,
        f"Create one {singular} or several together",
        request={"oneOf": [mapping([singular], **{singular: body}), mapping([plural], **{plural: several})]},
        response={"anyOf": [_enveloped(collection.resource), mapping([plural], **{plural: _array(one)})]},
        status=201,
        errors=(400, 404, 409, 413),
    )


def _one(collection: Collection[Any], path: str) -> Iterator[Route]:
    singular, schema = collection.resource.singular, collection.resource.schema
    yield Route(
        "GET",
        path,
        collection.show,
        f"Show {_a(singular)}",
        response=envelope(singular),  # `fields` may leave out anything else
        parameters=(_FIELDS,),
        errors=(404,),
    )
    if schema.can_be_updated:
        yield Route(
            "PUT",
            path,
            collection.update,
            f"Change {_a(singular)}",
            request=mapping([singular], **{singular: schema.request("u")}),
            response=_enveloped(collection.resource),
            parameters=(_IF_MATCH,),
            errors=(*_WRITE_ERRORS, 413),
        )
    yield Route(
        "DELETE",
        path,
        collection.delete,
        f"Delete {_a(singular)}",
        status=204,
        parameters=(_IF_MATCH,),
        errors=_WRITE_ERRORS,
    )


def _actions(collection: Collection[Any], path: str) -> Iterator[Route]:
    for name, action in sorted(collection.resource.actions.items()):
        yield Route(
            "PUT",
            f"{path}/{name}",
            collection.handler_of(action),
            name,
            request=action.request,
            response=_enveloped(collection.resource),
            parameters=(_IF_MATCH,),
            errors=(*_WRITE_ERRORS, 413),
        )


def _tags(collection: Collection[Any], path: str) -> Iterator[Route]:
    one, condition = f"{path}/{{tag}}", (_IF_MATCH,)
    yield Route("GET", path, collection.list_tags, "Show the tags", response=TAGS_BODY, errors=(404,))
    yield Route(
        "PUT",
        path,
        collection.replace_tags,
        "Replace the tags",
        request=TAGS_BODY,
        response=TAGS_BODY,
        parameters=condition,
        errors=(400, 404, 412, 413),
    )
    for route_path, handler, summary in (
        (path, collection.remove_tags, "Remove all tags"),
        (one, collection.remove_tag, "Remove a tag"),
    ):
        yield Route(
            "DELETE",
            route_path,
            handler,
            summary,
            status=204,
            parameters=condition,
            errors=(400, 404, 412),
        )
    yield Route(
        "GET", one, collection.find_tag, "Check whether an object has a tag", status=204, errors=(404,)
    )
    yield Route(
        "PUT", one, collection.add_tag, "Add a tag", status=201, parameters=condition, errors=(400, 404, 412)
    )


def _reference(resource: Resource[Any]) -> Schema:
    return {"$ref": f"#/components/schemas/{resource.singular}"}


def _enveloped(resource: Resource[Any]) -> Schema:
    return mapping([resource.singular], **{resource.singular: _reference(resource)})
