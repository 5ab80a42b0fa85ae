"""What each optimization gains: the controller with all of them and without one, in turns."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from bench.control_plane import add_and_remove
from bench.installation import Installation
from bench.live import came_back, restart
from bench.record import Record
from bench.workload import BenchWorkload, interface, tcp_rule
from lab.process import wait_until
from sgctl.optimizations import OPTIMIZATIONS, VARIABLE

_WORKLOAD = BenchWorkload(400, 1000)
_ROUNDS, _EDITS = 5, 10
_PATIENCE = 30.0
ALL = ""


def measure(record: Record) -> None:
    """Restarts, from the process's start to verified flows, and single rules after each of them."""
    restarts: defaultdict[str, list[float]] = defaultdict(list)
    edits: defaultdict[str, list[float]] = defaultdict(list)
    with Installation() as here:
        here.plug([interface(number) for number in range(1, _WORKLOAD.ports + 1)])
        here.commit(_WORKLOAD.additions())
        here.connect()
        for _ in range(_ROUNDS):
            for left_out in (ALL, *OPTIMIZATIONS):
                with _without(left_out):
                    restarts[left_out].append(restart(here)[0])
                wait_until(lambda: came_back(here), "the bridge's own connection", _PATIENCE)
                here.confirm()
                added, removed = add_and_remove(here, lambda number: tcp_rule(20000 + number), _EDITS)
                edits[left_out] += added + removed
    for name in OPTIMIZATIONS:
        record.put(f"without_{name}_restart", _ratio(restarts, name))
        record.put(f"without_{name}_rule", _ratio(edits, name))


def _ratio(took: dict[str, list[float]], name: str) -> float:
    return statistics.median(took[name]) / statistics.median(took[ALL])


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Start controllers without one optimization."""
    os.environ[VARIABLE] = name
    try:
        yield
    finally:
        del os.environ[VARIABLE]
