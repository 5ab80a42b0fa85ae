"""Large changes of members reach the switches one at a time, so that an admin's waits for one at most."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from flows.policy.objects import Change, Port, Rule
from sgctl.service.draft import Objects
from sgctl.store import Store

LARGE = 100
"""Objects that a switch has to be told about, from which on a change is large."""
PATIENCE_SECONDS = 0.5
"""How long others wait for switches to have a large change."""


class Pace:
    """Says whether the switches have the last large change. A switch that is late is waited for once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._generation = 0
        self._due = math.inf
        self._late: set[str] = set()

    def begin(self, changes: tuple[Change, ...], objects: Objects, generation: int) -> None:
        """These changes are in the policy as of a generation, of which `objects` are the objects."""
        if weight(changes, objects) >= LARGE:
            self._generation, self._due = generation, self._clock() + PATIENCE_SECONDS

    def is_free(self, store: Store) -> bool:
        """Whether the next change may come."""
        switches = store.switches.items()
        behind = {key for key, each in switches if each.connected and each.generation < self._generation}
        if self._clock() >= self._due:
            self._late |= behind
        self._late &= behind
        return behind <= self._late


def weight(changes: tuple[Change, ...], objects: Objects) -> int:
    """How many objects the switches have to be told about: with a group, a port gets or loses its rules."""
    moved = Counter(group for change in changes for group in _moved_groups(change))
    rules = objects[Rule].values() if moved else ()
    return len(changes) + sum(moved[rule.group_id] for rule in rules if isinstance(rule, Rule))


def _moved_groups(change: Change) -> frozenset[str]:
    groups = [obj.security_groups if isinstance(obj, Port) else frozenset() for obj in change]
    return groups[0] ^ groups[1]
