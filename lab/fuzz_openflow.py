"""Peers that send malformed OpenFlow messages, and an API client that measures its waiting time meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from pathlib import Path
from random import Random
from typing import Self

VERSION = 5
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FEATURES_REPLY, PORT_STATUS = 0, 1, 2, 3, 6, 12
PACKET_IN, FLOW_REMOVED, MULTIPART_REPLY, BARRIER_REPLY, ROLE_REPLY = 10, 11, 19, 21, 25
WELL_KNOWN = (HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FEATURES_REPLY, PORT_STATUS, PACKET_IN, FLOW_REMOVED)
KINDS = (*WELL_KNOWN, MULTIPART_REPLY, BARRIER_REPLY, ROLE_REPLY, 8, 33, 34, 99, 255)
UNREAD = (FLOW_REMOVED, PORT_STATUS, 30, 31, 33, ECHO_REPLY)
"""The types of messages that a switch may send at any time."""
HEADER = struct.Struct("!BBHI")
FEATURES = struct.Struct("!QIBBHII")
STRANGER = 0xF00D
"""The first of the datapath ids that no bridge uses."""
MESSAGES = 50
PATIENCE = 5.0


class FakeSwitch:
    """A connection that first behaves like a switch and then sends malformed messages."""

    def __init__(self, port: int, random: Random, dpid: int) -> None:
        self._random = random
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._dpid = dpid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def run(self) -> None:
        """Mostly send a valid HELLO, then nonsense; the controller may close the connection at any time."""
        with contextlib.suppress(OSError):
            data = b""
            if self._random.random() < 0.8:
                data += self._message(HELLO, b"", VERSION)
            if self._random.random() < 0.8:
                features = FEATURES.pack(self._dpid, 0, 254, 0, 0, 0x4F, 0)
                data += self._message(FEATURES_REPLY, features, VERSION)
            careless = self._random.random() < 0.5
            data += b"".join(self._nonsense(careless) for _ in range(MESSAGES))
            self._say(data)

    def repeat(self, kind: int, body: bytes, count: int) -> None:
        """Send a valid HELLO, then one message many times."""
        with contextlib.suppress(OSError):
            features = FEATURES.pack(self._dpid, 0, 254, 0, 0, 0x4F, 0)
            greeting = self._message(HELLO, b"", VERSION) + self._message(FEATURES_REPLY, features, VERSION)
            self._say(greeting + self._message(kind, body, VERSION) * count)

    def _say(self, data: bytes) -> None:
        """Send all data, and wait until the controller closes the connection."""
        self._socket.sendall(data)
        self._socket.shutdown(socket.SHUT_WR)
        while self._socket.recv(1 << 16):
            pass

    def _nonsense(self, careless: bool) -> bytes:
        """A message of any type with a body of zeros, ones or random bytes; careless: with wrong lengths."""
        size = self._random.choice([0, 1, 4, 8, 16, 40, 56, 200, 9000])
        body = self._random.choice(
            [bytes(size), b"\xff" * size, b"\0\1" * (size // 2), self._random.randbytes(size)]
        )
        kind = self._random.choice(UNREAD if not careless else KINDS)
        if kind == MULTIPART_REPLY:
            head = self._random.choice([1, 1, 1, 0, 13, 65535]), self._random.choice([0, 1])
            body = struct.pack("!HH4x", *head) + body
        lie = self._random.choice([None] * 6 + [0, 1, 7, 8, 65535]) if careless else None
        version = self._random.choice([VERSION] * 20 + [1, 3, 4, 6]) if careless else VERSION
        return self._message(kind, body, version, lie)

    def _message(self, kind: int, body: bytes, version: int, lie: int | None = None) -> bytes:
        length = HEADER.size + len(body) if lie is None else lie
        return HEADER.pack(version, kind, length, self._random.choice([1, 2, 3, 0xFFFFFFFF])) + body


class Impatient(threading.Thread):
    """A thread that queries the API again and again, and records each waiting time in seconds."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._enough = threading.Event()
        self.waited: list[float] = []
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()

    def run(self) -> None:
        """Query until the end of the `with` block."""
        while not self._enough.wait(0.02):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            start = time.monotonic()
            try:
                connection.request("GET", "/v2.0/networks")
                if connection.getresponse().status != 200:
                    self.errors.append("not 200")
            except OSError as error:
                self.errors.append(repr(error))
            finally:
                connection.close()
            self.waited.append(time.monotonic() - start)


def memory_mib(pid: int) -> float:
    """The resident memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
