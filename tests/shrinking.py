"""Shrinks a counterexample: fewer objects with fewer fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Generic, TypeVar

from flows.policy.objects import Prefix

T = TypeVar("T")


class Unshown(Generic[T]):
    """A drawn value that Hypothesis does not print; its smallest form is printed instead."""

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "(see above)"


def shrink(start: T, steps: Callable[[T], Iterable[T]], still_fails: Callable[[T], bool]) -> T:
    """The smallest value, found step by step, for which `still_fails` holds."""
    progress = True
    while progress:
        progress = False
        for smaller in steps(start):
            if still_fails(smaller):
                start, progress = smaller, True
                break
    return start


def without_one(items: Sequence[T]) -> Iterator[list[T]]:
    """The list without one of its elements, tried from the end."""
    for index in reversed(range(len(items))):
        yield [*items[:index], *items[index + 1 :]]


def with_one_plainer(items: Sequence[T], plainer: Callable[[T], Iterable[T]]) -> Iterator[list[T]]:
    """The list with one element simplified."""
    for index, item in enumerate(items):
        for each in plainer(item):
            yield [*items[:index], each, *items[index + 1 :]]


def plainer_object(item: Any) -> Iterator[Any]:
    """The dataclass with one field at its default, or with one element less in a collection."""
    for field in fields(item):
        value, default = getattr(item, field.name), _default(field)
        if default is MISSING or value == default:
            continue
        yield replace(item, **{field.name: default})
        if isinstance(value, tuple | frozenset) and not isinstance(value, Prefix):
            for element in value:
                rest: Any = type(value)(other for other in value if other != element)
                yield replace(item, **{field.name: rest})


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def brief(value: object) -> str:
    """An object without the fields that have their default."""
    if not is_dataclass(value):
        return _shown(value)
    told = ((field, getattr(value, field.name)) for field in fields(value))
    parts = (f"{field.name}={_shown(each)}" for field, each in told if each != _default(field))
    return f"{type(value).__name__}({', '.join(parts)})"


def _shown(value: object) -> str:
    if isinstance(value, Prefix):
        return str(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple | frozenset):
        return f"[{', '.join(map(_shown, value))}]"
    return repr(value)
