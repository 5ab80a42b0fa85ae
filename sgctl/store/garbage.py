"""When Python's collector of cyclic garbage may look, and at what.

Policy objects, rows and flows are freed by reference counting: there is no cycle among them. The collector
would look at them for cycles all the same. For 10,000 flows that stops the process for up to 0.1 s, just
while a switch waits for them; for 100,000 rules it doubles the time of loading.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MUCH = 10_000
"""Objects that can have references."""


@contextmanager
def much_may_stay() -> Iterator[None]:
    """Do not collect meanwhile; when much was made that stays, never look at it."""
    enabled, before = gc.isenabled(), gc.get_count()[0]
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] - before > MUCH:
            gc.freeze()
        if enabled:
            gc.enable()
