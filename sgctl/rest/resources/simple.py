"""Resources whose items are policy objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar, cast

from flows.policy.objects import PolicyObject
from sgctl.rest.resource import Resource
from sgctl.rest.view import View
from sgctl.service.draft import Draft

P = TypeVar("P", bound=PolicyObject)


class Simple(Resource[P]):
    """A resource whose items are the objects of one `kind`."""

    kind: ClassVar[type[PolicyObject]]

    def items(self, view: View) -> Iterable[P]:
        """All objects."""
        return cast("Iterable[P]", view.all(cast("type[Any]", self.kind)))

    def item(self, view: View | Draft, identifier: str) -> P | None:
        """The object with this id."""
        return cast("P | None", view.get(cast("type[Any]", self.kind), identifier))

    def base(self, item: P) -> PolicyObject:
        """The object itself."""
        return item
