"""A private policy database server for each test, and connections to it that end with the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from sgctl.store import Store
from sgctl.store.server import PolicyServer


@pytest.fixture
def server(open_vswitch: None, tmp_path: Path) -> Iterator[PolicyServer]:
    """A running policy server with an empty database."""
    server = PolicyServer(tmp_path / "state" / "policy.db", tmp_path / "run" / "policy.sock")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connect(server: PolicyServer) -> Iterator[Callable[[], Store]]:
    """Makes stores on the server."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Store.connect(server.remote)))


@pytest.fixture
def store(connect: Callable[[], Store]) -> Store:
    """A connected store that has reported the initial objects."""
    store = connect()
    store.run()
    return store


@pytest.fixture
def transact(server: PolicyServer) -> Callable[..., list[dict[str, Any]]]:
    """Represents another tool: runs operations through `ovsdb-client` and returns the server's answers."""

    def run(*operations: dict[str, Any]) -> list[dict[str, Any]]:
        command = [
            "ovsdb-client",
            "--timeout=10",
            "transact",
            server.remote,
            json.dumps(["sgctl", *operations]),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        assert not [answer for answer in answers if answer and "error" in answer], answers
        return answers

    return run


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[[], PolicyServer]]:
    """Makes servers on the same files, as several controllers would; stops them at the end of the test."""
    made: list[PolicyServer] = []

    def make() -> PolicyServer:
        made.append(PolicyServer(tmp_path / "lib" / "policy.db", tmp_path / "run" / "policy.sock"))
        return made[-1]

    yield make
    for server in made:
        server.stop()
    pid = PolicyServer(tmp_path / "lib" / "policy.db", tmp_path / "run" / "policy.sock").pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
