"""Who writes the policy next: a lock of the database, which its server gives in the order of asking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sgctl.store.replica import Replica

PATIENCE_SECONDS = 1.0
_LOCK = "writers_of_sgctl"
"""An `<id>` (RFC 7047 section 3.1) that is no host's lock."""


@contextmanager
def writing(replica: Replica) -> Iterator[None]:
    """Of those who do the same, be the only one; so nobody's plan is overtaken again and again.

    It is a courtesy, not a condition: whoever has waited in vain for a second goes on without the lock, and
    does not wait again until it has come. A commit compares what it was based on, with the lock or without.
    """
    patience = PATIENCE_SECONDS if _LOCK not in replica.granted else 0.0
    if replica.connected:
        replica.want_lock(_LOCK)
    replica.pump_until(lambda: replica.granted.get(_LOCK, True), time.monotonic() + patience)
    try:
        yield
    finally:
        if replica.granted.get(_LOCK):
            replica.give_lock_back(_LOCK)
