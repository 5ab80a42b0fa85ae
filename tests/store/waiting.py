"""Helpers that wait until a store or a switch watcher has received updates."""

from __future__ import annotations

import time
from collections.abc import Callable

from flows.policy.objects import Change
from sgctl.store import Store
from sgctl.vswitch.local_switches import LocalSwitches


def changes_until(store: Store, condition: Callable[[], bool], seconds: float = 10.0) -> list[Change]:
    """Run the store until the condition holds; returns the changes meanwhile."""
    changes: list[Change] = []
    deadline = time.monotonic() + seconds
    while True:
        changes += store.run()
        if condition():
            return changes
        assert time.monotonic() < deadline, "the condition was not met in time"
        store.block(0.1)


def watch_until(switches: LocalSwitches, condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Run the watcher until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        switches.block(0.1)
        switches.run()
