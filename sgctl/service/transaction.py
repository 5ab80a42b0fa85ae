"""Commits a plan in one transaction; plans again after a conflict with another writer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from sgctl.service.metadata import with_metadata
from sgctl.service.plan import Plan
from sgctl.store import Conflict, Store
from sgctl.store.snapshot import PolicySnapshot

LONGEST_PAUSE = 0.2
"""Longest pause between attempts, in seconds. Pauses are random, so that writers get out of step."""


class Committed(NamedTuple):
    """A committed plan. A switch has applied the plan when it has applied `generation`."""

    plan: Plan
    generation: int


def transact(store: Store, decide: Callable[[PolicySnapshot], Plan]) -> Committed:
    """Commit the plan that `decide` makes from the current policy; retries for `store.timeout` seconds.

    After a conflict `decide` is called again, so it must not have side effects. Does not call `store.run`, so
    that the caller still gets the policy's changes from it.

    Raises the exceptions of `decide` (PolicyError), with nothing changed; StoreError; Conflict on timeout.
    """
    deadline = time.monotonic() + store.timeout
    pause = 0.01
    while True:
        try:
            with store.writing():
                return attempt(store, decide)
        except Conflict:
            if time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0, pause))  # noqa: S311  # no secret, only spreads the writers
        pause = min(2 * pause, LONGEST_PAUSE)


def attempt(store: Store, decide: Callable[[PolicySnapshot], Plan]) -> Committed:
    """Like `transact`, but try only once. Raises Conflict when another writer changed the policy first.

    The commit requires that the whole policy is unchanged since planning, so that checks across objects stay
    valid.
    """
    generation = store.generation
    plan = decide(store.objects)
    if not plan.changes:
        return Committed(plan, generation)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    changes = with_metadata(plan.changes, store.objects, now)
    return Committed(plan, store.commit(changes, at_generation=generation))
