"""Values for attributes that only their declarations handle, as JSON writes them."""

from __future__ import annotations

from typing import Any

from sgctl.attributes.attribute import Attribute


def good_values(attribute: Attribute) -> list[Any]:
    """All values of a flag or a choice, else values at the edges of what is allowed."""
    schema = attribute.value_type.schema
    if "enum" in schema:
        return list(schema["enum"])
    if "minimum" in schema:
        return [schema["minimum"], schema["maximum"]]
    return [True, False] if schema["type"] == "boolean" else ["null", "x" * schema["maxLength"]]


def wrong_values(attribute: Attribute) -> list[Any]:
    """Values beyond the edges, and of other types."""
    schema = attribute.value_type.schema
    if "enum" in schema:
        return ["something else", None, True]
    if "minimum" in schema:
        return [schema["minimum"] - 1, schema["maximum"] + 1, str(schema["maximum"]), 1.5, True]
    if schema["type"] == "boolean":
        return [None, "yes", 2]
    return ["x" * (schema["maxLength"] + 1), 5, ["x"], "bell \a", *([""] if "minLength" in schema else [])]
