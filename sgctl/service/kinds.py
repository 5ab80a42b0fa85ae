"""The names of the kinds of policy objects, and the description of one object in messages."""

from __future__ import annotations

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
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
"""The `kind` of manifests. Group manifests contain rules, network manifests contain subnets."""


def describe(obj: PolicyObject | Subnet) -> str:
    """The object by its name, else by its number, CIDR or id: `port web1`, `rule 17`."""
    if isinstance(obj, Subnet):
        return f"{NOUNS[Subnet]} {obj.name or obj.detail.prefix}"
    label = str(obj.number) if isinstance(obj, Rule) and obj.number else obj.name or obj.id
    return f"{NOUNS[type(obj)]} {label}"
