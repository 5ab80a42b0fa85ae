"""Large changes by members reach the switches one at a time, so an admin's change waits for at most one."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from flows.policy.objects import AddressGroup, Change, Port, Rule
from sgctl.store import Store
from sgctl.store.snapshot import PolicySnapshot

LARGE = 100
"""A change is large from this weight on: the number of objects to send to a switch."""
PATIENCE_SECONDS = 0.5
"""How long other changes wait until the switches have a large change."""


class LargeChangeGate:
    """Tells whether the switches have the last large change. A late switch is ignored until it catches up."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._generation = 0
        self._due = math.inf
        self._late: set[str] = set()

    def begin(self, changes: tuple[Change, ...], objects: PolicySnapshot, generation: int) -> None:
        """Note that these changes are in the policy since `generation`; `objects` are its objects then."""
        if weight(changes, objects) >= LARGE:
            self._generation, self._due = generation, self._clock() + PATIENCE_SECONDS

    def is_free(self, store: Store) -> bool:
        """Whether the next change may be made."""
        switches = store.switches.items()
        behind = {key for key, each in switches if each.connected and each.generation < self._generation}
        if self._clock() >= self._due:
            self._late |= behind
        self._late &= behind
        return behind <= self._late


def weight(changes: tuple[Change, ...], objects: PolicySnapshot) -> int:
    """The number of objects to send to switches. A port that gets or loses a group counts with its rules.

    Of an address group, the addresses that come or go count, and with a rule those of its remote.
    """
    moved = Counter(group for change in changes for group in _moved_groups(change))
    rules = sum(len(objects.where(Rule, "group_id", group)) * count for group, count in moved.items())
    return len(changes) + rules + sum(_addresses(change, objects) for change in changes)


def _addresses(change: Change, objects: PolicySnapshot) -> int:
    before, after = (obj.addresses if isinstance(obj, AddressGroup) else frozenset() for obj in change)
    rule = change.new or change.old
    if not isinstance(rule, Rule):
        return len(before ^ after)
    group = objects.get(AddressGroup, rule.remote_address_group_id or "")
    members = objects.having(Port, "security_groups", rule.remote_group_id or "")
    return (len(group.addresses) if group else 0) + sum(len(port.fixed_ips) for port in members)


def _moved_groups(change: Change) -> frozenset[str]:
    groups = [obj.security_groups if isinstance(obj, Port) else frozenset() for obj in change]
    return groups[0] ^ groups[1]
