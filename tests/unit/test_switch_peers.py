"""The user of a local peer. A closed connection proves nothing: the kernel may report root as its user."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from sgctl.switch.peers import peer_uid

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing a socket resets its connection (socket(7))."""
LATE_SECONDS = 0.2
"""Longer than the kernel keeps the owner of a socket that was closed."""


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def connect(listening: socket.socket, here: tuple[str, int] = ("127.0.0.1", 0)) -> socket.socket:
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    stream.bind(here)
    stream.connect(listening.getsockname())
    stream.sendall(b"a request")
    return stream


def test_an_open_peer_has_its_user(listening: socket.socket) -> None:
    with connect(listening), listening.accept()[0] as accepted:
        assert peer_uid(accepted) == os.geteuid()


@pytest.mark.parametrize("seconds", [0, LATE_SECONDS])
def test_a_closed_peer_has_no_user(listening: socket.socket, seconds: float) -> None:
    connect(listening).close()
    time.sleep(seconds)
    with listening.accept()[0] as accepted:
        assert accepted.recv(100) == b"a request", "the connection could be answered"
        with pytest.raises(ConnectionError, match="closed the connection"):
            peer_uid(accepted)


def test_a_reset_peer_is_not_confused_with_the_next_user_of_its_port(listening: socket.socket) -> None:
    stream = connect(listening)
    here = stream.getsockname()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    stream.close()
    with connect(listening, here), listening.accept()[0] as accepted:
        assert accepted.recv(100) == b"a request", "the connection could be answered"
        with pytest.raises(ConnectionError, match="closed the connection"):
            peer_uid(accepted)
