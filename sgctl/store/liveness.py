"""Which hosts have no controller that is at work. This is the one place that knows how to find out.

A controller that is at work says that it has seen the number which `Store.ask` raises. One that has died
has given its lock back; that tells why there is no answer, and that there is no point in waiting for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sgctl.store.errors import StoreError
from sgctl.store.identifiers import command
from sgctl.store.store import Store

DEAD = "no controller runs there"
HUNG = "its controller does not answer"
UNASKED = "nobody knows whether its controller is at work"

PATIENCE = "SGCTL_PATIENCE"
"""The environment variable that sets how many seconds a controller has to answer."""

_PATIENCE_SECONDS = 0.7
_SECONDS_PER_OBJECT = 50e-6
"""A controller that compiles the whole policy answers after that."""
_SLOWNESS = 20
"""Where the database takes long to answer, everybody does: so many times its answer's time is added."""
_PAUSE_SECONDS = 0.1
_MOST_SECONDS = 3600


class Silence(NamedTuple):
    """Why nobody is at work, by host; `problem` is why some could not be asked."""

    hosts: Mapping[str, str]
    problem: str = ""


class LivenessCheck:
    """A question to the controllers of some hosts, and who has answered until now."""

    def __init__(self, store: Store, hosts: Iterable[str], grace: float = 0.0) -> None:
        """Ask. `grace` is how many seconds a controller that is just being started has.

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
        size = sum(map(len, store.objects.values()))
        failover = store.failover_seconds if self._dead else 0.0
        self._patience = begin + seconds + failover + slowness + _SECONDS_PER_OBJECT * size
        self._hope = self._patience if failover else begin + grace

    def silent(self) -> frozenset[str]:
        """The hosts that have not answered. One without a switch has nowhere to say so: its lock must do."""
        answers: dict[str, int] = {}
        for switch in self._store.switches.values():
            answers[switch.chassis] = max(switch.answered, answers.get(switch.chassis, 0))
        return frozenset(
            host
            for host in self._hosts
            if (answers[host] < self._number if host in answers else host in self._dead)
        )

    def outcome(self) -> Silence | None:
        """Who is not at work; None while answers are to be hoped for. Raises StoreError."""
        if self._refusal:
            reasons = {host: DEAD if host in self._dead else UNASKED for host in sorted(self._hosts)}
            return Silence(reasons, self._refusal)
        now, silent = time.monotonic(), self.silent()
        if silent <= self._hopeless(now) or now > self._patience:
            return Silence({host: DEAD if host in self._dead else HUNG for host in sorted(silent)})
        return None

    @property
    def pause(self) -> float:
        """How many seconds to wait for answers until the locks are tried again with `try_locks`."""
        left = max(self._patience - time.monotonic(), 0.0)
        return min(left, _PAUSE_SECONDS) if self._dead else left

    def all_answered(self) -> bool:
        """Whether all have answered but those of whom no answer is to be hoped for."""
        return self.silent() <= self._hopeless(time.monotonic())

    def try_locks(self) -> None:
        """See whether those who were dead are there again. Raises StoreError."""
        if silent_dead := self.silent() & self._dead:
            self._dead = self._store.unheld(silent_dead)

    def _hopeless(self, now: float) -> frozenset[str]:
        return self._dead if now >= self._hope else frozenset()


def listen(store: Store, hosts: Iterable[str], grace: float = 0.0) -> Silence:
    """The hosts, out of these, where no controller is at work.

    It takes as long as the slowest answer: at most 0.7 s, or what SGCTL_PATIENCE says, on a quiet machine and
    when the policy is of moderate size; a second more where a lock is free and the database has several
    servers, because their locks are gone when another of them takes over. `grace` is how many seconds a
    controller that is just being started has. Raises StoreError when the database cannot be reached. One
    that cannot be written tells at most which controllers have died.
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
    """What is wrong when another host has the name of this one, whose switch database has this id."""
    others = {switch.host_id for switch in store.switches.values() if switch.chassis == host} - {""}
    if not others or host_id in others:
        return ""
    mend = command("ovs-vsctl", "set", "open_vswitch", ".", "external_ids:system-id=OTHER")
    return f"another host is called {host!r}, too, and only that one is enforced: run `{mend}` here"
