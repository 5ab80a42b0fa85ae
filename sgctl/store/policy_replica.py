"""A copy of the policy database that follows it, and transactions on it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Self

from flows.policy.objects import Change
from sgctl.ovsdb.collector import collector_paused
from sgctl.ovsdb.errors import StoreError
from sgctl.ovsdb.permission import refusal
from sgctl.ovsdb.replica import SLOWEST_ROUND_MS, Operation, Replica, first_error
from sgctl.ovsdb.requests import describe_error
from sgctl.store import database_schema
from sgctl.store.host_status import HostStatus
from sgctl.store.quotas import Limits, read_quota
from sgctl.store.reader import PolicyReader
from sgctl.store.snapshot import PolicySnapshot
from sgctl.store.status import (
    BindingStatus,
    BoundPorts,
    KeyedRows,
    SwitchStatus,
    read_binding,
    read_switch,
    read_zone,
)

_ATTEMPTS = 10
_PAUSE_SECONDS = 0.05


class PolicyReplica:
    """Keeps a copy of the policy and of what hosts report up to date, and reconnects automatically.

    Only one thread, green or not, may use it. `objects` and the other mappings are current as of the last
    call of any method. Without a connection they stay as they were.
    """

    def __init__(self, remote: str, timeout: float) -> None:
        """Use `connect` instead: it waits until the policy has been read."""
        self.timeout = timeout
        self._replica = Replica(remote, database_schema.shipped())
        rows = self._replica.rows
        self._reader = PolicyReader(rows)
        self._switches = KeyedRows(rows["Switch"], read_switch)
        self._bindings = KeyedRows(rows["Binding"], read_binding)
        self._bound = BoundPorts(rows["Binding"])
        self._zones = KeyedRows(rows["Zone"], read_zone)
        self._quotas = KeyedRows(rows["Quota"], read_quota)
        self.generation = self._generation_told = 0
        self._bound_news = False
        self._accepted = self._replica.served

    @classmethod
    def connect(cls, remote: str, timeout: float = 10.0, patience: float | None = None) -> Self:
        """Connect and read the whole policy. `timeout` (seconds) also applies to `commit`.

        If the remote accepts no connection, gives up after `patience` seconds (None: after `timeout`). Raises
        StoreError when the server cannot be reached or its schema is not this version's.
        """
        store = cls(remote, timeout)
        begin = time.monotonic()
        try:
            with collector_paused():
                store._wait_for_rows(begin + timeout, None if patience is None else begin + patience)
        except BaseException:
            store.close()
            raise
        return store

    @property
    def objects(self) -> PolicySnapshot:
        """The policy."""
        return self._reader.snapshot(self.generation)

    def status(self, find_silent: Callable[[], Mapping[str, str]] = dict) -> HostStatus:
        """What controllers report; `find_silent`: see `HostStatus`."""
        known = self.switches, self.bindings, self._bound.bindings, self.zones, self.problems
        return HostStatus(*known, self.generation, find_silent)

    @property
    def problems(self) -> Mapping[str, str]:
        """By id of a row that was left out: the reason."""
        return self._reader.problems

    @property
    def switches(self) -> Mapping[str, SwitchStatus]:
        """The state of switches that controllers reported, by `chassis/bridge`."""
        return self._switches.values

    @property
    def bindings(self) -> Mapping[tuple[str, str], BindingStatus]:
        """The state of interfaces that controllers reported, by (`chassis/bridge`, interface)."""
        return self._bindings.values

    @property
    def bound_ports(self) -> AbstractSet[str]:
        """The ids of the ports that are bound on any host, whether or not its controller works."""
        return self._bound.bindings.keys()

    def bound_changes(self) -> dict[str, bool]:
        """By port id: whether it is bound, where that changed since the last call; the first returns all."""
        changes, self._bound.changed = self._bound.changed, {}
        return changes

    @property
    def zones(self) -> Mapping[tuple[str, str, str], int]:
        """Conntrack zones 1–65534 by (chassis, bridge, network id)."""
        return self._zones.values

    @property
    def quotas(self) -> Mapping[str, Limits]:
        """The limits of projects that have limits of their own, by project."""
        return self._quotas.values

    @property
    def connected(self) -> bool:
        """Whether the server is connected; if not, the mappings may be out of date."""
        return self._replica.connected

    @property
    def failover_seconds(self) -> float:
        """How long clients may take to find the new leader of the database, in seconds."""
        return SLOWEST_ROUND_MS / 1000 if self._replica.has_several_servers else 0.0

    def run(self) -> list[Change]:
        """Process received updates, without waiting; returns the policy's changes since the last call.

        The first call returns everything. A new or changed object comes after the objects it refers to, a
        deleted object before them. Raises StoreError when the schema is no longer this version's.
        """
        try:
            self._take()
        finally:
            self._generation_told = self.generation
            self._bound_news = False
        return self._reader.changes()

    def absorb(self) -> None:
        """Receive what the server sent; the next call of any other method applies it to the mappings."""
        self._replica.pump()

    @property
    def behind(self) -> bool:
        """Whether `absorb` received updates that `objects` and the other mappings do not show yet."""
        return self._replica.has_touched

    def block(self, timeout: float) -> None:
        """Sleep until there is something to `run`, or for `timeout` seconds; other green threads run."""
        if not self._has_news:
            self._replica.poll(timeout)

    def wait(self, poller: Any) -> None:
        """Let an `ovs.poller.Poller` wake up when there is something to `run`."""
        if self._has_news:
            poller.immediate_wake()
        else:
            self._replica.wait(poller)

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Process updates until the condition holds (True) or `timeout` seconds have passed (False)."""
        return self._pump_until(condition, time.monotonic() + timeout)

    def close(self) -> None:
        """Close the connection."""
        self._replica.close()

    @property
    def _has_news(self) -> bool:
        """Whether there are processed updates that `run` has not returned yet."""
        return self._reader.changed or self._bound_news or self.generation != self._generation_told

    def _wait_for_rows(self, deadline: float, refused_until: float | None) -> None:
        if not self._replica.wait_for_rows(deadline, refused_until, self._check_schema):
            remote = self._replica.remote
            who = "ryu-manager sgctl" if remote.startswith("unix:") else "its server"
            why = refusal(remote) or f"is {who} running?"
            raise StoreError(f"cannot connect to the policy database at {remote}; {why}")
        self._digest()
        self._provide_counters(deadline)

    def _provide_counters(self, deadline: float) -> None:
        """Add the row of Global to a new database; another client may do so at the same time."""
        if self._replica.rows["Global"]:
            return
        absent = {"op": "wait", "table": "Global", "timeout": 0, "where": [], "until": "=="}
        counters = {"next_rule_number": self._reader.next_free_number, "generation": self.generation}
        operations: list[Operation] = [
            {**absent, "columns": ["generation"], "rows": []},
            {"op": "insert", "table": "Global", "row": counters},
        ]
        results = self._replica.transact(operations, deadline)
        error = first_error(results) if results is not None else None
        if error is not None and error[0] > 0:  # not the `wait`, which fails when another client was faster
            raise _refused(error)
        if not self._replica.pump_until(lambda: bool(self._replica.rows["Global"]), deadline):
            raise StoreError(f"the policy database at {self._replica.remote} cannot be written")
        self._digest()

    def _wait_for_connection(self, deadline: float, uncertain: bool) -> None:
        """Wait for a connection, to commit or, if `uncertain`, to find out whether the commit succeeded."""
        if uncertain:
            self._replica.poll(_PAUSE_SECONDS)
        connected = self._replica.pump_until(lambda: self._replica.connected, deadline)
        if not connected or time.monotonic() > deadline:
            what = "too busy" if connected else "no connection"
            outcome = "the change may or may not have been made" if uncertain else "nothing was written"
            raise StoreError(f"the policy database at {self._replica.remote}: {what}; {outcome}")
        self._digest()
        self._provide_counters(deadline)

    def _write_once(self, operations: list[Operation]) -> list[Any]:
        """Run one transaction; returns the results of its operations. Raises StoreError."""
        results = self._replica.transact(operations, time.monotonic() + self.timeout)
        error = first_error(results) if results is not None else None
        if results is None or error is not None:
            raise _refused(error or (0, "the connection was lost"))
        return results

    def _write_until_done(self, compose: Callable[[], list[Operation]]) -> None:
        """Write the operations that `compose` returns; compose them again after a failure."""
        deadline = time.monotonic() + self.timeout
        error: tuple[int, Any] | None = None
        for _ in range(_ATTEMPTS):
            self._take()
            operations = compose()
            if not operations:
                return
            results = self._replica.transact(operations, deadline)
            error = first_error(results) if results is not None else (0, "the connection was lost")
            if error is None:
                self._take()
                return
            self._replica.poll(_PAUSE_SECONDS)
        raise _refused(error or (0, "no answer"))

    def _pump_until(self, condition: Callable[[], bool], deadline: float) -> bool:
        def digested() -> bool:
            self._digest()
            return condition()

        return self._replica.pump_until(digested, deadline)

    def _take(self) -> None:
        self._replica.pump()
        self._digest()

    def _digest(self) -> None:
        self._check_schema()
        by_table = defaultdict(list)
        touched = self._replica.touched()
        for table, identifier in touched:
            by_table[table].append(identifier)
        self._reader.take(touched)
        self._switches.take(by_table["Switch"])
        self._bindings.take(by_table["Binding"])
        self._bound.take(by_table["Binding"])
        self._bound_news |= bool(by_table["Binding"])
        self._zones.take(by_table["Zone"])
        self._quotas.take(by_table["Quota"])
        for row in self._replica.rows["Global"].values():
            self.generation = row.get("generation", 0)

    def _check_schema(self) -> None:
        served = self._replica.served
        if served is not self._accepted:
            database_schema.check_served(served, self._replica.remote)
            self._accepted = served


def _refused(error: tuple[int, Any]) -> StoreError:
    return StoreError(f"the policy database refused: {describe_error(error[1])}")
