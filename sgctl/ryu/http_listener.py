"""The API's listening socket and HTTP protocol, with deadlines and limits for slow or numerous clients."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress
from typing import Any

import eventlet
import eventlet.wsgi
from eventlet import Timeout

from sgctl.rest.connection_limits import ApiConnections
from sgctl.rest.http import Peer
from sgctl.switch.peers import parse_host, peer_uid
from sgctl.switch.rate_limited_log import RateLimitedLog

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
"""Between two requests on one connection."""
REQUEST_SECONDS = 20.0
"""For all of a request to arrive, from its first byte to the end of its body."""
PAUSE_SECONDS = 0.1
"""After the kernel has refused a connection, for example because there are no file descriptors left."""
PEER, ARRIVED = "sgctl.peer", "sgctl.arrived"
"""Keys of the WSGI environment: the Peer, and what to call when all of a request has been read."""


class HttpListener:
    """A listening socket for `eventlet.wsgi.server` whose `accept` respects the limits on connections."""

    def __init__(self, listening: Any) -> None:
        self._listening = listening
        self._connections = ApiConnections(self._dismiss)
        self._peer_of: dict[Any, Peer] = {}
        self._stream_of: dict[Peer, Any] = {}
        self._rate_limited = RateLimitedLog(LOG)

    def accept(self) -> tuple[Any, Any]:
        """The next connection, with its address."""
        while True:
            try:
                stream, address = self._listening.accept()
            except (ssl.SSLError, ConnectionError):  # the peer has reset its connection
                eventlet.sleep(0)
                continue
            except OSError as error:
                self._rate_limited.warn("accept", f"cannot accept a connection with the API: {error}")
                eventlet.sleep(PAUSE_SECONDS)
                continue
            eventlet.sleep(0)  # a socket with more connections waiting lets no other thread run
            peer = _peer(stream, address)
            if self._connections.enter(peer):
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._peer_of[stream], self._stream_of[peer] = peer, stream
                return stream, address
            stream.close()

    def peer(self, stream: Any) -> Peer:
        """The peer of a connection."""
        return self._peer_of[stream]

    def leave(self, stream: Any) -> None:
        """A connection has ended."""
        peer = self._peer_of.pop(stream)
        del self._stream_of[peer]
        self._connections.leave(peer)

    @property
    def family(self) -> int:
        """The address family of the socket."""
        return int(self._listening.family)

    def getsockname(self) -> Any:
        """The address of the socket."""
        return self._listening.getsockname()

    def close(self) -> None:
        """Close the socket."""
        self._listening.close()

    def _dismiss(self, peer: Peer) -> None:
        with suppress(OSError):  # it may be ending already
            self._stream_of[peer].shutdown(socket.SHUT_RDWR)


def _peer(stream: Any, address: Any) -> Peer:
    try:
        uid = peer_uid(stream)
    except OSError:
        uid = None
    return Peer(str(parse_host(address[0])), uid)


class Protocol(eventlet.wsgi.HttpProtocol):
    """Eventlet's HTTP protocol, with a deadline for each request as a whole."""

    listener: HttpListener
    """Set by `protocol`."""
    environ: dict[str, Any] | None = None
    """Eventlet sets it with the first request, if there is one."""

    def finish(self) -> None:
        """Eventlet's hook at the end of a connection."""
        self.listener.leave(self.request)
        super().finish()
        if self.environ is not None:
            self.environ.clear()  # it refers to us: the collector would have to find it

    def log_message(self, *_: object) -> None:
        """The base class' hook, for requests that it cannot read: strangers must not fill the log."""

    def handle_one_request(self) -> None:
        """Wait for a request to begin, then read and answer it. The deadline ends when it has been read."""
        self.close_connection = True
        eventlet.sleep(0)  # a client that sends requests without a pause lets no other thread run
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
        environ[PEER] = self.listener.peer(self.request)
        environ[ARRIVED] = self._clock.cancel
        return environ


def protocol(listener: HttpListener) -> type[Protocol]:
    """The protocol of the connections of one listener."""
    return type("ListenerProtocol", (Protocol,), {"listener": listener})
