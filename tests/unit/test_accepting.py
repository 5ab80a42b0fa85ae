"""Accepting connections as fast as strangers make them does not keep other green threads from running."""

from __future__ import annotations

import sys

from lab.process import run

CROWD = 20


def test_other_threads_run_between_connections() -> None:
    lines = run([sys.executable, "-m", "tests.unit.accepting", str(CROWD)]).splitlines()
    switches, clients, clients_without_an_api = (set(line.split()) for line in lines)
    assert len(switches) == CROWD, "on the port for switches"
    assert len(clients) == CROWD, "on the API's port"
    assert len(clients_without_an_api) == CROWD, "on the API's port while its process cannot be started"
