"""The policy at one moment, immutable. Each kind of object has a typed table with indexes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from flows.policy.objects import KINDS, PolicyObject

T = TypeVar("T", bound=PolicyObject)
T_co = TypeVar("T_co", bound=PolicyObject, covariant=True)

Key = tuple[type[PolicyObject], str]
"""The kind and the id of an object."""


class IndexKey(NamedTuple):
    """The attribute that an index is made for; `many`: each member of it is a value, instead of all of it."""

    name: str
    many: bool = False

    def values(self, obj: PolicyObject) -> Iterable[object]:
        """The values by which the object is found."""
        value = getattr(obj, self.name)
        return value if self.many else (value,)


class ObjectTable(Protocol[T_co]):
    """The objects of one kind."""

    def get(self, identifier: str) -> T_co | None:
        """The object with this id, None if there is none."""

    def values(self) -> Iterator[T_co]:
        """Every object."""

    def matching(self, key: IndexKey, value: object) -> Iterable[T_co]:
        """The objects that have this value. Indexed: repeated calls are cheap."""


class Objects(ABC):
    """Policy objects to read: of a snapshot, or of a draft on top of one."""

    @abstractmethod
    def table(self, kind: type[T]) -> ObjectTable[T]:
        """The objects of a kind."""

    def get(self, kind: type[T], identifier: str) -> T | None:
        """The object with this id, None if there is none."""
        return self.table(kind).get(identifier)

    def all(self, kind: type[T]) -> Iterator[T]:
        """Every object of a kind."""
        return self.table(kind).values()

    def where(self, kind: type[T], attribute: str, value: object) -> list[T]:
        """The objects of a kind whose attribute equals the value. Indexed: repeated calls are cheap."""
        return list(self.table(kind).matching(IndexKey(attribute), value))

    def having(self, kind: type[T], attribute: str, member: object) -> list[T]:
        """The objects of a kind whose attribute, a collection, contains the member. Indexed."""
        return list(self.table(kind).matching(IndexKey(attribute, many=True), member))

    def everything(self) -> Iterator[PolicyObject]:
        """Every object, after those it refers to."""
        for kind in KINDS:
            yield from self.all(kind)


_Index = dict[object, tuple[T, ...]]
"""The objects with each value of an attribute."""

_WORTH_KEEPING = 4
"""If more than one of so many objects changes, indexes are not brought up to date but built anew."""


class FrozenTable(Generic[T]):
    """The objects of one kind at one moment. Indexes are built when they are first used."""

    def __init__(self, objects: Mapping[str, T]) -> None:
        """`objects` must never change."""
        self.objects = objects
        self._indexes: dict[IndexKey, _Index[T]] = {}

    def get(self, identifier: str) -> T | None:
        """The object with this id, None if there is none."""
        return self.objects.get(identifier)

    def values(self) -> Iterator[T]:
        """Every object."""
        return iter(self.objects.values())

    def matching(self, key: IndexKey, value: object) -> tuple[T, ...]:
        """The objects that have this value. Indexed: repeated calls are cheap."""
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = _built(key, self.objects.values())
        return index.get(value, ())

    def edited(self, edits: Mapping[str, T | None]) -> FrozenTable[T]:
        """The table after edits: by id, the new object, or None where it is deleted."""
        objects = dict(self.objects)
        for identifier, obj in edits.items():
            if obj is not None:
                objects[identifier] = obj
            else:
                objects.pop(identifier, None)
        table = FrozenTable(objects)
        if len(edits) * _WORTH_KEEPING <= len(objects):
            for key, index in self._indexes.copy().items():
                table._indexes[key] = self._brought_up_to_date(key, index, edits)
        return table

    def _brought_up_to_date(
        self, key: IndexKey, index: _Index[T], edits: Mapping[str, T | None]
    ) -> _Index[T]:
        index = dict(index)
        old = [self.objects[identifier] for identifier in edits if identifier in self.objects]
        for value in {value for obj in old for value in key.values(obj)}:
            kept = tuple(obj for obj in index[value] if obj.id not in edits)
            if kept:
                index[value] = kept
            else:
                del index[value]
        for value, added in _built(key, (obj for obj in edits.values() if obj is not None)).items():
            index[value] = (*index.get(value, ()), *added)
        return index


def _built(key: IndexKey, objects: Iterable[T]) -> _Index[T]:
    found: dict[object, list[T]] = {}
    for obj in objects:
        for value in key.values(obj):
            found.setdefault(value, []).append(obj)
    return {value: tuple(each) for value, each in found.items()}


class PolicySnapshot(Objects):
    """The policy's objects at one moment. `generation` counts the commits up to then."""

    def __init__(self, objects: Mapping[type[PolicyObject], Mapping[str, Any]], generation: int = 0) -> None:
        """`objects` are the objects of each kind by id; kinds may be missing."""
        self.generation = generation
        self._tables: dict[type[object], FrozenTable[Any]] = {
            kind: FrozenTable(dict(objects.get(kind, {}))) for kind in KINDS
        }

    def table(self, kind: type[T]) -> FrozenTable[T]:
        """The objects of a kind."""
        table: FrozenTable[T] = self._tables[kind]
        return table

    def __getitem__(self, kind: type[T]) -> Mapping[str, T]:
        """The objects of a kind by id."""
        return self.table(kind).objects

    @property
    def size(self) -> int:
        """The number of objects of all kinds."""
        return sum(len(table.objects) for table in self._tables.values())

    def edited(self, edits: Iterable[tuple[Key, PolicyObject | None]], generation: int) -> PolicySnapshot:
        """The snapshot after edits: new objects, or None for a deleted one, by kind and id."""
        of_kind: dict[type[object], dict[str, PolicyObject | None]] = {}
        for (kind, identifier), obj in edits:
            of_kind.setdefault(kind, {})[identifier] = obj
        snapshot = PolicySnapshot({}, generation)
        snapshot._tables = {
            kind: table.edited(of_kind[kind]) if kind in of_kind else table
            for kind, table in self._tables.items()
        }
        return snapshot
