"""What the collections of the API have in common; one subclass for each kind of object."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

from flows.model import AddressGroup, Meta, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.rest.credentials import Caller
from sgctl.rest.errors import forbidden, not_found
from sgctl.rest.http import Body
from sgctl.rest.schemas import Shape
from sgctl.rest.view import View
from sgctl.service.addresses import AddressPool
from sgctl.service.draft import Draft, Objects
from sgctl.service.edits import Permission, permissions_of
from sgctl.service.names import is_shared, project_of
from sgctl.service.references import REFERENCES

T = TypeVar("T")
P = TypeVar("P", bound=PolicyObject)


@dataclass
class Desk:
    """Where a write is made: a draft, on whose behalf, and addresses to give away."""

    draft: Draft
    caller: Caller
    addresses: AddressPool = field(init=False)
    _permissions: dict[str, dict[Permission, Rule]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.addresses = AddressPool(self.draft)

    @classmethod
    def of(cls, objects: Objects, caller: Caller) -> Self:
        """A desk on which nothing is yet. What is wrong is told without the names of what is hidden."""
        return cls(Draft(objects, caller.project, discreet=not caller.is_admin), caller)

    def permissions(self, group_id: str) -> dict[Permission, Rule]:
        """The rules of a group by what they permit; whoever makes one adds it."""
        if group_id not in self._permissions:
            self._permissions[group_id] = permissions_of(self.draft, group_id)
        return self._permissions[group_id]

    def find(self, kind: type[P], identifier: str, type_name: str, noun: str) -> P:
        """An object the caller may use. Raises ApiError 404."""
        found = self.draft.get(kind, identifier)
        if found is None or not may_see(self.caller, found, self.draft):
            raise not_found(type_name, noun, identifier)
        return found

    def project(self, body: Body) -> str:
        """The project of a new object. Raises ApiError 403 for somebody else's."""
        wanted = body.get("project_id", body.get("tenant_id"))
        if wanted is None or wanted == self.caller.project:
            return self.caller.project
        if not self.caller.is_admin:
            raise forbidden("Only an admin may create objects of another project")
        return str(wanted)

    def put(self, obj: PolicyObject) -> None:
        """Take a new or changed object into the draft; what it newly refers to must be visible, or 404."""
        old = self.draft.get(type(obj), obj.id)
        for reference in REFERENCES:
            if reference.holder is type(obj):
                known = reference.ids(old) if old is not None else []
                for identifier in reference.ids(obj):
                    if identifier not in known:
                        type_name, noun = NOUNS[reference.target]
                        self.find(reference.target, identifier, type_name, noun)
        if isinstance(obj, Port) and not (isinstance(old, Port) and _relies_on_default(old)):
            self._check_default(obj)
        self.draft.put(obj)

    def may_use_default(self, network: Network) -> bool:
        """Whether the network has a default group in which the caller's ports may be."""
        group = self.draft.get(SecurityGroup, network.default_group or "")
        return group is not None and may_see(self.caller, group, self.draft)

    def _check_default(self, port: Port) -> None:
        """Refuse to make a port a member of what the caller must not use, by giving it no groups."""
        network = self.draft.get(Network, port.network_id)
        if network is None or network.default_group is None or not _relies_on_default(port):
            return
        if not self.may_use_default(network):
            raise forbidden("The network's default group is another project's: give security_groups")


NOUNS: dict[type[PolicyObject], tuple[str, str]] = {
    Network: ("Network", "Network"),
    SecurityGroup: ("SecurityGroup", "Security group"),
    AddressGroup: ("AddressGroup", "Address group"),
}
"""Neutron's type names and nouns of what can be referred to."""


def _relies_on_default(port: Port) -> bool:
    """Whether the port is in the default group of its network, if that has one."""
    return port.port_security_enabled and not port.security_groups


def may_see(caller: Caller, obj: PolicyObject, draft: Draft | View) -> bool:
    """Whether the object is the caller's or everybody's."""
    return caller.is_admin or owner(obj, draft) == caller.project or is_shared(obj)


def owner(obj: PolicyObject, draft: Draft | View) -> str:
    """The project of an object; a rule is its group's."""
    return project_of(draft, obj)


class Resource(ABC, Generic[T]):
    """A collection: how its objects are read, shown and written. `T` has an `id` and a `name`."""

    plural: ClassVar[str]
    singular: ClassVar[str]
    noun: ClassVar[str]
    type_name: ClassVar[str]
    shape: ClassVar[Shape]
    actions: ClassVar[frozenset[str]] = frozenset()

    @property
    def path(self) -> str:
        """The collection's part of the URL."""
        return self.plural.replace("_", "-")

    @abstractmethod
    def items(self, view: View) -> Iterable[T]:
        """All objects."""

    @abstractmethod
    def item(self, view: View | Draft, identifier: str) -> T | None:
        """The object with this id."""

    @abstractmethod
    def base(self, item: T) -> PolicyObject:
        """The policy object that the item is, or is part of."""

    @abstractmethod
    def render(self, view: View, item: T) -> Body:
        """The object as answers show it."""

    @abstractmethod
    def create(self, desk: Desk, body: Body) -> str:
        """Put a new object into the draft; its id."""

    @abstractmethod
    def update(self, desk: Desk, item: T, body: Body) -> None:
        """Change an object in the draft."""

    def delete(self, desk: Desk, item: T) -> None:
        """Take an object out of the draft."""
        base = self.base(item)
        desk.draft.remove(type(base), base.id)

    def tags(self, item: T) -> frozenset[str]:
        """The object's tags."""
        return self.base(item).meta.tags

    def tag(self, desk: Desk, item: T, tags: frozenset[str]) -> None:
        """Give the object other tags."""
        base = self.base(item)
        desk.draft.put(replace(base, meta=replace(base.meta, tags=tags)))

    def is_ready(self, view: View, caller: Caller) -> bool:  # noqa: ARG002  # few need to be prepared
        """Whether the collection holds what a caller's list must show."""
        return True

    def prepare(self, desk: Desk) -> None:
        """Make what `is_ready` misses."""

    def act(self, desk: Desk, item: T, action: str, body: Body) -> None:  # noqa: ARG002  # few have actions
        """Carry out one of `actions`."""
        raise AssertionError(action)

    def missing(self, identifier: str) -> Exception:
        """The answer to an id that nobody has."""
        return not_found(self.type_name, self.noun, identifier)


def new_meta(desk: Desk, body: Body) -> Meta:
    """Metadata of a new object."""
    return Meta(
        description=body.get("description") or "",
        project_id=desk.project(body),
        tags=frozenset(body.get("tags") or ()),
    )


def with_description(meta: Meta, body: Body) -> Meta:
    """Metadata after an update."""
    return replace(meta, description=body["description"] or "") if "description" in body else meta


def standard(obj: PolicyObject, project: str) -> dict[str, Any]:
    """What every object is shown with."""
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
