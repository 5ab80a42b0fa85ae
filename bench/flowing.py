"""An established TCP connection: one side sends continuously, the other records when data last arrived."""

from __future__ import annotations

import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

from lab.netns import Workload
from lab.process import LabError

_PACE = 0.001
_CHUNK = bytes(500)
_SETUP_SECONDS = 5.0
_TOTAL_RETRANSMISSIONS = 100
"""Offset of tcpi_total_retrans in Linux's struct tcp_info."""


class Flowing:
    """`client` connects to `address`:`port` on `server`; the server sends, or with `to_server` the client.

    `last` is the monotonic time at which data last arrived.
    """

    def __init__(
        self, client: Workload, server: Workload, address: str, port: int, *, to_server: bool
    ) -> None:
        with server.inside():
            listener = socket.create_server((address, port))
        listener.settimeout(_SETUP_SECONDS)
        with listener, client.inside():
            near = socket.create_connection((address, port), timeout=_SETUP_SECONDS)
            far, _ = listener.accept()
        self._sender, self._receiver = (near, far) if to_server else (far, near)
        self.last = 0.0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._push, self._pull)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._sender.close()
        self._receiver.close()

    @property
    def retransmitted(self) -> int:
        """How many segments were retransmitted."""
        info = self._sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return int(struct.unpack_from("=I", info, _TOTAL_RETRANSMISSIONS)[0])

    def wait_for_data(self) -> None:
        """Wait until data arrive."""
        deadline = time.monotonic() + _SETUP_SECONDS
        while not self.last:
            if time.monotonic() > deadline:
                raise LabError("a connection that is allowed carries no data")
            time.sleep(_PACE)

    def _push(self) -> None:
        self._sender.settimeout(0.05)
        while not self._over.is_set():
            try:
                self._sender.send(_CHUNK)
            except TimeoutError:
                continue
            time.sleep(_PACE)

    def _pull(self) -> None:
        self._receiver.settimeout(0.05)
        while not self._over.is_set():
            try:
                self._receiver.recv(1 << 16)
            except TimeoutError:
                continue
            self.last = time.monotonic()
