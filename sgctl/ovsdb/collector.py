"""Limits when Python's garbage collector runs, and on which objects.

Policy objects, rows and flows are freed by reference counting, because there are no reference cycles among
them. The collector would search them for cycles nevertheless. For 10,000 flows that blocks the process for up
to 0.1 s while a switch waits for them; for 100,000 rules it doubles the time of loading.

Gain: without it, a restart with 400 ports takes 1.18 times as long (`python -m bench --only optimizations`).
Switch it off with `SGCTL_WITHOUT=collector`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from sgctl.optimizations import is_on

MUCH = 10_000
"""Number of container objects; from here on, the collector ignores the new objects."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Disable the collector for a block. If the block created many objects, exclude them from then on."""
    if not is_on("collector"):
        yield
        return
    enabled, before = gc.isenabled(), gc.get_count()[0]
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] - before > MUCH:
            gc.freeze()
        if enabled:
            gc.enable()
