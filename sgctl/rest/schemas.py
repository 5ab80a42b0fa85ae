"""Attributes of the API's resources as JSON Schema, from which bodies are checked and OpenAPI is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flows.policy.objects import PolicyObject
from sgctl.attributes.attribute import Place
from sgctl.attributes.plain import plain
from sgctl.attributes.value_types import UUID, Schema
from sgctl.rest.errors import ApiError, bad_request
from sgctl.rest.http import Body, Json, Request

TEXT: Schema = {"type": "string", "maxLength": 255}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "integer"}
TIME: Schema = {"type": "string"}
TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]+$"}
TAGS: Schema = {"type": "array", "items": TAG, "maxItems": 50}
ADDRESS: Schema = {"type": "string", "maxLength": 64}


def list_of(items: Schema, most: int = 1000) -> Schema:
    """An array."""
    return {"type": "array", "items": items, "maxItems": most}


def mapping(required: Iterable[str] = (), **properties: Schema) -> Schema:
    """An object with these properties only."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def envelope(name: str, kind: str = "object") -> Schema:
    """An object with one property; of its content, only the JSON type is described."""
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}


@dataclass(frozen=True)
class ResourceAttribute:
    """One attribute: `on` holds `c` when it can be given on creation, `u` when it can be updated."""

    name: str
    schema: Schema
    on: str = ""


def read_only(**schemas: Schema) -> list[ResourceAttribute]:
    """Attributes that occur only in responses."""
    return [ResourceAttribute(name, schema) for name, schema in schemas.items()]


def given_once(**schemas: Schema) -> list[ResourceAttribute]:
    """Attributes that are set on creation and never changed."""
    return [ResourceAttribute(name, schema, "c") for name, schema in schemas.items()]


def editable(**schemas: Schema) -> list[ResourceAttribute]:
    """Attributes that can be given on creation and changed later."""
    return [ResourceAttribute(name, schema, "cu") for name, schema in schemas.items()]


def declared(kind: type[PolicyObject]) -> list[ResourceAttribute]:
    """The attributes that only their declarations handle."""
    return [
        ResourceAttribute(each.name, each.value_type.schema | {"description": each.help}, each.access.value)
        for each in plain(kind, Place.REST)
    ]


STANDARD = (
    *read_only(id=UUID),
    *given_once(project_id=TEXT, tenant_id=TEXT),
    *read_only(tags=TAGS, created_at=TIME, updated_at=TIME, revision_number=NUMBER),
)
"""What every resource has."""


@dataclass(frozen=True)
class ResourceSchema:
    """All attributes of a resource; `required` on creation."""

    attributes: tuple[ResourceAttribute, ...]
    required: tuple[str, ...] = ()

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all attributes."""
        return frozenset(attribute.name for attribute in self.attributes)

    @property
    def can_be_updated(self) -> bool:
        """Whether any attribute can be changed after creation."""
        return any("u" in attribute.on for attribute in self.attributes)

    def request(self, step: str) -> Schema:
        """The schema of a body: `step` is `c` for creation, `u` for update."""
        given = {each.name: each.schema for each in self.attributes if step in each.on}
        return mapping(self.required if step == "c" else (), **given)

    @property
    def answer(self) -> Schema:
        """The schema of an object in a response."""
        shown = {each.name: each.schema for each in self.attributes if each.name != "tenant_id"}
        return {"type": "object", "properties": {**shown, "tenant_id": TEXT}, "required": sorted(self.names)}

    @cached_property
    def _checkers(self) -> Mapping[str, Checker]:
        return {step: Checker(self.request(step)) for step in "cu"}

    def check(self, body: Json, step: str) -> Body:
        """The body, if it has the right shape. Raises ApiError 400."""
        return check(self._checkers[step], body, self.names)


def read_json(request: Request) -> Json:
    """The request's body. Raises ApiError 400."""
    try:
        return json.loads(request.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise bad_request("Malformed request body: it must be JSON") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


class Checker:
    """A schema for bodies. The library is loaded with the first one, so the controller starts without it."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import Draft202012Validator  # noqa: PLC0415

        return Draft202012Validator(self.schema)

    def error(self, body: Json) -> Any:
        """The library's first error, None for a body that the schema allows.

        Raises ApiError 400 for a body so deeply nested that the library cannot write it into an error.
        """
        try:
            return next(self._validator.iter_errors(body), None)
        except RecursionError:
            raise bad_request("Malformed request body: it is nested too deeply") from None


def check(checker: Checker, body: Json, known: frozenset[str] = frozenset()) -> Body:
    """The body, if the schema allows it. Raises ApiError 400 naming the attribute."""
    if (error := checker.error(body)) is not None:
        raise _refuse(error, known)
    assert isinstance(body, dict)
    return body


def _refuse(error: Any, known: frozenset[str]) -> ApiError:
    path = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and not path:
        extra = sorted(set(error.instance) - set(error.schema["properties"]))
        fixed = [name for name in extra if name in known]
        if fixed:
            return bad_request(f"Attribute '{fixed[0]}' cannot be set here")
        return bad_request(f"Unrecognized attribute(s) '{', '.join(name[:64] for name in extra[:5])}'")
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return bad_request(f"Failed to parse request. Required attribute '{missing[0]}' not specified")
    reason = error.message if len(error.message) < 200 else f"{error.message[:200]}…"
    return bad_request(f"Invalid input for {path or 'the body'}. Reason: {reason}.")
