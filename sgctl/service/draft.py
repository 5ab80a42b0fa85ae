"""A working copy of the policy, in which edits are made and checked before they become changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar, cast

from flows.policy.objects import KINDS, Change, PolicyObject

Objects = Mapping[type[PolicyObject], Mapping[str, PolicyObject]]
"""Policy objects by kind and id, as `Store.objects` has them."""

Key = tuple[type[PolicyObject], str]
"""The kind and the id of an object."""

T = TypeVar("T", bound=PolicyObject)


class _Index(NamedTuple):
    """An index over an attribute; `many`: each member of the attribute is a key, instead of its value."""

    kind: type[object]
    attribute: str
    many: bool

    def values(self, obj: PolicyObject) -> Iterable[object]:
        value = getattr(obj, self.attribute)
        return value if self.many else (value,)


class Draft:
    """The objects of `base` with edits on top; `base` is never changed.

    `project` is the project of the user: names refer to its objects (`sgctl.service.names`). If `discreet` is
    set, messages do not name the objects of other projects.
    """

    def __init__(self, base: Objects, project: str = "", *, discreet: bool = False) -> None:
        self.project = project
        self.discreet = discreet
        self._base: dict[type[object], dict[str, PolicyObject]] = {
            kind: dict(base.get(kind, {})) for kind in KINDS
        }
        self._now = {kind: dict(objects) for kind, objects in self._base.items()}
        self._touched: dict[Key, None] = {}
        self._indexes: dict[_Index, dict[object, dict[str, None]]] = {}

    def get(self, kind: type[T], identifier: str) -> T | None:
        """The object with the edits so far, None if there is none."""
        return cast("T | None", self._now[kind].get(identifier))

    def before(self, kind: type[T], identifier: str) -> T | None:
        """The object without edits, None if there is none."""
        return cast("T | None", self._base[kind].get(identifier))

    def all(self, kind: type[T]) -> Iterator[T]:
        """Every object of a kind."""
        return cast("Iterator[T]", iter(self._now[kind].values()))

    def where(self, kind: type[T], attribute: str, value: object) -> list[T]:
        """The objects of a kind whose attribute equals the value. Indexed: repeated calls are cheap."""
        return self._look_up(kind, _Index(kind, attribute, many=False), value)

    def having(self, kind: type[T], attribute: str, member: object) -> list[T]:
        """The objects of a kind whose attribute, a collection, contains the member. Indexed."""
        return self._look_up(kind, _Index(kind, attribute, many=True), member)

    def _look_up(self, kind: type[T], index: _Index, value: object) -> list[T]:
        if index not in self._indexes:
            self._indexes[index] = {}
            for obj in self._now[kind].values():
                self._enter(index, obj)
        return [cast("T", self._now[kind][identifier]) for identifier in self._indexes[index].get(value, ())]

    def _enter(self, index: _Index, obj: PolicyObject) -> None:
        for value in index.values(obj):
            self._indexes[index].setdefault(value, {})[obj.id] = None

    def _unindex(self, kind: type[PolicyObject], identifier: str) -> None:
        old = self._now[kind].get(identifier)
        for index, entries in self._indexes.items():
            if old is not None and index.kind is kind:
                for value in index.values(old):
                    entries[value].pop(identifier, None)

    def put(self, obj: PolicyObject) -> None:
        """Add or replace an object."""
        self._unindex(type(obj), obj.id)
        self._now[type(obj)][obj.id] = obj
        self._touched[type(obj), obj.id] = None
        for index in self._indexes:
            if index.kind is type(obj):
                self._enter(index, obj)

    def remove(self, kind: type[PolicyObject], identifier: str) -> None:
        """Delete an object."""
        self._unindex(kind, identifier)
        if self._now[kind].pop(identifier, None) is not None:
            self._touched[kind, identifier] = None

    def changes(self) -> list[Change]:
        """The differences from the base. Kinds come in the order in which they depend on each other."""
        order = {kind: position for position, kind in enumerate(KINDS)}
        changes = [
            Change(self._base[kind].get(identifier), self._now[kind].get(identifier))
            for kind, identifier in sorted(self._touched, key=lambda key: order[key[0]])
        ]
        return [change for change in changes if change.old != change.new]
