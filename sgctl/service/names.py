"""Finding objects by the name or the id a user wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, cast

from flows.model import Network, PolicyObject, Rule
from sgctl.service.draft import Draft
from sgctl.service.errors import Code
from sgctl.service.kinds import NOUNS
from sgctl.service.subnets import Subnet, subnets_of

Named = PolicyObject | Subnet
"""What has a name and an id."""

T = TypeVar("T", bound=Named)


class Unresolved(Exception):
    """No object, or more than one, answers to a reference; `code` says which."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def all_of(draft: Draft, kind: type[T]) -> Iterator[T]:
    """Every object of a kind."""
    if kind is Subnet:
        return cast("Iterator[T]", subnets_of(draft.all(Network)))
    return draft.all(cast("type[Any]", kind))


def by_id(draft: Draft, kind: type[T], identifier: str) -> T | None:
    """The object with this id."""
    if kind is Subnet:
        return next((each for each in all_of(draft, kind) if each.id == identifier), None)
    return cast("T | None", draft.get(cast("type[Any]", kind), identifier))


def resolve(draft: Draft, kind: type[T], reference: str) -> T:
    """The object with this id, else the only one with this name (a rule: this number, a subnet: this CIDR).

    Raises Unresolved.
    """
    found = by_id(draft, kind, reference)
    if found is not None:
        return found
    named = _named(draft, kind, reference) if reference else []
    if not named:
        raise Unresolved(Code.NOT_FOUND, f"there is no {NOUNS[kind]} {reference!r}")
    if len(named) > 1:
        ids = ", ".join(sorted(obj.id for obj in named))
        raise Unresolved(
            Code.AMBIGUOUS, f"{len(named)} {NOUNS[kind]}s are called {reference!r}; use an id: {ids}"
        )
    return named[0]


def _named(draft: Draft, kind: type[T], reference: str) -> list[T]:
    if kind is Subnet:
        subnets = list(subnets_of(draft.all(Network)))
        named = [each for each in subnets if each.name == reference]
        return cast("list[T]", named or [each for each in subnets if str(each.detail.prefix) == reference])
    if kind is Rule and reference.isascii() and reference.isdigit():
        return cast("list[T]", draft.where(Rule, "number", int(reference)))
    return cast("list[T]", draft.where(cast("type[Any]", kind), "name", reference))


def reference_to(draft: Draft, kind: type[Named], identifier: str) -> str:
    """What `resolve` takes to find this object again: its name where that is enough, else its id."""
    obj = by_id(draft, kind, identifier)
    if isinstance(obj, Rule):
        return str(obj.number) if obj.number else identifier
    label = str(obj.detail.prefix) if isinstance(obj, Subnet) and not obj.name else obj.name if obj else ""
    if not label:
        return identifier
    try:
        found = resolve(draft, kind, label)
    except Unresolved:
        return identifier
    return label if found.id == identifier else identifier
