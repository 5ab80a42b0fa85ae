"""Rules in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sentence(rule: Mapping[str, Any]) -> str:
    """`ingress IPv4 tcp 80 from group web`: a rule's record as people say it."""
    protocol = "any protocol" if rule["protocol"] == "any" else rule["protocol"]
    preposition = "from" if rule["direction"] == "ingress" else "to"
    remote = "anywhere" if rule["remote"] == "any" else rule["remote"]
    parts = (rule["direction"], rule["ethertype"], protocol, rule["ports"], preposition, remote)
    return " ".join(str(part) for part in parts if part)
