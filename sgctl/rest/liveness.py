"""Which hosts have no working controller: what such a host reported before cannot be trusted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future

from sgctl.store import Store, StoreError
from sgctl.store.liveness import LivenessCheck

LOG = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""For how long an answer is used for every request."""
DATABASE_SECONDS = 1.0
"""How long the database may take to deliver the question."""

Hosts = frozenset[str]


class HostLiveness:
    """Asks the controllers when somebody wants to know, once a second at most; for the follower's thread.

    Nobody waits for a host that is known to be silent: it counts as silent until it answers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent: Hosts = frozenset()
        self._fresh_until = 0.0
        self._call: LivenessCheck | None = None
        self._waiting: list[Future[Hosts]] = []
        self._problem = ""

    def known(self) -> Hosts | None:
        """The hosts without a controller at work; None when that is not known well enough."""
        return self._silent if self._clock() < self._fresh_until else None

    def ask(self) -> Future[Hosts]:
        """The same, once `step` has found out."""
        promise: Future[Hosts] = Future()
        self._waiting.append(promise)
        return promise

    @property
    def is_wanted(self) -> bool:
        """Whether `step` has something to do."""
        return bool(self._waiting) or self._call is not None

    @property
    def pause(self) -> float | None:
        """How many seconds to wait for the database before the next `step`; None for no limit."""
        return self._call.pause if self._call is not None else None

    def step(self, store: Store) -> None:
        """Ask, look who has answered, and tell those who wait.

        A database that is not there or hangs does not keep the follower's thread for long.
        """
        if not self.is_wanted:
            return
        before, store.timeout = store.timeout, DATABASE_SECONDS
        try:
            self._go_on(store)
        except StoreError as error:
            self._note(str(error))
            self._conclude(_reporting(store))
        finally:
            store.timeout = before

    def _go_on(self, store: Store) -> None:
        if not store.connected:
            raise StoreError("no connection to the policy database")
        if self._call is None:
            self._call = LivenessCheck(store, _reporting(store))
        else:
            self._call.try_locks()
        outcome, silent = self._call.outcome(), self._call.silent()
        if outcome is not None:
            self._note(outcome.problem)
            self._conclude(frozenset(outcome.hosts))
        elif silent <= self._silent:
            self._tell(silent)  # and go on listening

    def _note(self, problem: str) -> None:
        if problem and problem != self._problem:
            LOG.warning("cannot check which controllers are at work; ports are shown as down: %s", problem)
        self._problem = problem

    def give_up(self) -> list[Future[Hosts]]:
        """The requests that wait, which get no answer any more."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _conclude(self, silent: Hosts) -> None:
        self._call, self._silent = None, silent
        self._tell(silent)

    def _tell(self, silent: Hosts) -> None:
        self._silent, self._fresh_until = silent, self._clock() + FRESH_SECONDS
        for promise in self.give_up():
            promise.set_result(silent)


def _reporting(store: Store) -> Hosts:
    """The hosts that report a connected switch."""
    return frozenset(switch.chassis for switch in store.switches.values() if switch.connected)
