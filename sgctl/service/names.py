"""Finding objects by the name or the id a user wrote."""

from __future__ import annotations

from typing import TypeVar

from flows.model import PolicyObject, Rule
from sgctl.service.draft import Draft
from sgctl.service.errors import Code
from sgctl.service.kinds import NOUNS

T = TypeVar("T", bound=PolicyObject)


class Unresolved(Exception):
    """No object, or more than one, answers to a reference; `code` says which."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def resolve(draft: Draft, kind: type[T], reference: str) -> T:
    """The object with this id, else the only one with this name (for a rule also: this number).

    Raises Unresolved.
    """
    by_id = draft.get(kind, reference)
    if by_id is not None:
        return by_id
    named = draft.where(kind, "name", reference) if reference else []
    if kind is Rule and reference.isascii() and reference.isdigit():
        named = draft.where(kind, "number", int(reference))
    if not named:
        raise Unresolved(Code.NOT_FOUND, f"there is no {NOUNS[kind]} {reference!r}")
    if len(named) > 1:
        ids = ", ".join(sorted(obj.id for obj in named))
        raise Unresolved(
            Code.AMBIGUOUS, f"{len(named)} {NOUNS[kind]}s are called {reference!r}; use an id: {ids}"
        )
    return named[0]


def reference_to(draft: Draft, kind: type[PolicyObject], identifier: str) -> str:
    """What `resolve` takes to find this object again: its name where that is enough, else its id."""
    obj = draft.get(kind, identifier)
    if isinstance(obj, Rule):
        return str(obj.number) if obj.number else identifier
    if obj is None or not obj.name:
        return identifier
    try:
        found = resolve(draft, kind, obj.name)
    except Unresolved:
        return identifier
    return obj.name if found.id == identifier else identifier
