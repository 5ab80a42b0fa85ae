"""What the collections of the API have in common; one subclass for each kind of object."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from flows.policy.objects import Meta, PolicyObject
from sgctl.attributes.attribute import Setter
from sgctl.attributes.plain import DEFAULTS, requested_values, reserved_to
from sgctl.attributes.value_types import Schema
from sgctl.rest.credentials import Caller
from sgctl.rest.edit_context import EditContext
from sgctl.rest.errors import forbidden, not_found
from sgctl.rest.http import Body
from sgctl.rest.schemas import ResourceSchema
from sgctl.rest.view import View
from sgctl.store.snapshot import Objects

T = TypeVar("T")


@dataclass(frozen=True)
class ResourceAction(Generic[T]):
    """What `PUT …/ID/NAME` does to an object; `request` is the schema of its body."""

    request: Schema
    apply: Callable[[EditContext, T, Body], None]


class Resource(ABC, Generic[T]):
    """How the objects of a collection are read, rendered and edited. `T` has an `id` and a `name`."""

    plural: ClassVar[str]
    singular: ClassVar[str]
    noun: ClassVar[str]
    type_name: ClassVar[str]
    schema: ClassVar[ResourceSchema]

    @property
    def path(self) -> str:
        """The collection's part of the URL."""
        return self.plural.replace("_", "-")

    @property
    def actions(self) -> Mapping[str, ResourceAction[T]]:
        """What can be done to an object besides updates, by name."""
        return {}

    @abstractmethod
    def items(self, objects: Objects) -> Iterable[T]:
        """All objects."""

    @abstractmethod
    def item(self, objects: Objects, identifier: str) -> T | None:
        """The object with this id."""

    @abstractmethod
    def base(self, item: T) -> PolicyObject:
        """The policy object that the item is, or is part of."""

    @abstractmethod
    def render(self, view: View, item: T) -> Body:
        """The object as responses show it."""

    @abstractmethod
    def create(self, edit: EditContext, body: Body) -> str:
        """Add a new object to the draft and return its id."""

    def update(self, edit: EditContext, item: T, body: Body) -> None:
        """Change an object in the draft. Not called where the schema has nothing that can be updated."""
        raise NotImplementedError

    def delete(self, edit: EditContext, item: T) -> None:
        """Remove an object from the draft."""
        base = self.base(item)
        edit.draft.remove(type(base), base.id)

    def tags(self, item: T) -> frozenset[str]:
        """The object's tags."""
        return self.base(item).meta.tags

    def tag(self, edit: EditContext, item: T, tags: frozenset[str]) -> None:
        """Replace the tags of an object in the draft."""
        base = self.base(item)
        edit.draft.put(replace(base, meta=replace(base.meta, tags=tags)))

    def is_ready(self, objects: Objects, caller: Caller) -> bool:  # noqa: ARG002  # for subclasses
        """Whether the collection holds everything that a list for the caller must show."""
        return True

    def prepare(self, edit: EditContext) -> None:
        """Create what `is_ready` misses."""

    def missing(self, identifier: str) -> Exception:
        """The error for an unknown id."""
        return not_found(self.type_name, self.noun, identifier)


def new_meta(edit: EditContext, body: Body) -> Meta:
    """Metadata of a new object."""
    return Meta(
        description=body.get("description") or "",
        project_id=edit.project(body),
        tags=frozenset(body.get("tags") or ()),
    )


def permitted_values(
    edit: EditContext, kind: type[PolicyObject], body: Body, old: PolicyObject | None = None
) -> dict[str, Any]:
    """The fields that the body states and that only their declarations handle.

    `old` is the object before the change, None for a new one. Raises ApiError 403 if the caller would change
    what is reserved to admins.
    """
    values = requested_values(kind, body)
    for each in () if edit.caller.is_admin else reserved_to(kind, Setter.ADMIN):
        before = DEFAULTS[kind][each.field] if old is None else getattr(old, each.field)
        if values.get(each.field, before) != before:
            raise forbidden(f"Only an admin may set {each.name}")
    return values


def with_description(meta: Meta, body: Body) -> Meta:
    """Metadata after an update."""
    return replace(meta, description=body["description"] or "") if "description" in body else meta


def standard(obj: PolicyObject, project: str) -> dict[str, Any]:
    """The attributes that every object has."""
    meta = obj.meta
    return {
        "id": obj.id,
        "name": obj.name,
        "description": meta.description,
        "project_id": project,
        "tenant_id": project,
        "tags": sorted(meta.tags),
        "created_at": meta.created_at,
        "updated_at": meta.updated_at,
        "revision_number": meta.revision_number,
    }
