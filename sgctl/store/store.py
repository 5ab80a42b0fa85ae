"""The client of the policy database, for commands and controllers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from flows.policy.objects import Change
from sgctl.ovsdb.collector import collector_paused
from sgctl.ovsdb.identifiers import lock_name
from sgctl.store.commit import Commit
from sgctl.store.policy_replica import PolicyReplica
from sgctl.store.quotas import Limits, no_quota_operations, quota_operations
from sgctl.store.status import (
    BindingStatus,
    SwitchStatus,
    binding_operations,
    hosts_in,
    moved_operations,
    removal_operations,
    renaming_operations,
    switch_operations,
)
from sgctl.store.writing import writing
from sgctl.store.zones import zone_operations


class Store(PolicyReplica):
    """Commits changes of the policy, reports the state of hosts, and holds the locks of hosts."""

    answered = 0
    """The number of the last `ask` that this store has answered."""

    def compete(self, chassis: str) -> None:
        """Request a host's lock. The server grants it to one client at a time, until that client disconnects.

        This store cannot write anything until it holds the lock.
        """
        self._replica.set_lock(lock_name(chassis))

    @property
    def has_lock(self) -> bool:
        """Whether this store holds the lock. Raises StoreError when the server refused the request."""
        self._replica.require_no_refusal()
        return bool(self._replica.has_lock)

    @property
    def lock_is_taken(self) -> bool:
        """Whether another client holds the lock. False without a connection, like `has_lock`."""
        return bool(self._replica.is_lock_contended)

    def unheld(self, hosts: Iterable[str]) -> frozenset[str]:
        """The hosts whose lock is free: no controller runs for them. Raises StoreError."""
        names = list(hosts)
        granted = self._replica.try_locks([lock_name(name) for name in names], self.timeout)
        return frozenset(name for name, free in zip(names, granted, strict=True) if free)

    def ask(self) -> int:
        """Ask every controller to show that it works; returns the number that it has to answer.

        Raises StoreError when the database cannot be written.
        """
        self._wait_for_connection(time.monotonic() + self.timeout, uncertain=False)
        raise_number = {"op": "mutate", "table": "Global", "where": [], "mutations": [["asked", "+=", 1]]}
        read = {"op": "select", "table": "Global", "where": [], "columns": ["asked"]}
        return int(self._write_once([raise_number, read])[1]["rows"][0]["asked"])

    @property
    def asked(self) -> int:
        """The number of the last `ask` of any client, current as of now."""
        self._replica.pump()
        return max((row.get("asked", 0) for row in self._replica.rows["Global"].values()), default=0)

    def answer(self, chassis: str, number: int) -> None:
        """Report once that the controller of this host works and has seen this number.

        Call it before processing other updates, because that may take long. Raises StoreError.
        """
        if number == self.answered or not self._replica.connected:
            return
        where = [["chassis", "==", chassis]]
        update = {"op": "update", "table": "Switch", "where": where, "row": {"answered": number}}
        self._write_once([update])
        self.answered = number

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writers' lock for a block, with the policy current at its start; see `writing`."""
        with writing(self._replica):
            self._take()
            yield

    def commit(self, changes: Sequence[Change], *, at_generation: int | None = None) -> int:
        """Write all changes in one durable transaction; returns the policy's new generation.

        Every `old` must equal the object in the database. With `at_generation`, the whole policy must still
        have this generation. New rules have number 0 and get the next free number. Deleting a group also
        deletes its rules. `objects` shows the result at once, and the next `run` returns it as changes.

        Raises Conflict when another client changed the data first, and StoreError when a change is refused or
        cannot be made. In both cases nothing was written, unless StoreError says that the outcome is unknown.
        """
        with collector_paused():
            return self._commit(changes, at_generation)

    def _commit(self, changes: Sequence[Change], at_generation: int | None) -> int:
        deadline = time.monotonic() + self.timeout
        self._take()
        commit = Commit(self._replica, self._reader, changes, at_generation)
        while True:
            self._wait_for_connection(deadline, commit.uncertain)
            if commit.uncertain and commit.is_done():
                return self.generation
            try:
                generation = commit.attempt(deadline)
            finally:
                self._take()  # what was written, or what caused the conflict
            if generation is not None:
                return generation

    def wait_applied(self, generation: int, timeout: float) -> list[str]:
        """Wait until every connected switch has this generation; returns the keys of those that have not.

        `timeout` is in seconds.
        """
        deadline = time.monotonic() + timeout
        self._pump_until(lambda: not self._lagging(generation), deadline)
        return self._lagging(generation)

    def _lagging(self, generation: int) -> list[str]:
        return sorted(
            key
            for key, switch in self.switches.items()
            if switch.connected and switch.generation < generation
        )

    def allocate_zones(self, chassis: str, wanted: Iterable[tuple[str, str]]) -> None:
        """Give each (bridge, network id) a permanent conntrack zone that is unique on the chassis.

        Raises StoreError when there is no connection or no zone is free.
        """
        pairs = frozenset(wanted)
        self._write_until_done(lambda: zone_operations(self._zones, self._replica.rows, chassis, pairs))

    def report(
        self, switches: Iterable[SwitchStatus], bindings: Iterable[BindingStatus], chassis: str = ""
    ) -> None:
        """Replace the reported state of the chassis of these switches, and of `chassis`.

        Raises StoreError at once when there is no connection; the next report then includes these changes.
        """
        switches, bindings = list(switches), list(bindings)
        concerned = frozenset({chassis, *(switch.chassis for switch in switches)} - {""})
        self._write_until_done(
            lambda: [
                *binding_operations(self._bindings, bindings, concerned),
                *switch_operations(self._switches, switches, concerned),
            ]
        )

    def report_moved(
        self,
        switches: Iterable[SwitchStatus],
        moved: Mapping[tuple[str, str], BindingStatus | None],
        chassis: str = "",
    ) -> None:
        """Like `report`, but only with changed bindings, by key; None deletes a binding."""
        switches = list(switches)
        concerned = frozenset({chassis, *(switch.chassis for switch in switches)} - {""})
        self._write_until_done(
            lambda: [
                *moved_operations(self._bindings, moved),
                *switch_operations(self._switches, switches, concerned),
            ]
        )

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts for which controllers have reported anything."""
        return hosts_in(self._replica.rows)

    def delete_host(self, host: str) -> None:
        """Delete everything that controllers reported for a host. Raises StoreError."""
        self._write_until_done(lambda: removal_operations(host) if host in self.hosts else [])

    def rename_host(self, host: str, name: str) -> None:
        """Move everything reported for `host` to the host `name`.

        If there are reports for `name` already, those for `host` are deleted instead. Raises StoreError.
        """
        if name in self.hosts:
            self.delete_host(host)
        else:
            self._write_until_done(lambda: renaming_operations(host, name) if host in self.hosts else [])

    def set_quota(self, project: str, limits: Limits) -> None:
        """Set these limits of a project and keep its other limits; durable on return. Raises StoreError."""
        self._write_until_done(lambda: quota_operations(self._quotas, project, limits))

    def delete_quota(self, project: str) -> None:
        """Delete a project's own limits; durable on return. Raises StoreError."""
        self._write_until_done(lambda: no_quota_operations(self._quotas, project))
