"""What each optimization gains: the controller with all of them and without one, in turns."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from bench.control_plane import add_and_remove
from bench.goals import ALLOCATOR, OF_CONTROLLER
from bench.installation import Installation
from bench.live import came_back, restart
from bench.record import Record
from bench.workload import BenchWorkload, interface, tcp_rule
from flows.policy.objects import Change, Port
from lab.process import processor_seconds, wait_until
from sgctl.optimizations import VARIABLE
from sgctl.store import Store
from sgctl.store.server import PolicyServer

_WORKLOAD = BenchWorkload(400, 1000)
_LARGE = BenchWorkload(1400, 1000)
_ROUNDS, _EDITS = 5, 10
_PATIENCE = 30.0
ALL = ""


def measure(record: Record) -> None:
    """Measure the controller, and then the policy database's server."""
    _measure_controller(record)
    took: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(_ROUNDS):
        for left_out in (ALL, ALLOCATOR):
            with without(left_out):
                took[left_out].append(_server_seconds())
    record.put(f"without_{ALLOCATOR}_commit", _ratio(took, ALLOCATOR))


def _measure_controller(record: Record) -> None:
    """Restarts, from the process's start to verified flows, and single rules after each of them."""
    restarts: defaultdict[str, list[float]] = defaultdict(list)
    edits: defaultdict[str, list[float]] = defaultdict(list)
    with Installation() as here:
        here.plug([interface(number) for number in range(1, _WORKLOAD.ports + 1)])
        here.commit(_WORKLOAD.additions())
        here.connect()
        for _ in range(_ROUNDS):
            for left_out in (ALL, *OF_CONTROLLER):
                with without(left_out):
                    restarts[left_out].append(restart(here)[0])
                wait_until(lambda: came_back(here), "the bridge's own connection", _PATIENCE)
                here.confirm()
                added, removed = add_and_remove(here, lambda number: tcp_rule(20000 + number), _EDITS)
                edits[left_out] += added + removed
    for name in OF_CONTROLLER:
        record.put(f"without_{name}_restart", _ratio(restarts, name))
        record.put(f"without_{name}_rule", _ratio(edits, name))


def _server_seconds() -> float:
    """The processor time, in seconds, that the server takes to rename 1,400 ports, per transaction."""
    with tempfile.TemporaryDirectory(prefix="sgctl-bench-") as name:
        server = PolicyServer(Path(name) / "policy.db", Path(name) / "policy.sock")
        server.start()
        pid = server.pid
        assert pid is not None
        try:
            store = Store.connect(server.remote, timeout=_PATIENCE)
            store.commit(_LARGE.additions())
            before = processor_seconds(pid)
            for number in range(_EDITS):
                ports = store.objects[Port].values()
                store.commit([Change(port, replace(port, name=f"{port.id}-{number}")) for port in ports])
            took = (processor_seconds(pid) - before) / _EDITS
            store.close()
        finally:
            server.stop()
    return took


def _ratio(took: dict[str, list[float]], name: str) -> float:
    return statistics.median(took[name]) / statistics.median(took[ALL])


@contextmanager
def without(name: str) -> Iterator[None]:
    """Start processes without one optimization, and without those that the user has switched off."""
    left_out = ",".join(filter(None, (os.environ.get(VARIABLE), name)))
    with patch.dict(os.environ, {VARIABLE: left_out}):
        yield
