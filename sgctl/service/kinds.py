"""What the kinds of policy objects are called, and how one object is named in a message."""

from __future__ import annotations

from flows.model import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.service.subnets import Subnet

NOUNS: dict[type[object], str] = {
    Network: "network",
    SecurityGroup: "security group",
    AddressGroup: "address group",
    Rule: "rule",
    Port: "port",
    Subnet: "subnet",
}

MANIFEST_KINDS: dict[type[object], str] = {kind: kind.__name__ for kind in NOUNS}
"""The `kind` of a manifest; rules are part of their group's, subnets of their network's."""


def describe(obj: PolicyObject | Subnet) -> str:
    """`port web1`, `rule 17`: the object by its name, else by its number, CIDR or id."""
    if isinstance(obj, Subnet):
        return f"{NOUNS[Subnet]} {obj.name or obj.detail.prefix}"
    label = str(obj.number) if isinstance(obj, Rule) and obj.number else obj.name or obj.id
    return f"{NOUNS[type(obj)]} {label}"
