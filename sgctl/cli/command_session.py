"""The connections of one command, and its changes of the policy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import click

from sgctl.cli.lookup import find
from sgctl.cli.options import GlobalOptions
from sgctl.cli.output.progress import progress
from sgctl.cli.output.terminal import Failure
from sgctl.service.draft import Draft
from sgctl.service.errors import PolicyError
from sgctl.service.names import Named
from sgctl.service.plan import Plan
from sgctl.service.transaction import Committed, transact
from sgctl.settings import Settings
from sgctl.store import Store, StoreError
from sgctl.store.snapshot import PolicySnapshot
from sgctl.vswitch.devices import Interface
from sgctl.vswitch.local_switches import LocalSwitches

T = TypeVar("T", bound=Named)
P = ParamSpec("P")
R = TypeVar("R")

CONNECT_TIMEOUT = 5.0
"""Seconds after which a database that does not answer is given up."""
REFUSED_TIMEOUT = 0.3
"""Seconds after which a database that refuses connections is given up."""


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn errors of the policy and of databases into Failure, one line for each reason."""
    try:
        yield
    except PolicyError as error:
        raise Failure(*map(str, error.findings)) from error
    except StoreError as error:
        raise Failure(str(error)) from error


class CommandSession:
    """Connects to a database when it is first used, and closes all connections at the end.

    `project` is the project to act for: names refer to its objects, and new objects belong to it. `ovsdb` is
    the remote of this machine's Open vSwitch database. Every method raises Failure.
    """

    def __init__(self, options: GlobalOptions) -> None:
        settings = Settings.from_environment()
        self.project = settings.project if options.project is None else options.project
        self.ovsdb = options.ovsdb or settings.ovsdb
        self._remote = options.db or settings.policy_remote
        self._store: Store | None = None
        self._local: LocalSwitches | None = None

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
            with plain_failures():
                self._store = Store.connect(self._remote, CONNECT_TIMEOUT, REFUSED_TIMEOUT)
        return self._store

    @property
    def local(self) -> LocalSwitches:
        """The Open vSwitch database of this machine."""
        if self._local is None:
            with plain_failures():
                self._local = LocalSwitches.connect(self.ovsdb, CONNECT_TIMEOUT, REFUSED_TIMEOUT)
        return self._local

    @property
    def local_if_any(self) -> LocalSwitches | None:
        """The Open vSwitch database of this machine; None if it does not answer."""
        kind, _, path = self.ovsdb.partition(":")
        if kind == "unix" and not os.path.exists(path):  # noqa: PTH110 - pathlib's raises PermissionError
            return None
        try:
            return self.local
        except Failure:
            return None

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces of this machine's bridges."""
        return [interface for bridge in self.local.bridges.values() for interface in bridge.interfaces]

    @property
    def draft(self) -> Draft:
        """The policy as it is stored."""
        return Draft(self.store.objects, self.project)

    def find(self, kind: type[T], reference: str) -> T:
        """The object with this id or name."""
        return find(self.draft, kind, reference)

    def transact(self, decide: Callable[[PolicySnapshot], Plan]) -> Committed:
        """Store the changes of the plan that `decide` makes from the policy."""
        store = self.store
        with plain_failures(), progress("checking and storing the policy"):
            return transact(store, decide)

    def catch_up(self, committed: Committed) -> None:
        """Wait until `store` has what was committed."""
        deadline = time.monotonic() + CONNECT_TIMEOUT
        with plain_failures():
            while self.store.generation < committed.generation and time.monotonic() < deadline:
                self.store.run()
                if self.store.generation < committed.generation:
                    self.store.block(0.1)
            self.store.run()


def pass_session(command: Callable[Concatenate[CommandSession, P], R]) -> Callable[P, R]:
    """Give the command a session as its first argument. The session ends with the command."""

    def run(*arguments: P.args, **options: P.kwargs) -> R:
        context = click.get_current_context()
        session = context.with_resource(CommandSession(context.find_root().obj))
        return command(session, *arguments, **options)

    return update_wrapper(run, command)
