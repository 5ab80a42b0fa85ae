"""The OpenFlow listener. It reads nothing from peers that may not be switches, and limits all resources."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sgctl import runtime
from sgctl.switch.admission import Admission, Certificates
from sgctl.switch.connection import Connection
from sgctl.switch.listen_address import ListenAddress
from sgctl.switch.peers import Address
from sgctl.switch.rate_limited_log import RateLimitedLog

LOG = logging.getLogger(__name__)

TLS_SECONDS = 5.0
MOST_CONNECTIONS = 2048
MOST_UNKNOWN = 128
"""Peers in the TLS handshake, which are not authenticated yet."""
MOST_UNKNOWN_OF_ONE = 16
PAUSE_SECONDS = 0.1
"""After a failed accept, for example because there are no file descriptors left."""


class RefusedError(Exception):
    """A peer may not be a switch; the text says why."""


class OpenFlowListener:
    """Listens for switches and passes on accepted connections."""

    def __init__(
        self,
        address: ListenAddress,
        admission: Admission,
        certificates: Certificates | None,
        attend: Callable[[Connection], None],
    ) -> None:
        """`attend` serves a connection until it ends; each call runs in its own green thread."""
        self._address = address
        self._admission = admission
        self._certificates = certificates
        self._attend = attend
        self._unknown: Counter[str] = Counter()
        self._inside = 0
        self._rate_limited = RateLimitedLog(LOG)

    def run(self) -> None:
        """Listen forever. Ends the process if the port is already in use."""
        with runtime.listen(self._address.host, self._address.port) as listening:
            while True:
                try:
                    stream, peer = listening.accept()
                except OSError as error:
                    self._rate_limited.warn("accept", f"cannot accept a switch's connection: {error}")
                    runtime.sleep(PAUSE_SECONDS)
                    continue
                self._receive(stream, peer[:2])
                runtime.sleep(0)  # a socket with more connections waiting lets no other thread run

    def _receive(self, stream: Any, there: Address) -> None:
        """Refuse a peer at once if possible; this costs one request to the kernel."""
        try:
            trusted = self._admission.trusts(stream, there[0])
            self._check(trusted, there)
        except ConnectionError:
            stream.close()
            return
        except (RefusedError, OSError) as error:
            self._refuse(stream, error)
            return
        runtime.spawn(self._enter, stream, there, trusted)

    def _check(self, trusted: bool, there: Address) -> None:
        if self._inside >= MOST_CONNECTIONS:
            raise RefusedError(f"more than {MOST_CONNECTIONS} connections")
        if trusted:
            return
        if self._certificates is None:
            raise RefusedError(
                f"{there[0]} may not be a switch: it is no process of the local switch's user, and TLS is off"
            )
        if self._unknown[there[0]] >= MOST_UNKNOWN_OF_ONE or self._unknown.total() >= MOST_UNKNOWN:
            raise RefusedError(f"too many TLS handshakes at once, the last from {there[0]}")

    def _enter(self, stream: Any, there: Address, trusted: bool) -> None:
        self._inside += 1
        try:
            if self._certificates is not None:
                stream = self._secured(stream, there, trusted)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.settimeout(None)
            self._attend(Connection(stream, there[0]))
        except (RefusedError, OSError) as error:
            self._refuse(stream, error)
        finally:
            self._inside -= 1

    def _secured(self, stream: Any, there: Address, trusted: bool) -> Any:
        assert self._certificates is not None
        late = RefusedError(f"{there[0]} did not finish the TLS handshake within {TLS_SECONDS:.0f} s")
        with self._counted(there[0]), runtime.timeout(TLS_SECONDS, late):
            secured: Any = self._certificates.context().wrap_socket(
                stream, server_side=True, do_handshake_on_connect=False
            )
            secured.do_handshake()
        if not trusted and not self._admission.accepts(secured.getpeercert()):
            raise RefusedError(f"{there[0]} has no certificate with an accepted name")
        return secured

    @contextmanager
    def _counted(self, host: str) -> Iterator[None]:
        self._unknown[host] += 1
        try:
            yield
        finally:
            self._unknown[host] -= 1
            self._unknown += Counter()  # drops the zeros

    def _refuse(self, stream: Any, error: Exception) -> None:
        stream.close()
        self._rate_limited.warn("refused", f"refused a connection to the OpenFlow port: {error}")
