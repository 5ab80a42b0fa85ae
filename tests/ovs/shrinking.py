"""Making a counterexample small enough to read: fewer objects, and in them fewer fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from typing import Any

from flows.model import Network, PolicyObject, Prefix

Objects = list[PolicyObject]


def shrink(objects: Objects, still_fails: Callable[[Objects], bool]) -> Objects:
    """The smallest policy, step by step, for which `still_fails` holds."""
    progress = True
    while progress:
        progress = False
        for smaller in _steps(objects):
            if _fails(smaller, still_fails):
                objects, progress = smaller, True
                break
    return objects


def _fails(objects: Objects, still_fails: Callable[[Objects], bool]) -> bool:
    try:
        return still_fails(objects)
    except KeyError:  # the packet's port or network was taken away
        return False


def _steps(objects: Objects) -> Iterator[Objects]:
    for index, each in enumerate(objects):
        before, after = objects[:index], objects[index + 1 :]
        if not isinstance(each, Network):
            yield before + after
        for plainer in _plainer(each):
            yield [*before, plainer, *after]


def _plainer(each: PolicyObject) -> Iterator[PolicyObject]:
    """The object with one field at its default, or with one element less in a collection."""
    for field in fields(each):
        value, default = getattr(each, field.name), _default(field)
        if default is MISSING or value == default:
            continue
        yield replace(each, **{field.name: default})
        if isinstance(value, tuple | frozenset) and not isinstance(value, Prefix):
            for element in value:
                rest: Any = type(value)(other for other in value if other != element)
                yield replace(each, **{field.name: rest})


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def brief(value: object) -> str:
    """An object or packet without what is at its default."""
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
