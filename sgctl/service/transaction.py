"""Carrying out a plan: one transaction, planned again on fresh objects when somebody else was faster."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from sgctl.service.draft import Objects
from sgctl.service.plan import Plan
from sgctl.service.stamps import stamped
from sgctl.store import Conflict, Store

LONGEST_PAUSE = 0.2
"""Seconds; pauses between attempts grow up to here, and are random so that writers get out of step."""


class Committed(NamedTuple):
    """A plan that is durable. `generation` is what a switch has applied once it does what the plan says."""

    plan: Plan
    generation: int


def transact(store: Store, decide: Callable[[Objects], Plan]) -> Committed:
    """Commit what `decide` makes of the policy as it is, for as long as `store.timeout` seconds.

    After a conflict `decide` is called again, so it must have no effects of its own. Leaves `store.run` to
    whoever follows the policy's changes.

    Raises what `decide` raises (PolicyError), with nothing changed; StoreError; Conflict when time is over.
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


def attempt(store: Store, decide: Callable[[Objects], Plan]) -> Committed:
    """`transact` once. Raises Conflict when somebody else was faster.

    The commit holds only if the whole policy is still what was planned on, so that a plan's checks between
    objects stay true.
    """
    generation = store.generation
    plan = decide(store.objects)
    if not plan.changes:
        return Committed(plan, generation)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    changes = stamped(plan.changes, store.objects, now)
    return Committed(plan, store.commit(changes, at_generation=generation))
