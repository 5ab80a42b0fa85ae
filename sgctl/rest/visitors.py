"""The connections with the API: how many there may be, and which has to go when there are too many."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sgctl.rest.http import Visitor

MOST = 512
MOST_OF_ONE = 128
"""Connections of one address; of a user of this machine who is not root, since all have the same address."""


class Visitors:
    """All who are connected. Those who never made a request that was allowed go first, the oldest of them."""

    def __init__(
        self, close: Callable[[Visitor], None], most: int = MOST, most_of_one: int = MOST_OF_ONE
    ) -> None:
        """`close` ends the connection of a visitor, who then leaves."""
        self._close = close
        self._most = most
        self._most_of_one = most_of_one
        self._inside: dict[Visitor, None] = {}  # in the order of their arrival

    def enter(self, visitor: Visitor) -> bool:
        """Whether somebody may come in; somebody else may have to go for it."""
        alike = [each for each in self._inside if _key(each) == _key(visitor)]
        if len(alike) >= self._most_of_one and not self._dismiss(alike):
            return False
        if len(self._inside) >= self._most and not self._dismiss(self._inside):
            return False
        self._inside[visitor] = None
        return True

    def leave(self, visitor: Visitor) -> None:
        """A connection has ended."""
        self._inside.pop(visitor, None)

    def _dismiss(self, among: Iterable[Visitor]) -> bool:
        unproven = next((each for each in among if not each.proven), None)
        if unproven is None:
            return False
        self.leave(unproven)
        self._close(unproven)
        return True


def _key(visitor: Visitor) -> tuple[str, int | None]:
    return visitor.host, visitor.uid
