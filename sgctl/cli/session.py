"""The connections of one run of the command line."""

# ruff: noqa: PLC0415  # OVSDB's client is loaded when a command connects

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, cast

import click

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
    from sgctl.store.local import Interface, LocalSwitches

T = TypeVar("T", bound="Named")

CONNECT_TIMEOUT = 5.0
"""Seconds until a database that does not answer is given up."""


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

    def __init__(self, db: str | None, ovsdb: str | None) -> None:
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
                self._store = Store.connect(remote, CONNECT_TIMEOUT)
        return self._store

    @property
    def local(self) -> LocalSwitches:
        """The Open vSwitch database of this machine."""
        if self._local is None:
            from sgctl.store.local import LocalSwitches

            remote = self._ovsdb or Settings.from_environment().ovsdb
            with plain_failures():
                self._local = LocalSwitches.connect(remote, CONNECT_TIMEOUT)
        return self._local

    @property
    def local_if_any(self) -> LocalSwitches | None:
        """The same, where this machine has one that answers."""
        remote = self._ovsdb or Settings.from_environment().ovsdb
        kind, _, path = remote.partition(":")
        if kind == "unix" and not Path(path).exists():
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

        return find(Draft(self.store.objects), kind, reference)

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
        """Wait for the switches, where the options `--wait` and `--timeout` ask for that."""
        if options["wait"]:
            self.wait_applied(committed.generation, cast("float", options["timeout"]))

    def wait_for_everything(self, timeout: float) -> None:
        """Wait for the switches to have all that was applied, bound or declared until now."""
        with plain_failures():
            generation = self.store.commit(())  # a new generation: what was bound before it counts, too
        self.wait_applied(generation, timeout)

    def wait_applied(self, generation: int, timeout: float) -> None:
        """Return when at least one switch is connected and every connected one has applied the generation."""
        deadline = time.monotonic() + timeout
        with plain_failures(), progress("waiting for the switches"):
            self._wait_connected(deadline)
            lagging = self.store.wait_applied(generation, deadline - time.monotonic())
        if lagging:
            late = f"has not applied the policy after {timeout:g} s"
            raise Failure(*(f"switch {name} {late}" for name in lagging))

    def _wait_connected(self, deadline: float) -> None:
        while not any(switch.connected for switch in self.store.switches.values()):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise Failure("no switch is connected: the policy is stored, and nothing enforces it")
            self.store.block(remaining)
            self.store.run()


pass_session = click.make_pass_decorator(Session)
