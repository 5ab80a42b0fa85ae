"""The API's listening socket and its side of HTTP: nobody holds up others by being slow, silent or many."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import Any

import eventlet
import eventlet.wsgi
from eventlet import Timeout

from sgctl.rest.http import Visitor
from sgctl.rest.visitors import Visitors
from sgctl.switch.peers import plain, uid_at

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
"""Between two requests on one connection."""
REQUEST_SECONDS = 20.0
"""For all of a request to arrive, from its first byte to the end of its body."""
PAUSE_SECONDS = 0.1
"""After the kernel has refused a connection, for example because there are no file descriptors left."""
VISITOR, ARRIVED = "sgctl.visitor", "sgctl.arrived"
"""Keys of the WSGI environment: the Visitor, and what to call when all of a request has been read."""


class Listener:
    """A listening socket for `eventlet.wsgi.server` whose `accept` lets in whom there is room for."""

    def __init__(self, listening: Any) -> None:
        self._listening = listening
        self._visitors = Visitors(self._dismiss)
        self._visitor_of: dict[Any, Visitor] = {}
        self._stream_of: dict[Visitor, Any] = {}

    def accept(self) -> tuple[Any, Any]:
        """The next connection, with its address."""
        while True:
            try:
                stream, address = self._listening.accept()
            except OSError as error:
                LOG.warning("cannot accept a connection with the API: %s", error)
                eventlet.sleep(PAUSE_SECONDS)
                continue
            visitor = _visitor(stream, address)
            if self._visitors.enter(visitor):
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._visitor_of[stream], self._stream_of[visitor] = visitor, stream
                return stream, address
            stream.close()

    def visitor(self, stream: Any) -> Visitor:
        """Who made a connection."""
        return self._visitor_of[stream]

    def leave(self, stream: Any) -> None:
        """A connection has ended."""
        visitor = self._visitor_of.pop(stream)
        del self._stream_of[visitor]
        self._visitors.leave(visitor)

    @property
    def family(self) -> int:
        """The address family of the socket."""
        return int(self._listening.family)

    def getsockname(self) -> Any:
        """Where it listens."""
        return self._listening.getsockname()

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()

    def _dismiss(self, visitor: Visitor) -> None:
        with suppress(OSError):  # it may be ending already
            self._stream_of[visitor].shutdown(socket.SHUT_RDWR)


def _visitor(stream: Any, address: Any) -> Visitor:
    try:
        uid = uid_at(address[:2], stream.getsockname()[:2])
    except OSError:
        uid = None
    return Visitor(str(plain(address[0])), uid)


class Protocol(eventlet.wsgi.HttpProtocol):
    """HTTP as eventlet speaks it, with a deadline for each request as a whole."""

    listener: Listener
    """Set by `protocol`."""

    def finish(self) -> None:
        """Eventlet's hook at the end of a connection."""
        self.listener.leave(self.request)
        super().finish()

    def handle_one_request(self) -> None:
        """Wait for a request to begin, then read and answer it; the clock runs while it is read."""
        self.close_connection = True
        try:
            with Timeout(IDLE_SECONDS):
                begun = self.rfile.peek(1)
            if not begun:
                return
            self._clock = Timeout(REQUEST_SECONDS)
            try:
                super().handle_one_request()
            finally:
                self._clock.cancel()
        except (Timeout, OSError):
            self.close_connection = True

    def get_environ(self) -> Any:
        """Eventlet's hook when the head of a request has been read."""
        environ = super().get_environ()
        environ[VISITOR] = self.listener.visitor(self.request)
        environ[ARRIVED] = self._clock.cancel
        return environ


def protocol(listener: Listener) -> type[Protocol]:
    """The protocol of the connections of one listener."""
    return type("ListenerProtocol", (Protocol,), {"listener": listener})
