"""The API's connection to the policy database, used by one thread, which may be a green one.

`sgctl.rest.turns` decides which write is next. A read never waits for writes in the queue.
"""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sgctl.ovsdb.library import poller
from sgctl.rest.large_changes import LargeChangeGate
from sgctl.rest.liveness import HostLiveness
from sgctl.rest.turns import FairQueue, Rank, Turn
from sgctl.rest.view import View
from sgctl.service.plan import Plan
from sgctl.service.transaction import attempt
from sgctl.store import Conflict, Store, StoreError

LOG = logging.getLogger(__name__)

T = TypeVar("T")

IDLE_SECONDS = 5.0
REST_SECONDS, LOOK_SECONDS = 0.3, 1.0
"""How long changes of the policy may stay unread, and read but not processed, while no request needs them.
Processing them at once would take processor time while the controller brings them to the switches."""
PACE_SECONDS = 0.05
"""The interval of checks whether the switches have a large change for which others wait."""
CONNECT_SECONDS = 30.0
PATIENCE_SECONDS = 10.0
"""How long a write may wait for the database."""


class Unavailable(Exception):
    """The policy database has not been reached yet."""


class _Work(NamedTuple):
    """A write in the queue: its function, its number of objects, the promise of its result, its deadline."""

    do: Callable[[Store], Any]
    objects: int
    promise: Future[Any]
    deadline: float


class PolicyFollower:
    """Follows the policy in `run`. The thread of `run` also does the writes, one after another."""

    def __init__(self, remote: str) -> None:
        self._remote = remote
        self._store: Store | None = None
        self._connected = threading.Event()
        self._work: FairQueue[_Work] = FairQueue()
        self._viewers: list[Future[Store]] = []
        self._liveness = HostLiveness()
        self._large_changes = LargeChangeGate()
        self._look_due = math.inf
        self._rests = False
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)

    def view(self, turn: Turn) -> View:
        """The present policy; waits for the database and for unread changes. Raises Unavailable."""
        store = self._wait_for_store(turn)
        if not store.behind and not self._rests:
            return self._view_of(store, turn)
        promise: Future[Store] = Future()
        self._viewers.append(promise)
        return self._view_of(self._outcome(turn, promise), turn)

    def call(self, turn: Turn, work: Callable[[Store], T], objects: int = 1) -> T:
        """Call `work` with the store in the follower's thread when it is its turn; returns its result.

        `objects` is the number of objects that it concerns. After a Conflict, `work` is queued and called
        again. Raises what `work` raises, and Unavailable.
        """
        self._wait_for_store(turn)
        promise: Future[T] = Future()
        deadline = time.monotonic() + PATIENCE_SECONDS
        self._work.put(turn.owner, _Work(work, objects, promise, deadline))
        return self._outcome(turn, promise)

    def change(
        self, turn: Turn, decide: Callable[[Store], Plan], show: Callable[[View], T], objects: int = 1
    ) -> T:
        """Commit the plan that `decide` returns; returns what `show` returns for the new policy. See `call`.

        `show` must not ask whether a port is active: the follower's thread would wait for itself.
        """

        def work(store: Store) -> T:
            with store.writing():
                plan, generation = attempt(store, lambda _: decide(store))
            if turn.owner.rank is Rank.OTHERS:
                self._large_changes.begin(plan.changes, store.objects, generation)
            return show(self._view_of(store, turn))

        return self.call(turn, work, objects)

    def _view_of(self, store: Store, turn: Turn) -> View:
        """A view of the store's present contents."""
        return View(store.objects, store.status(partial(self._silent, turn)), store.quotas)

    def _silent(self, turn: Turn) -> Mapping[str, str]:
        """The hosts that have no controller at work; waits for their answers. Raises Unavailable."""
        self._wait_for_store(turn)
        known = self._liveness.known()
        hosts = known if known is not None else self._outcome(turn, self._liveness.ask())
        return dict.fromkeys(hosts, "")

    def _outcome(self, turn: Turn, promise: Future[T]) -> T:
        """The result of a promise; while it waits, others have the turn."""
        self._wake()
        with turn.aside():
            return promise.result()

    def _wait_for_store(self, turn: Turn) -> Store:
        if not self._connected.is_set():
            with turn.aside():
                self._connected.wait(PATIENCE_SECONDS)
        if self._store is None:
            raise Unavailable("the policy database cannot be reached")
        return self._store

    def run(self) -> None:
        """Follow the policy and do writes, forever. If this fails, requests get Unavailable."""
        try:
            self._store = store = self._connect()
            self._connected.set()
            while True:
                self._follow(store)
                self._show(store)
                self._liveness.step(store)
                if self._do_work(store):
                    time.sleep(0)  # lets requests arrive between two writes
                    continue
                self._block(store)
                self._rest()
        except Exception:
            LOG.critical("the API can no longer follow the policy", exc_info=True)
            raise
        finally:
            self._store = None
            self._give_up()

    def _follow(self, store: Store) -> None:
        """Read the received changes; process them if a request waits, or LOOK_SECONDS after the first one."""
        was_behind = store.behind
        store.absorb()
        if store.behind and not was_behind:
            self._look_due = time.monotonic() + LOOK_SECONDS
        if self._is_wanted or time.monotonic() >= self._look_due:
            self._look(store)

    def _look(self, store: Store) -> None:
        self._look_due = math.inf
        try:
            store.run()
        except StoreError as error:
            LOG.warning("policy database: %s", error)

    @property
    def _is_wanted(self) -> bool:
        """Whether a request waits for this thread."""
        return bool(self._viewers) or len(self._work) > 0 or self._liveness.is_wanted

    def _show(self, store: Store) -> None:
        viewers, self._viewers = self._viewers, []
        for promise in viewers:
            promise.set_result(store)

    def _give_up(self) -> None:
        waiting: list[Future[Any]] = [*self._viewers, *self._liveness.give_up()]
        self._viewers.clear()
        while len(self._work):
            waiting.append(self._work.take()[1].promise)
        for promise in waiting:
            promise.set_exception(Unavailable("the policy database cannot be reached"))

    def _connect(self) -> Store:
        while True:
            try:
                store = Store.connect(self._remote, CONNECT_SECONDS)
            except StoreError as error:
                LOG.warning("policy database: %s", error)
            else:
                store.timeout = PATIENCE_SECONDS
                return store

    def _do_work(self, store: Store) -> bool:
        """Do one write that may be done now; returns whether there was one."""
        rank = self._work.rank
        if rank is None or (rank is Rank.OTHERS and not self._large_changes.is_free(store)):
            return False
        owner, work = self._work.take()
        self._work.charge(owner, work.objects)
        try:
            work.promise.set_result(work.do(store))
        except Conflict as error:
            if time.monotonic() > work.deadline:
                work.promise.set_exception(error)
            else:
                self._work.put(owner, work)
        except Exception as error:  # noqa: BLE001  # it is raised in the request that waits for the work
            work.promise.set_exception(error)
        return True

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"!")
        except BlockingIOError:
            return  # the socket is full, so the follower will wake anyway

    def _block(self, store: Store) -> None:
        waiter = poller.Poller()
        store.wait(waiter)
        seconds = LOOK_SECONDS if store.behind else IDLE_SECONDS
        pauses = [seconds, *([PACE_SECONDS] if len(self._work) else [])]
        if (pause := self._liveness.pause) is not None:
            pauses.append(pause)
        self._sleep(waiter, min(pauses))

    def _rest(self) -> None:
        """Pause, so that the controller processes received changes first; a request ends the pause."""
        if not self._is_wanted:
            self._rests = True
            self._sleep(poller.Poller(), REST_SECONDS)
            self._rests = False

    def _sleep(self, waiter: Any, seconds: float) -> None:
        """Sleep until there is work, until what `waiter` waits for, or for `seconds`."""
        waiter.fd_wait(self._wake_out, poller.POLLIN)
        waiter.timer_wait(int(seconds * 1000))
        waiter.block()
        try:
            self._wake_out.recv(1 << 16)
        except BlockingIOError:
            return
