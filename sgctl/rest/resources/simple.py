"""Resources whose items are policy objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from flows.policy.objects import PolicyObject
from sgctl.rest.resource import Resource
from sgctl.store.snapshot import Objects

P = TypeVar("P", bound=PolicyObject)


class Simple(Resource[P]):
    """A resource whose items are the objects of one `kind`."""

    kind: type[P]

    def items(self, objects: Objects) -> Iterable[P]:
        """All objects."""
        return objects.all(self.kind)

    def item(self, objects: Objects, identifier: str) -> P | None:
        """The object with this id."""
        return objects.get(self.kind, identifier)

    def base(self, item: P) -> PolicyObject:
        """The object itself."""
        return item
