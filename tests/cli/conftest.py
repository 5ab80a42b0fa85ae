"""The command line on a real policy database, run in this process in the same way as by its script."""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sgctl.cli import main
from sgctl.store import BindingStatus, Store, SwitchStatus
from sgctl.store.server import PolicyServer


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The error lines; checks that there is no other output."""
        lines = self.err.splitlines()
        assert all(line.startswith("error: ") for line in lines), self.err
        return [line.removeprefix("error: ") for line in lines]


Cli = Callable[..., Result]


@pytest.fixture
def server(open_vswitch: None) -> Iterator[PolicyServer]:
    directory = Path(tempfile.mkdtemp(prefix="sgctl-cli-"))  # pytest's own are too long for a socket's name
    server = PolicyServer(directory / "policy.db", directory / "policy.sock")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture
def fresh(server: PolicyServer) -> Iterator[Callable[[], Store]]:
    """Connects to the database and reads all of it."""
    stores: list[Store] = []

    def connect() -> Store:
        stores.append(Store.connect(server.remote))
        return stores[-1]

    yield connect
    for store in stores:
        store.close()


class Enforcer:
    """The controller of a host: it holds its lock, answers, and reports the same repeatedly.

    Without `switches` it has one, `br0`, that applies every change at once.
    """

    def __init__(
        self,
        remote: str,
        host: str = "host",
        switches: Sequence[SwitchStatus] | None = None,
        bindings: Sequence[BindingStatus] = (),
    ) -> None:
        self._host, self._switches, self._bindings = host, switches, bindings
        self._store = Store.connect(remote)
        self._store.compete(host)
        self._has_reported, self._ends = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._has_reported.wait(10)

    def _run(self) -> None:
        while not self._ends.is_set():
            self._store.block(0.05)
            self._store.run()
            if self._store.has_lock:
                self._store.answer(self._host, self._store.asked)
                self._report()
                self._has_reported.set()

    def _report(self) -> None:
        current = SwitchStatus(self._host, "br0", "0" * 16, connected=True, generation=self._store.generation)
        switches = [current] if self._switches is None else self._switches
        answered = self._store.answered
        self._store.report([replace(switch, answered=answered) for switch in switches], self._bindings)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._store.close()


@pytest.fixture
def enforce(server: PolicyServer) -> Iterator[Callable[..., Enforcer]]:
    """Starts controllers, with the arguments of `Enforcer`."""
    with ExitStack() as stack:

        def start(*arguments: Any, **named: Any) -> Enforcer:
            enforcer = Enforcer(server.remote, *arguments, **named)
            stack.callback(enforcer.close)
            return enforcer

        yield start


@pytest.fixture
def enforcer(enforce: Callable[..., Enforcer]) -> Enforcer:
    return enforce()


@pytest.fixture
def cli(server: PolicyServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `sgctl ARGUMENTS`; `stdin` is what it reads there."""
    monkeypatch.setenv("SGCTL_DB", server.remote)

    def run(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            main(arguments)
        out, err = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return Result(exited.value.code, out, err)

    return run


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[[str], str]:
    """Writes manifests to a file; returns its name."""
    counter = iter(range(100))

    def write(text: str) -> str:
        path = tmp_path / f"{next(counter)}.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
