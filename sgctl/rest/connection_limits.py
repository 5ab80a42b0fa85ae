"""Limits on connections with the API, and which connection is closed when there are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from sgctl.rest.http import Peer

MOST = 512
MAX_PER_PEER = 128
"""Connections of one client; see `Client`."""


class ApiConnections:
    """The open connections. The oldest one that never made an allowed request is closed first.

    Then the oldest one of the caller with the most is closed: idle connections do not keep other callers out.
    """

    def __init__(
        self, close: Callable[[Peer], None], most: int = MOST, max_per_peer: int = MAX_PER_PEER
    ) -> None:
        """`close` ends the connection of a peer, after which `leave` is called."""
        self._close = close
        self._most = most
        self._max_per_peer = max_per_peer
        self._inside: dict[Peer, None] = {}  # in the order of their arrival

    def enter(self, peer: Peer) -> bool:
        """Whether a peer may connect. Another connection may be closed to make room."""
        alike = [each for each in self._inside if each.client == peer.client]
        if len(alike) >= self._max_per_peer and not self._dismiss(alike):
            return False
        if len(self._inside) >= self._most and not self._dismiss(self._inside):
            return False
        self._inside[peer] = None
        return True

    def leave(self, peer: Peer) -> None:
        """A connection has ended."""
        self._inside.pop(peer, None)

    def _dismiss(self, among: Iterable[Peer]) -> bool:
        held = Counter(each.caller for each in among)
        caller = None if None in held else max(held, key=held.__getitem__)
        if caller is not None and held[caller] == 1:
            return False
        dismissed = next(each for each in among if each.caller == caller)
        self.leave(dismissed)
        self._close(dismissed)
        return True
