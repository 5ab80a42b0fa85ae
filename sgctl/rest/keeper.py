"""The API's own connection to the policy database, used by one thread, green or not."""

from __future__ import annotations

import logging
import math
import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sgctl.rest.view import View
from sgctl.store import Store, StoreError
from sgctl.store.ovs_library import poller

LOG = logging.getLogger(__name__)

T = TypeVar("T")

IDLE_SECONDS = 5.0
REST_SECONDS, LOOK_SECONDS = 0.3, 1.0
"""How long news of the policy may stay unread, and read but not looked at, when nobody asks. To take them in
at once would take the time of the control loop, which is in the same process and has to bring them to the
switches."""
CONNECT_SECONDS = 30.0
PATIENCE_SECONDS = 10.0
"""How long a write may wait for the database."""


class Unavailable(Exception):
    """The policy database has not been reached yet."""


class Keeper:
    """Follows the policy in `run`, whose thread also does the writes, one after the other."""

    def __init__(self, remote: str) -> None:
        self._remote = remote
        self._store: Store | None = None
        self._connected = threading.Event()
        self._work: queue.SimpleQueue[tuple[Callable[[Store], Any], Future[Any]]] = queue.SimpleQueue()
        self._look_due = math.inf
        self._rests = False
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)

    def view(self) -> View:
        """The policy as last heard of, first waiting for it to be. Raises Unavailable."""
        store = self._wait_for_store()
        return self.call(view_of) if store.behind or self._rests else view_of(store)

    def call(self, work: Callable[[Store], T]) -> T:
        """What `work` makes of the store in the keeper's thread. Raises what it raises, and Unavailable."""
        self._wait_for_store()
        promise: Future[T] = Future()
        self._work.put((work, promise))
        self._wake()
        return promise.result()

    def _wait_for_store(self) -> Store:
        self._connected.wait(PATIENCE_SECONDS)
        if self._store is None:
            raise Unavailable("the policy database cannot be reached")
        return self._store

    def run(self) -> None:
        """Go on for ever. Should that ever fail, the API says that it is unavailable."""
        try:
            self._store = store = self._connect()
            self._connected.set()
            while True:
                self._follow(store)
                self._do_work(store)
                self._block(store)
                self._rest()
        except Exception:
            LOG.critical("the API can no longer follow the policy", exc_info=True)
            raise
        finally:
            self._store = None
            self._give_up()

    def _follow(self, store: Store) -> None:
        """Take in what has come, and look at it when somebody waits or it has been there for a while."""
        was_behind = store.behind
        store.absorb()
        if store.behind and not was_behind:
            self._look_due = time.monotonic() + LOOK_SECONDS
        if not self._work.empty() or time.monotonic() >= self._look_due:
            self._look(store)

    def _look(self, store: Store) -> None:
        self._look_due = math.inf
        try:
            store.run()
        except StoreError as error:
            LOG.warning("policy database: %s", error)

    def _give_up(self) -> None:
        while not self._work.empty():
            self._work.get()[1].set_exception(Unavailable("the policy database cannot be reached"))

    def _connect(self) -> Store:
        while True:
            try:
                store = Store.connect(self._remote, CONNECT_SECONDS)
            except StoreError as error:
                LOG.warning("policy database: %s", error)
            else:
                store.timeout = PATIENCE_SECONDS
                return store

    def _do_work(self, store: Store) -> None:
        while not self._work.empty():
            work, promise = self._work.get()
            try:
                promise.set_result(work(store))
            except Exception as error:  # noqa: BLE001  # it belongs to whoever asked for the work
                promise.set_exception(error)

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"!")
        except BlockingIOError:
            return  # it is full, so the keeper will wake anyway

    def _block(self, store: Store) -> None:
        waiter = poller.Poller()
        store.wait(waiter)
        self._sleep(waiter, LOOK_SECONDS if store.behind else IDLE_SECONDS)

    def _rest(self) -> None:
        """Let the control loop be first at what has come; whoever asks meanwhile ends the rest."""
        if self._work.empty():
            self._rests = True
            self._sleep(poller.Poller(), REST_SECONDS)
            self._rests = False

    def _sleep(self, waiter: Any, seconds: float) -> None:
        """Until there is work, or what `waiter` waits for."""
        waiter.fd_wait(self._wake_out, poller.POLLIN)
        waiter.timer_wait(int(seconds * 1000))
        waiter.block()
        try:
            self._wake_out.recv(1 << 16)
        except BlockingIOError:
            return


def view_of(store: Store) -> View:
    """What the store knows at this moment."""
    return View(store.objects, store.switches, store.bindings, store.generation, store.quotas)
