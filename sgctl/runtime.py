"""Concurrency: the functions and classes by which the controller uses green threads.

Only this module and `sgctl.ryu`, which has the API's HTTP server, use eventlet, so another framework needs
no change elsewhere. A green thread runs until it waits, in a function of this module or for a socket.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import eventlet
import eventlet.event
import eventlet.queue
from eventlet.green import socket as green_socket

LOG = logging.getLogger(__name__)

BACKLOG = 1024
"""How many connections may wait to be accepted. If it were low, many clients would keep others out."""


class Thread(Protocol):
    """A green thread."""

    def kill(self) -> None:
        """End the thread at the point where it waits."""


class Queue(Protocol):
    """A queue of bounded size; `get` waits for an item, and `put` for room."""

    def put(self, item: bytes) -> None:
        """Add an item; waits until there is room."""

    def put_nowait(self, item: bytes) -> None:
        """Add an item; there must be room."""

    def get(self) -> bytes:
        """Take the first item; waits until there is one."""

    def get_nowait(self) -> bytes:
        """Take the first item; there must be one."""

    def qsize(self) -> int:
        """The number of items."""

    def full(self) -> bool:
        """Whether there is no room."""


class Event:
    """A signal from one green thread to others, like `threading.Event`."""

    def __init__(self) -> None:
        self._event = eventlet.event.Event()

    def is_set(self) -> bool:
        """Whether the event was set since the last `clear`."""
        return bool(self._event.ready())

    def set(self) -> None:
        """Wake the threads that wait."""
        if not self._event.ready():
            self._event.send(True)

    def clear(self) -> None:
        """Make later calls of `wait` wait. Threads that were woken before continue nevertheless."""
        if self._event.ready():
            self._event = eventlet.event.Event()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the event; returns whether it was set before `seconds` had passed."""
        return self._event.wait(timeout=seconds) is True


def spawn(function: Callable[..., object], *arguments: object) -> Thread:
    """Run a function in a green thread; its exceptions are logged."""
    thread: Thread = eventlet.spawn(_logged, function, *arguments)
    return thread


def spawn_after(seconds: float, function: Callable[..., object], *arguments: object) -> Thread:
    """Run a function in a green thread some time later; its exceptions are logged."""
    thread: Thread = eventlet.spawn_after(seconds, _logged, function, *arguments)
    return thread


def _logged(function: Callable[..., object], *arguments: object) -> None:
    try:
        function(*arguments)
    except Exception:
        LOG.exception("a green thread failed")


def sleep(seconds: float) -> None:
    """Wait, and let the other green threads run. With 0 seconds, each of them runs once."""
    eventlet.sleep(seconds)


@contextmanager
def timeout(seconds: float, error: Exception) -> Iterator[None]:
    """Raise the error in a block that takes longer than `seconds`, at a point where it waits."""
    with eventlet.Timeout(seconds, error):
        yield


def queue(most: int) -> Queue:
    """A queue with room for `most` items."""
    made: Queue = eventlet.queue.LightQueue(most)
    return made


def listen(host: str, port: int) -> Any:
    """A listening TCP socket. If the port is in use, the process ends."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return eventlet.listen((host, port), family=family, backlog=BACKLOG)


def connect_unix(path: Path) -> Any:
    """A stream socket that is connected to the Unix socket at `path`. Raises OSError."""
    stream = green_socket.socket(socket.AF_UNIX)
    try:
        stream.connect(str(path))
    except OSError:
        stream.close()
        raise
    return stream
