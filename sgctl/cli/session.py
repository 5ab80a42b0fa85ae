"""The connections of one run of the command line."""

# ruff: noqa: PLC0415  # OVSDB's client is loaded when a command connects

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, cast

import click

from sgctl.cli.kinds import WITH_REPORTS, Kind
from sgctl.cli.terminal import Failure, progress
from sgctl.settings import Settings

if TYPE_CHECKING:
    from flows.policy import Policy
    from sgctl.explain.expected import Picture
    from sgctl.explain.switch import SwitchTools
    from sgctl.service.draft import Objects
    from sgctl.service.names import Named
    from sgctl.service.plan import Plan
    from sgctl.service.transaction import Committed
    from sgctl.store import Store
    from sgctl.store.devices import Interface
    from sgctl.store.liveness import Silence
    from sgctl.store.local import LocalSwitches

T = TypeVar("T", bound="Named")

CONNECT_TIMEOUT = 5.0
"""Seconds until a database that does not answer is given up."""
REFUSED_TIMEOUT = 0.3
"""The same for one that takes no connections."""
NOT_ENFORCED = "no switch is connected: the policy is stored, and nothing enforces it"
_GRACE_SECONDS = 0.7
"""So long a controller that is being started may take until somebody who waits gives up."""
_LOOK_AGAIN_SECONDS = 1.0
"""Who waits asks again whether the controllers are at work."""


@contextmanager
def plain_failures() -> Iterator[None]:
    """What a database or the policy refuses becomes Failure, one line for each reason."""
    from sgctl.service.errors import PolicyError
    from sgctl.store import StoreError

    try:
        yield
    except PolicyError as error:
        raise Failure(*map(str, error.findings)) from error
    except StoreError as error:
        raise Failure(str(error)) from error


class Session:
    """Connects when asked and closes at the end. Raises Failure where something cannot be done."""

    def __init__(self, db: str | None, ovsdb: str | None, project: str | None = None) -> None:
        """`project` is on whose behalf: names mean its objects, and new objects belong to it."""
        self.project = Settings.from_environment().project if project is None else project
        self._db = db
        self._ovsdb = ovsdb
        self._store: Store | None = None
        self._local: LocalSwitches | None = None
        self._policy: Policy | None = None
        self._picture: Picture | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in (self._store, self._local):
            if connection is not None:
                connection.close()

    @property
    def store(self) -> Store:
        """The policy database, with its first snapshot."""
        if self._store is None:
            from sgctl.store import Store

            remote = self._db or Settings.from_environment().policy_remote
            with plain_failures():
                self._store = Store.connect(remote, CONNECT_TIMEOUT, REFUSED_TIMEOUT)
        return self._store

    @property
    def local(self) -> LocalSwitches:
        """The Open vSwitch database of this machine."""
        if self._local is None:
            from sgctl.store.local import LocalSwitches

            remote = self._ovsdb or Settings.from_environment().ovsdb
            with plain_failures():
                self._local = LocalSwitches.connect(remote, CONNECT_TIMEOUT, REFUSED_TIMEOUT)
        return self._local

    @property
    def local_if_any(self) -> LocalSwitches | None:
        """The same, where this machine has one that answers."""
        remote = self._ovsdb or Settings.from_environment().ovsdb
        kind, _, path = remote.partition(":")
        if kind == "unix" and not os.path.exists(path):  # noqa: PTH110 - pathlib's raises PermissionError
            return None
        try:
            return self.local
        except Failure:
            return None

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces of this machine that a bridge has set up."""
        return [interface for bridge in self.local.bridges.values() for interface in bridge.interfaces]

    @property
    def policy(self) -> Policy:
        """The policy alone, for what has to be known of no switch."""
        from flows.model import Change
        from flows.policy import Policy

        if self._policy is None:
            self._policy = Policy()
            objects = self.store.objects.values()
            self._policy.apply(Change(None, obj) for of_kind in objects for obj in of_kind.values())
            self._policy.apply_bound(dict.fromkeys(self.store.bound_ports, True))
        return self._policy

    @property
    def picture(self) -> Picture:
        """The policy and what this machine's switches should hold."""
        from sgctl.explain.expected import Picture

        if self._picture is None:
            with plain_failures():
                self._picture = Picture(self.store, self.local)
        return self._picture

    @property
    def tools(self) -> SwitchTools:
        """Open vSwitch's tools for this machine's switch."""
        from sgctl.explain.switch import SwitchTools

        return SwitchTools.beside(self._ovsdb or Settings.from_environment().ovsdb)

    def transact(self, decide: Callable[[Objects], Plan]) -> Committed:
        """Carry out a plan."""
        from sgctl.service.transaction import transact

        store = self.store
        with plain_failures(), progress("checking and storing the policy"):
            return transact(store, decide)

    def find(self, kind: type[T], reference: str) -> T:
        """The object with this id or name. Raises Failure."""
        from sgctl.cli.lookup import find
        from sgctl.service.draft import Draft

        return find(Draft(self.store.objects, self.project), kind, reference)

    def catch_up(self, committed: Committed) -> None:
        """Have in `store` what was committed."""
        deadline = time.monotonic() + CONNECT_TIMEOUT
        with plain_failures():
            while self.store.generation < committed.generation and time.monotonic() < deadline:
                self.store.run()
                if self.store.generation < committed.generation:
                    self.store.block(0.1)
            self.store.run()

    def finish(self, committed: Committed, options: Mapping[str, object]) -> None:
        """Wait for the switches, where the options `--wait` and `--timeout` ask for that.

        Otherwise see to it that there is somebody to take the change. Raises Failure.
        """
        if options["wait"]:
            self.wait_applied(committed.generation, cast("float", options["timeout"]))
        else:
            self.require_controllers()

    def listen(self, grace: float = 0.0, here: bool = False) -> Silence:
        """The hosts where no controller is at work, of those that have switches and, if `here`, this machine.

        `grace`: see `sgctl.store.liveness`.
        """
        from sgctl.store.liveness import listen

        hosts = {switch.chassis for switch in self.store.switches.values()}
        local = self.local_if_any if here else None
        if local is not None and local.bridges:
            hosts.add(local.chassis)
        with plain_failures():
            return listen(self.store, hosts, grace)

    def silent_hosts(self, kinds: Iterable[Kind]) -> Mapping[str, str]:
        """Why no controller is at work, by host, where one of these kinds shows what controllers reported."""
        return self.listen().hosts if any(kind in WITH_REPORTS for kind in kinds) else {}

    @property
    def namesake(self) -> str:
        """What is wrong when another host has the name of this machine."""
        from sgctl.store.liveness import namesake

        local = self.local_if_any
        return namesake(self.store, local.chassis, local.host_id) if local is not None else ""

    def require_controllers(self, grace: float = _GRACE_SECONDS, here: bool = False) -> None:
        """Raise Failure with the hosts where no controller is at work."""
        silence = self.listen(grace, here)
        if silence.hosts:
            raise Failure(
                *(
                    f"host {host}: {reason}; the policy is stored, and not enforced there"
                    for host, reason in silence.hosts.items()
                )
            )
        if silence.problem:
            raise Failure(silence.problem)

    def finish_here(self, wait: bool, timeout: float) -> None:
        """The same after a change of this machine's interfaces, which its own controller must take."""
        if wait:
            self.wait_for_everything(timeout, here=True)
        else:
            self.require_controllers(here=True)

    def wait_for_everything(self, timeout: float, here: bool = False) -> None:
        """Wait for the switches to have all that was applied, bound or declared until now."""
        with plain_failures():
            generation = self.store.commit(())  # a new generation: what was bound before it counts, too
        self.wait_applied(generation, timeout, here)

    def wait_applied(self, generation: int, timeout: float, here: bool = False) -> None:
        """Return when at least one switch is connected and every connected one has applied the generation.

        A switch that cannot connect, for a reason that its controller knows, is waited for, too.
        Raises Failure when the time is over, and within a second where no controller is at work.
        """
        deadline = time.monotonic() + timeout
        with plain_failures(), progress("waiting for the switches"):
            while True:
                self.require_controllers(min(timeout, _GRACE_SECONDS), here or not self.store.switches)
                remaining = max(deadline - time.monotonic(), 0.0)
                late = self._late(generation, min(remaining, _LOOK_AGAIN_SECONDS), timeout)
                if not late:
                    return
                if remaining <= _LOOK_AGAIN_SECONDS:
                    raise Failure(*late)

    def _late(self, generation: int, seconds: float, timeout: float) -> list[str]:
        """What still lacks, in words, when so many seconds are over. `timeout` is what the user gave."""
        lines: list[str] = []

        def done() -> bool:
            lines[:] = self._lacking(generation, f"after {timeout:g} s")
            return not lines

        self.store.wait_until(done, seconds)
        return lines

    def _lacking(self, generation: int, when: str) -> list[str]:
        """The switches that have not applied the generation, and those that cannot connect."""
        switches = sorted(self.store.switches.items())
        off = [f"switch {key}: {each.error}" for key, each in switches if each.error and not each.connected]
        late = [
            f"switch {key} has not applied the policy {when}{each.error and f': {each.error}'}"
            for key, each in switches
            if each.connected and each.generation < generation
        ]
        nobody = [] if any(each.connected for _, each in switches) else [NOT_ENFORCED]
        return [*nobody, *off, *late]


pass_session = click.make_pass_decorator(Session)
