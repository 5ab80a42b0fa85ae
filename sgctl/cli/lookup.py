"""Objects by the name or id that the user typed."""

from __future__ import annotations

from typing import TypeVar

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.cli import kinds
from sgctl.cli.output.terminal import Failure
from sgctl.service.draft import Draft
from sgctl.service.names import Named, Unresolved, resolve
from sgctl.service.subnets import Subnet

T = TypeVar("T", bound=Named)

CLASSES: dict[kinds.ObjectKind, type[PolicyObject]] = {
    kinds.NETWORKS: Network,
    kinds.ADDRESS_GROUPS: AddressGroup,
    kinds.SECURITY_GROUPS: SecurityGroup,
    kinds.RULES: Rule,
    kinds.PORTS: Port,
}
NAMED: dict[kinds.ObjectKind, type[Named]] = {**CLASSES, kinds.SUBNETS: Subnet}
"""What has a name: objects, and the parts of objects that have names of their own."""


def find(draft: Draft, kind: type[T], reference: str) -> T:
    """The object with this id or name. Raises Failure."""
    return find_all(draft, kind, [reference])[0]


def find_all(draft: Draft, kind: type[T], references: list[str]) -> list[T]:
    """The objects with these ids or names. Raises Failure, with a line for each that does not exist."""
    found, missing = [], []
    for reference in references:
        try:
            found.append(resolve(draft, kind, reference))
        except Unresolved as error:
            missing.append(str(error))
    if missing:
        raise Failure(*missing)
    return found
