"""Values and rules as text in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.policy.objects import HEADER_FIELDS


def sentence(rule: Mapping[str, Any]) -> str:
    """A rule's record in words, such as `ingress IPv4 tcp 80 from group web`."""
    protocol = "any protocol" if rule["protocol"] == "any" else rule["protocol"]
    preposition = "from" if rule["direction"] == "ingress" else "to"
    remote = "anywhere" if rule["remote"] == "any" else rule["remote"]
    marks = [
        f"with {field.meaning} {rule[field.name]}"
        for field in HEADER_FIELDS
        if field.name != "protocol" and rule[field.name] is not None
    ]
    parts = (rule["direction"], rule["ethertype"], protocol, rule["ports"], *marks, preposition, remote)
    return " ".join(str(part) for part in parts if part)


def show(value: object) -> str:
    """A value of a record."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(show, value))
    if isinstance(value, dict) and set(value) == {"start", "end"}:
        return f"{value['start']}-{value['end']}"
    if isinstance(value, dict):
        return " ".join(map(show, value.values()))
    return "" if value is None else str(value)
