"""What follows from the declarations of attributes that no code of their own handles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from flows.policy.objects import PolicyObject
from sgctl.attributes.attribute import Attribute, Place, Setter
from sgctl.attributes.declarations import ATTRIBUTES
from sgctl.attributes.value_types import Schema, same

Kind = type[PolicyObject]
Show = Callable[[PolicyObject], dict[str, Any]]

DEFAULTS: Mapping[Kind, Mapping[str, Any]] = {
    kind: {field.name: field.default for field in fields(kind)} for kind in ATTRIBUTES
}
"""The default of each field of each kind, as its class says."""


def plain(kind: Kind, place: Place) -> tuple[Attribute, ...]:
    """The attributes of a kind that only their declarations handle in this place."""
    return tuple(each for each in ATTRIBUTES[kind] if place not in each.explicit)


_STATED = {kind: plain(kind, Place.MANIFEST) for kind in ATTRIBUTES}
_REQUESTED = {kind: plain(kind, Place.REST) for kind in ATTRIBUTES}


def stated_values(kind: Kind, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a manifest states; a key that it leaves out stands for the default."""
    return {
        each.field: each.value_type.parse(spec[each.name])
        if each.name in spec
        else DEFAULTS[kind][each.field]
        for each in _STATED[kind]
    }


def exported_values(obj: PolicyObject) -> dict[str, Any]:
    """The keys of an object's manifest, without those that have their defaults."""
    kind = type(obj)
    return {
        each.name: each.value_type.show(value)
        for each in _STATED[kind]
        if (value := getattr(obj, each.field)) != DEFAULTS[kind][each.field]
    }


def in_order(kind: Kind, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a manifest in the order in which the attributes are declared."""
    return {each.name: keys[each.name] for each in ATTRIBUTES[kind] if each.name in keys}


def manifest_schemas(kind: Kind) -> dict[str, Schema]:
    """The JSON Schema of each key of a manifest."""
    return {each.name: _manifest_schema(kind, each) for each in _STATED[kind]}


def _manifest_schema(kind: Kind, attribute: Attribute) -> Schema:
    schema = attribute.value_type.schema
    if "enum" in schema:  # a second keyword would report a wrong value twice
        schema = {"enum": schema["enum"]}
    elif schema["type"] == "boolean":
        schema = {**schema, "default": DEFAULTS[kind][attribute.field]}
    return {"description": attribute.help} | schema


def requested_values(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the body of a request states."""
    return {
        each.field: each.value_type.parse(body[each.name]) for each in _REQUESTED[kind] if each.name in body
    }


def shown_by(kind: Kind, place: Place) -> Show:
    """A function from an object to its attributes as plain data, by Neutron's names."""
    attributes = plain(kind, place)
    entries = [(each.name, each.field) for each in attributes]
    converted = [(each.name, each.value_type.show) for each in attributes if each.value_type.show is not same]

    def shown(obj: PolicyObject) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, field in entries:  # faster than a comprehension; lists of the API are made of these
            values[name] = getattr(obj, field)
        for name, show in converted:
            values[name] = show(values[name])
        return values

    return shown


def reserved_to(kind: Kind, setter: Setter) -> tuple[Attribute, ...]:
    """The attributes of a kind that only such users may set over the REST API."""
    return tuple(each for each in ATTRIBUTES[kind] if each.setter is setter)
