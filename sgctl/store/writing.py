"""A lock for writers of the policy, which the database server grants in the order of requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sgctl.ovsdb.replica import Replica

PATIENCE_SECONDS = 1.0
_LOCK = "writers_of_sgctl"
"""An `<id>` (RFC 7047 section 3.1) that cannot be the lock of a host."""


@contextmanager
def writing(replica: Replica) -> Iterator[None]:
    """Hold the writers' lock for a block, so that writers do not make each other's commits fail repeatedly.

    The lock is not needed for correctness: a commit always checks the data it was based on. A writer that has
    waited for one second continues without the lock, and does not wait again until the lock was granted.
    """
    patience = PATIENCE_SECONDS if _LOCK not in replica.granted else 0.0
    if replica.connected:
        replica.want_lock(_LOCK)
    replica.pump_until(lambda: replica.granted.get(_LOCK, True), time.monotonic() + patience)
    try:
        yield
    finally:
        if replica.granted.get(_LOCK):
            replica.release_lock(_LOCK)
