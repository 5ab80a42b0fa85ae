"""Objects by what the user typed."""

from __future__ import annotations

from typing import TypeVar

from sgctl.cli.terminal import Failure
from sgctl.service.draft import Draft
from sgctl.service.names import Named, Unresolved, resolve

T = TypeVar("T", bound=Named)


def find(draft: Draft, kind: type[T], reference: str) -> T:
    """The object with this id or name. Raises Failure."""
    return find_all(draft, kind, [reference])[0]


def find_all(draft: Draft, kind: type[T], references: list[str]) -> list[T]:
    """The objects with these ids or names. Raises Failure listing every one that is not there."""
    found, missing = [], []
    for reference in references:
        try:
            found.append(resolve(draft, kind, reference))
        except Unresolved as error:
            missing.append(str(error))
    if missing:
        raise Failure(*missing)
    return found
