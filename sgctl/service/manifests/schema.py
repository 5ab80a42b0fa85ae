"""Validates a document against the JSON Schema of its kind, with error messages in plain words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from sgctl.service.manifests.documents import MANIFEST_KINDS, Document
from sgctl.service.manifests.yaml_reader import Path

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


Problem = tuple[Path, str]
"""The path of a value, and what is wrong with the value."""


def check(document: Document) -> list[Problem]:
    """All schema errors of the document, sorted by path."""
    if not isinstance(document.data, dict):
        return [((), f"a document is a mapping, not {_shown(document.data)}")]
    kind = document.kind
    if kind is None:
        return [_unknown_kind(document.data)]
    errors = _validator(kind.schema).iter_errors(document.data)
    return sorted({problem for error in errors for problem in _explain(error)}, key=_order)


def _order(problem: Problem) -> list[tuple[int, str]]:
    """A sort key: fields by name, list items by position."""
    return [(step, "") if isinstance(step, int) else (-1, step) for step in problem[0]]


def _unknown_kind(data: dict[str, object]) -> Problem:
    missing = next((key for key in ("apiVersion", "kind") if key not in data), None)
    if missing is not None:
        return (missing,), "is missing"
    known = ", ".join(f"{kind} of {version}" for version, kind in MANIFEST_KINDS)
    stated = f"{_shown(data['kind'])} of {_shown(data['apiVersion'])}"
    return ("kind",), f"{stated} is not known; there is {known}"


def valid_part(document: Document, problems: list[Problem]) -> Document | None:
    """The document without its invalid values; an invalid rule is replaced with None as a whole.

    The result may only be checked further, never applied. None if required parts are missing.
    """
    if document.kind is None or any(len(path) < 2 for path, _ in problems):
        return None
    data: Any = copy.deepcopy(document.data)
    for path, _ in problems:
        is_rule = path[:2] == ("spec", "rules") and len(path) > 2
        if is_rule:
            data["spec"]["rules"][path[2]] = None
        else:
            data[str(path[0])].pop(path[1], None)
    required = schema(document.kind.schema)["properties"].get("spec", {}).get("required", ())
    if not all(key in data["spec"] for key in required):
        return None
    return replace(document, data=data)


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema with this file name in `sgctl/schemas`."""
    text = files("sgctl").joinpath("schemas", name).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator(name: str) -> Draft202012Validator:
    common: Resource[Mapping[str, object]] = Resource.from_contents(schema("common.json"))
    registry: Registry[Mapping[str, object]] = Registry()
    return Draft202012Validator(schema(name), registry=registry.with_resource("common.json", common))


@dataclass(frozen=True, slots=True)
class _SchemaError:
    """A schema keyword that a value violates; `allowed` is the value of the keyword."""

    keyword: str
    allowed: Any
    schema: Any
    value: Any


def _explain(error: ValidationError) -> Iterator[Problem]:
    path: Path = tuple(error.absolute_path)
    breach = _SchemaError(str(error.validator), error.validator_value, error.schema, error.instance)
    if breach.keyword == "required":
        for key in breach.allowed:
            if key not in breach.value:
                yield (*path, key), "is missing"
    elif breach.keyword == "additionalProperties":
        known = list(breach.schema.get("properties", {}))
        for key in breach.value:
            if key not in known:
                yield (*path, key), _unknown_key(key, known)
    else:
        explain = _MESSAGES.get(breach.keyword)
        yield path, breach.schema.get("x-message") or (explain(breach) if explain else error.message)


def _unknown_key(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"is not a known key; {hint}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value, ensure_ascii=False)


def _type(breach: _SchemaError) -> str:
    names = [breach.allowed] if isinstance(breach.allowed, str) else breach.allowed
    wanted = " or ".join(_TYPES[name] for name in names if name != "null")
    quote = "; quote it" if "string" in names and isinstance(breach.value, (int, bool)) else ""
    return f"must be {wanted}, not {_shown(breach.value)}{quote}"


def _enum(breach: _SchemaError) -> str:
    return f"must be {' or '.join(map(str, breach.allowed))}, not {_shown(breach.value)}"


def _range(breach: _SchemaError) -> str:
    return f"must be from {breach.schema['minimum']} to {breach.schema['maximum']}, not {breach.value}"


_MESSAGES: dict[str, Callable[[_SchemaError], str]] = {
    "type": _type,
    "enum": _enum,
    "minimum": _range,
    "maximum": _range,
    "minLength": lambda _: "must not be empty",
    "maxLength": lambda breach: f"is longer than {breach.allowed} characters",
    "uniqueItems": lambda _: "holds the same value twice",
    "minProperties": lambda breach: f"needs one of {', '.join(breach.schema['properties'])}",
    "maxProperties": lambda breach: f"takes only one of {', '.join(breach.schema['properties'])}",
}
