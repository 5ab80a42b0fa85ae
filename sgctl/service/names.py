"""Looks up objects by the name or id that a user gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from flows.policy.objects import KINDS, AddressGroup, Network, PolicyObject, Rule, SecurityGroup
from sgctl.service.draft import Draft
from sgctl.service.errors import Code
from sgctl.service.kinds import NOUNS, describe
from sgctl.service.subnets import Subnet, subnets_of
from sgctl.store.snapshot import Objects

Named = PolicyObject | Subnet
"""An object with a name and an id."""

T = TypeVar("T", bound=Named)
P = TypeVar("P", bound=PolicyObject)


class Unresolved(Exception):
    """A reference matches no object or more than one; `code` tells which."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _LookUp(NamedTuple, Generic[T]):
    """How the objects of a kind are found: all of them, one by its id, those that a user calls so."""

    all: Callable[[Objects], Iterator[T]]
    by_id: Callable[[Objects, str], T | None]
    by_name: Callable[[Objects, str], list[T]]


def _look_up_by_name(kind: type[P]) -> _LookUp[P]:
    return _LookUp(
        lambda objects: objects.all(kind),
        lambda objects, identifier: objects.get(kind, identifier),
        lambda objects, name: objects.where(kind, "name", name),
    )


def _all_subnets(objects: Objects) -> Iterator[Subnet]:
    return subnets_of(objects.all(Network))


def _subnet_by_id(objects: Objects, identifier: str) -> Subnet | None:
    return next((each for each in _all_subnets(objects) if each.id == identifier), None)


def _subnets_by_name(objects: Objects, name: str) -> list[Subnet]:
    subnets = list(_all_subnets(objects))
    named = [each for each in subnets if each.name == name]
    return named or [each for each in subnets if str(each.detail.prefix) == name]


def _rules_by_number(objects: Objects, number: str) -> list[Rule]:
    if number.isascii() and number.isdigit():
        return objects.where(Rule, "number", int(number))
    return objects.where(Rule, "name", number)


_LOOK_UPS: Mapping[type[object], _LookUp[Any]] = {
    **{kind: _look_up_by_name(kind) for kind in KINDS},
    Rule: _look_up_by_name(Rule)._replace(by_name=_rules_by_number),
    Subnet: _LookUp(_all_subnets, _subnet_by_id, _subnets_by_name),
}


def _look_up(kind: type[T]) -> _LookUp[T]:
    found: _LookUp[T] = _LOOK_UPS[kind]
    return found


def all_of(objects: Objects, kind: type[T]) -> Iterator[T]:
    """Every object of a kind."""
    return _look_up(kind).all(objects)


def by_id(objects: Objects, kind: type[T], identifier: str) -> T | None:
    """The object with this id, None if there is none."""
    return _look_up(kind).by_id(objects, identifier)


def resolve(draft: Draft, kind: type[T], reference: str, project: str | None = None) -> T:
    """The object with this id, else the only one with this name (a rule: this number, a subnet: this CIDR).

    A name refers to an object of `project` (default: the draft's), else to an object shared by all projects.
    It never refers to an object of another project, because the members of that project choose its name.
    Raises Unresolved.
    """
    found = by_id(draft, kind, reference)
    if found is not None:
        return found
    project = draft.project if project is None else project
    candidates = _look_up(kind).by_name(draft, reference) if reference else []
    named = _of_project(draft, candidates, project)
    if not named:
        raise Unresolved(Code.NOT_FOUND, _not_found_text(draft, NOUNS[kind], reference, project, candidates))
    if len(named) > 1:
        ids = ", ".join(sorted(obj.id for obj in named))
        raise Unresolved(
            Code.AMBIGUOUS, f"{len(named)} {NOUNS[kind]}s are called {reference!r}; use an id: {ids}"
        )
    return named[0]


def _of_project(draft: Draft, candidates: list[T], project: str) -> list[T]:
    own = [each for each in candidates if isinstance(each, Rule) or project_of(draft, each) == project]
    return own or [each for each in candidates if is_shared(each)]


def project_of(objects: Objects, obj: Named) -> str:
    """The project of an object, empty for none; subnets and rules have that of their network or group."""
    if isinstance(obj, Subnet):
        return obj.network.meta.project_id
    group = objects.get(SecurityGroup, obj.group_id) if isinstance(obj, Rule) else None
    return (group or obj).meta.project_id


def is_shared(obj: Named) -> bool:
    """Whether all projects may use the object: networks, subnets and address groups without a project."""
    whole = obj.network if isinstance(obj, Subnet) else obj
    return isinstance(whole, (Network, AddressGroup)) and not whole.meta.project_id


def is_hidden(draft: Draft, obj: PolicyObject) -> bool:
    """Whether messages must not name the object, because it belongs to another project."""
    return draft.discreet and project_of(draft, obj) != draft.project and not is_shared(obj)


def mention(draft: Draft, obj: PolicyObject) -> str:
    """The object's description in messages, without its name if `is_hidden`."""
    return f"a {NOUNS[type(obj)]} of another project" if is_hidden(draft, obj) else describe(obj)


def _not_found_text(draft: Draft, noun: str, reference: str, project: str, elsewhere: list[T]) -> str:
    of_project = f" of project {project}" if project else ""
    text = f"there is no {noun} {reference!r}{of_project}"
    projects = sorted({project_of(draft, each) or "no project" for each in elsewhere})
    if not projects:
        return text
    return f"{text}; there is one of {', '.join(projects)}: use --project or its id"


def reference_to(draft: Draft, kind: type[Named], identifier: str, project: str | None = None) -> str:
    """The reference by which `resolve` finds this object: its name if that is unambiguous, else its id.

    `project` is the project in which it is looked up (default: the object's own).
    """
    obj = by_id(draft, kind, identifier)
    if isinstance(obj, Rule):
        return str(obj.number) if obj.number else identifier
    label = str(obj.detail.prefix) if isinstance(obj, Subnet) and not obj.name else obj.name if obj else ""
    if obj is None or not label:
        return identifier
    try:
        found = resolve(draft, kind, label, project_of(draft, obj) if project is None else project)
    except Unresolved:
        return identifier
    return label if found.id == identifier else identifier
