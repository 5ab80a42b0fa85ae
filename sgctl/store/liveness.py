"""Finds the hosts without a working controller. No other module does this.

`Store.ask` raises a number in the database. A working controller answers by writing that number to its
Switch rows. The lock of a controller that has ended is free: this explains the missing answer, and there is
no need to wait for one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sgctl.ovsdb.errors import StoreError
from sgctl.ovsdb.identifiers import command
from sgctl.store.store import Store

DEAD = "no controller runs there"
HUNG = "its controller does not answer"
UNASKED = "it is unknown whether its controller works"

PATIENCE = "SGCTL_PATIENCE"
"""The environment variable that sets how many seconds a controller has to answer."""

_PATIENCE_SECONDS = 0.7
_SECONDS_PER_OBJECT = 50e-6
"""Extra time to answer per policy object: a controller first finishes compiling the whole policy."""
_SLOWNESS = 20
"""On a slow machine controllers are slow, too: this many times the database's response time is added."""
_PAUSE_SECONDS = 0.1
_MOST_SECONDS = 3600


class Silence(NamedTuple):
    """By host, why no controller works there; `problem` tells why controllers could not be asked."""

    hosts: Mapping[str, str]
    problem: str = ""


class LivenessCheck:
    """A question to the controllers of some hosts, and the answers so far."""

    def __init__(self, store: Store, hosts: Iterable[str], grace: float = 0.0) -> None:
        """Ask. `grace` is the time in seconds for controllers that are just being started.

        Raises StoreError when the database cannot be reached.
        """
        self._store = store
        self._hosts = frozenset(hosts)
        self._dead = frozenset[str]()
        self._refusal = ""
        self._number = 0
        seconds, begin = _patience_seconds(), time.monotonic()
        try:
            self._dead = store.unheld(self._hosts)
            self._number = store.ask()
        except StoreError as error:
            if not store.connected:
                raise
            self._refusal = str(error)
        slowness = _SLOWNESS * (time.monotonic() - begin)
        size = store.objects.size
        failover = store.failover_seconds if self._dead else 0.0
        self._patience = begin + seconds + failover + slowness + _SECONDS_PER_OBJECT * size
        self._dead_until = self._patience if failover else begin + grace

    def silent(self) -> frozenset[str]:
        """The hosts that have not answered. A host without a Switch row is silent if its lock is free."""
        answers: dict[str, int] = {}
        for switch in self._store.switches.values():
            answers[switch.chassis] = max(switch.answered, answers.get(switch.chassis, 0))
        return frozenset(
            host
            for host in self._hosts
            if (answers[host] < self._number if host in answers else host in self._dead)
        )

    def outcome(self) -> Silence | None:
        """The hosts without a working controller; None while more answers may come. Raises StoreError."""
        if self._refusal:
            reasons = {host: DEAD if host in self._dead else UNASKED for host in sorted(self._hosts)}
            return Silence(reasons, self._refusal)
        now, silent = time.monotonic(), self.silent()
        if silent <= self._without_controller(now) or now > self._patience:
            return Silence({host: DEAD if host in self._dead else HUNG for host in sorted(silent)})
        return None

    @property
    def pause(self) -> float:
        """Seconds to wait for answers before the next call of `try_locks`."""
        left = max(self._patience - time.monotonic(), 0.0)
        return min(left, _PAUSE_SECONDS) if self._dead else left

    def all_answered(self) -> bool:
        """Whether all hosts have answered, except those that are known to have no controller."""
        return self.silent() <= self._without_controller(time.monotonic())

    def try_locks(self) -> None:
        """Check whether hosts without a controller have one now. Raises StoreError."""
        if silent_dead := self.silent() & self._dead:
            self._dead = self._store.unheld(silent_dead)

    def _without_controller(self, now: float) -> frozenset[str]:
        return self._dead if now >= self._dead_until else frozenset()


def listen(store: Store, hosts: Iterable[str], grace: float = 0.0) -> Silence:
    """The hosts, out of these, where no controller works.

    This takes as long as the slowest answer. On a quiet machine and with a policy of moderate size, that is
    at most 0.7 s, or the value of SGCTL_PATIENCE. It is a second more if a lock is free and the database has
    several servers, because locks are lost when another server takes over. `grace` is the time in seconds for
    controllers that are just being started. Raises StoreError when the database cannot be reached. If the
    database is read-only, the result only tells which controllers have ended.
    """
    call = LivenessCheck(store, hosts, grace)
    while (outcome := call.outcome()) is None:
        store.wait_until(call.all_answered, call.pause)
        call.try_locks()
    return outcome


def _patience_seconds() -> float:
    text = os.environ.get(PATIENCE, "")
    try:
        seconds = float(text or _PATIENCE_SECONDS)
    except ValueError:
        seconds = 0.0
    if 0 < seconds < _MOST_SECONDS:
        return seconds
    raise StoreError(f"{PATIENCE}={text}: a number of seconds above 0 and below {_MOST_SECONDS}")


def namesake(store: Store, host: str, host_id: str) -> str:
    """An error text if another host has the same name as this one, else empty.

    `host_id` is the id of this host's switch database.
    """
    others = {switch.host_id for switch in store.switches.values() if switch.chassis == host} - {""}
    if not others or host_id in others:
        return ""
    mend = command("ovs-vsctl", "set", "open_vswitch", ".", "external_ids:system-id=OTHER")
    return f"another host is called {host!r}, too, and only that one is enforced: run `{mend}` here"
