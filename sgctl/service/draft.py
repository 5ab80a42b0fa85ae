"""A working copy of the policy, in which edits are made and checked before they become changes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Generic, TypeVar

from flows.policy.objects import KINDS, Change, PolicyObject
from sgctl.store.snapshot import FrozenTable, IndexKey, Objects, PolicySnapshot

T = TypeVar("T", bound=PolicyObject)


class EditedTable(Generic[T]):
    """The objects of one kind with edits on top of `base`, which is never changed."""

    def __init__(self, base: FrozenTable[T]) -> None:
        self.base = base
        self.edits: dict[str, T | None] = {}
        """By id: the new object, or None where it is deleted."""
        self._indexes: dict[IndexKey, dict[object, dict[str, T]]] = {}

    def get(self, identifier: str) -> T | None:
        """The object with the edits so far, None if there is none."""
        return self.edits[identifier] if identifier in self.edits else self.base.get(identifier)

    def values(self) -> Iterator[T]:
        """Every object; what is new comes last. Objects may be edited meanwhile."""
        if not self.edits:
            return self.base.values()
        new = [identifier for identifier in self.edits if identifier not in self.base.objects]
        found = (self.get(identifier) for identifier in chain(self.base.objects, new))
        return (obj for obj in found if obj is not None)

    def matching(self, key: IndexKey, value: object) -> list[T]:
        """The objects that have this value. Indexed; what is edited comes last."""
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = {}
            for obj in self.edits.values():
                _enter(index, key, obj)
        kept = (obj for obj in self.base.matching(key, value) if obj.id not in self.edits)
        return [*kept, *index.get(value, {}).values()]

    def put(self, identifier: str, obj: T | None) -> None:
        """Add or replace an object; None deletes it."""
        old = self.edits.get(identifier)
        for key, index in self._indexes.items():
            for value in key.values(old) if old is not None else ():
                index[value].pop(identifier, None)
            _enter(index, key, obj)
        self.edits[identifier] = obj

    def changes(self) -> Iterator[Change]:
        """The differences from the base."""
        for identifier, obj in self.edits.items():
            old = self.base.get(identifier)
            if old != obj:
                yield Change(old, obj)


def _enter(index: dict[object, dict[str, T]], key: IndexKey, obj: T | None) -> None:
    if obj is not None:
        for value in key.values(obj):
            index.setdefault(value, {})[obj.id] = obj


class Draft(Objects):
    """The objects of `base` with edits on top; `base` is never changed.

    `project` is the project of the user: names refer to its objects (`sgctl.service.names`). If `discreet` is
    set, messages do not name the objects of other projects.
    """

    def __init__(self, base: PolicySnapshot, project: str = "", *, discreet: bool = False) -> None:
        self.base = base
        self.project = project
        self.discreet = discreet
        self._tables: dict[type[object], EditedTable[Any]] = {
            kind: EditedTable(base.table(kind)) for kind in KINDS
        }

    def table(self, kind: type[T]) -> EditedTable[T]:
        """The objects of a kind."""
        table: EditedTable[T] = self._tables[kind]
        return table

    def before(self, kind: type[T], identifier: str) -> T | None:
        """The object without edits, None if there is none."""
        return self.base.get(kind, identifier)

    def put(self, obj: PolicyObject) -> None:
        """Add or replace an object."""
        self.table(type(obj)).put(obj.id, obj)

    def remove(self, kind: type[PolicyObject], identifier: str) -> None:
        """Delete an object."""
        table = self.table(kind)
        if table.get(identifier) is not None:
            table.put(identifier, None)

    def changes(self) -> list[Change]:
        """The differences from the base. Kinds come in the order in which they depend on each other."""
        return [change for kind in KINDS for change in self.table(kind).changes()]
