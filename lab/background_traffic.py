"""Traffic that runs in the background and is checked at the receiver: a TCP connection, or UDP datagrams."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from lab.netns import Workload
from lab.process import LabError

_CHUNK = 1000
_PACE_SECONDS = 0.002
_CONNECT_SECONDS = 2.0
_NUMBER = struct.Struct("!Q")


class _Traffic:
    """Threads that use sockets until the `with` block ends."""

    def __init__(self, *sockets: socket.socket) -> None:
        self._stop = threading.Event()
        self._sockets = sockets
        self._threads = [threading.Thread(target=work, daemon=True) for work in self._work()]
        for thread in self._threads:
            thread.start()

    def _work(self) -> Iterable[Callable[[], None]]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()


class Stream(_Traffic):
    """A TCP connection from `client` to `address`:`port` on `server`, on which the server sends data.

    `received` counts bytes at the client.
    """

    def __init__(self, client: Workload, server: Workload, address: str, port: int) -> None:
        self.received = 0
        with server.inside():
            listener = socket.create_server((address, port))
        listener.settimeout(_CONNECT_SECONDS)
        with listener, client.inside():
            self._client = socket.create_connection((address, port), timeout=_CONNECT_SECONDS)
            self._server, _ = listener.accept()
        super().__init__(self._client, self._server)

    def _work(self) -> Iterable[Callable[[], None]]:
        return self._push, self._pull

    def flows(self, seconds: float = 0.3) -> bool:
        """Whether anything arrives within `seconds`."""
        before = self.received
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.received > before:
                return True
            time.sleep(_PACE_SECONDS)
        return False

    def _push(self) -> None:
        self._server.settimeout(0.1)
        while not self._stop.is_set():
            try:
                self._server.send(bytes(_CHUNK))
            except TimeoutError:
                continue
            time.sleep(_PACE_SECONDS)

    def _pull(self) -> None:
        self._client.settimeout(0.1)
        while not self._stop.is_set():
            try:
                data = self._client.recv(1 << 16)
            except TimeoutError:
                continue
            self.received += len(data)


class Datagrams(_Traffic):
    """Numbered UDP datagrams from `source` to `address`:`port` on `target`, at a steady pace.

    `lost` returns how many of the datagrams sent so far did not arrive in time.
    """

    def __init__(
        self,
        source: Workload,
        target: Workload,
        address: str,
        port: int,
        size: int = 100,
        pace: float = _PACE_SECONDS,
    ) -> None:
        self._large_changes = pace
        self._seen: set[int] = set()
        self._sent = 0
        self._begin = time.monotonic()
        self._size = size
        self._address = (address, port)
        with target.inside():
            self._receiver = _bound(address, port)
        with source.inside():
            self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        super().__init__(self._sender, self._receiver)

    def _work(self) -> Iterable[Callable[[], None]]:
        return self._send, self._receive

    @property
    def arrived(self) -> int:
        """How many different datagrams have arrived."""
        return len(self._seen)

    @property
    def seconds_each(self) -> float:
        """The time between two datagrams, on average."""
        return (time.monotonic() - self._begin) / max(self._sent, 1)

    def lost(self, patience: float = 0.5) -> int:
        """How many of the datagrams sent until now have not arrived after `patience` seconds."""
        sent = self._sent
        if not sent:
            raise LabError("nothing was sent yet")
        time.sleep(patience)
        return len(set(range(sent)) - self._seen)

    def _send(self) -> None:
        padding = bytes(self._size - _NUMBER.size)
        while not self._stop.is_set():
            self._sender.sendto(_NUMBER.pack(self._sent) + padding, self._address)
            self._sent += 1
            time.sleep(self._large_changes)

    def _receive(self) -> None:
        self._receiver.settimeout(0.1)
        while not self._stop.is_set():
            try:
                data = self._receiver.recv(1 << 16)
            except TimeoutError:
                continue
            self._seen.add(_NUMBER.unpack_from(data)[0])


def _bound(address: str, port: int) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    receiver.bind((address, port))
    return receiver
