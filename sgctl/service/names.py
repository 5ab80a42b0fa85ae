"""Looks up objects by the name or id that a user gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar, cast

from flows.policy.objects import AddressGroup, Network, PolicyObject, Rule, SecurityGroup
from sgctl.service.draft import Draft
from sgctl.service.errors import Code
from sgctl.service.kinds import NOUNS, describe
from sgctl.service.subnets import Subnet, subnets_of

Named = PolicyObject | Subnet
"""An object with a name and an id."""

T = TypeVar("T", bound=Named)
P = TypeVar("P", bound=PolicyObject)


class Finder(Protocol):
    """Looks up objects by kind and id."""

    def get(self, kind: type[P], identifier: str) -> P | None:
        """The object with this id, None if there is none."""


class Unresolved(Exception):
    """A reference matches no object or more than one; `code` tells which."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def all_of(draft: Draft, kind: type[T]) -> Iterator[T]:
    """Every object of a kind."""
    if kind is Subnet:
        return cast("Iterator[T]", subnets_of(draft.all(Network)))
    return draft.all(cast("type[Any]", kind))


def by_id(draft: Draft, kind: type[T], identifier: str) -> T | None:
    """The object with this id, None if there is none."""
    if kind is Subnet:
        return next((each for each in all_of(draft, kind) if each.id == identifier), None)
    return cast("T | None", draft.get(cast("type[Any]", kind), identifier))


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
    candidates = _named(draft, kind, reference) if reference else []
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


def project_of(draft: Finder, obj: Named) -> str:
    """The project of an object, empty for none; subnets and rules have that of their network or group."""
    if isinstance(obj, Subnet):
        return obj.network.meta.project_id
    group = draft.get(SecurityGroup, obj.group_id) if isinstance(obj, Rule) else None
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


def _named(draft: Draft, kind: type[T], reference: str) -> list[T]:
    if kind is Subnet:
        subnets = list(subnets_of(draft.all(Network)))
        named = [each for each in subnets if each.name == reference]
        return cast("list[T]", named or [each for each in subnets if str(each.detail.prefix) == reference])
    if kind is Rule and reference.isascii() and reference.isdigit():
        return cast("list[T]", draft.where(Rule, "number", int(reference)))
    return cast("list[T]", draft.where(cast("type[Any]", kind), "name", reference))


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
