"""The connected switches: one connection for each, which is not replaced while it is alive."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from flows.openflow.wire import BUDGETS, Budgets
from sgctl.switch.channel import Channel, NameOf, by_number
from sgctl.switch.connection import Connection
from sgctl.switch.messages import MalformedError, PacketIn
from sgctl.switch.rate_limited_log import RateLimitedLog

LOG = logging.getLogger(__name__)

LIFE_SECONDS = 1.0
"""How long a switch may take to answer when another connection claims its datapath id."""


class SwitchConnections:
    """Serves connections from their handshake to their end.

    Calls `connected` and `disconnected` for each switch, with its channel.
    """

    def __init__(
        self,
        connected: Callable[[Channel], None],
        disconnected: Callable[[Channel], None],
        on_its_way: Callable[[], None] = lambda: None,
        name_of: NameOf = by_number,
        take_in: Callable[[int, PacketIn], None] = lambda _, __: None,
        budgets: Budgets = BUDGETS,
    ) -> None:
        """`on_its_way`, `name_of` and `budgets` are passed to the channels.

        `take_in` is called with the datapath id and each frame that a switch sends to the controller.
        """
        self._name_of = name_of
        self._take_in = take_in
        self._connected = connected
        self._disconnected = disconnected
        self._on_its_way = on_its_way
        self._budgets = budgets
        self._current: dict[int, tuple[Connection, Channel]] = {}
        self._rate_limited = RateLimitedLog(LOG)

    def attend(self, connection: Connection) -> None:
        """Serve a connection until it ends."""
        try:
            connection.greet()
            if self._has_no_other(connection):
                self._serve(connection)
        except (MalformedError, OSError) as error:
            self._rate_limited.warn(connection.peer, f"the connection with {connection.peer} ended: {error}")
        finally:
            connection.release()

    def _has_no_other(self, connection: Connection) -> bool:
        """Whether the switch has no other live connection; closes one that is dead.

        A connection made by the bridge replaces a connection made by this controller.
        """
        while (current := self._current.get(connection.dpid)) is not None:
            other = current[0]
            if connection.direct:
                return False
            if not other.direct and other.answers(LIFE_SECONDS):
                name = self._name_of(connection.dpid)
                text = f"refused a second connection of switch {name} from {connection.peer}"
                self._rate_limited.warn(f"{connection.dpid}", text)
                return False
            self._forget(other)
            other.close()
        return True

    def _serve(self, connection: Connection) -> None:
        channel = Channel(connection, self._on_its_way, self._name_of, self._budgets)
        self._current[connection.dpid] = connection, channel
        LOG.info("switch %s connected", channel.name)
        self._connected(channel)
        try:
            connection.serve(channel.receive, partial(self._take_in, connection.dpid))
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        current = self._current.get(connection.dpid)
        if current is not None and current[0] is connection:
            del self._current[connection.dpid]
            LOG.warning("switch %s disconnected", current[1].name)
            self._disconnected(current[1])
