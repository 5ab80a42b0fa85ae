"""Runs the private ovsdb-server of the policy database, and converts the database of any server.

The server keeps running when its controller is killed, and the next controller uses it. The server's process
is identified only by its pid file.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sgctl.optimizations import is_on
from sgctl.ovsdb.errors import StoreError
from sgctl.store.database_schema import DATABASE, SCHEMA_FILE, is_older, missing, parse_version, shipped

_COMMAND_SECONDS = 60.0
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.01
_ASK_AGAIN_SECONDS = 0.1


def allocator() -> dict[str, str]:
    """Environment variables for Open vSwitch's programs, unless the user has set them.

    They free very many small blocks of memory. With the GNU C Library's "fast bins" they spend a third of
    their time on merging these blocks (its manual, section 39.2).

    Gain: without it, the policy database's server takes 1.26 times as long for a change of 1,400 ports
    (`python -m bench --only optimizations`). Switch it off with `SGCTL_WITHOUT=allocator`.
    """
    return {"GLIBC_TUNABLES": "glibc.malloc.mxfast=0"} if is_on("allocator") else {}


class PolicyServer:
    """An ovsdb-server that serves the file `database` on the Unix socket `socket`.

    If several controllers use the same files, the first one owns the server and the others only use it.
    """

    def __init__(self, database: Path, socket: Path) -> None:
        self._database = database.absolute()
        self._socket = socket.absolute()
        self._pid_file = self._socket.with_suffix(".pid")
        self._control = self._socket.with_suffix(".ctl")
        self._log = self._socket.with_suffix(".log")
        self._owner_file = self._socket.with_suffix(".owner")
        self._ownership: int | None = None

    @property
    def remote(self) -> str:
        """The OVSDB remote to connect to."""
        return f"unix:{self._socket}"

    @property
    def pid(self) -> int | None:
        """The running server's process id, None when there is none."""
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
            status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")  # number (name) state ...
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        ended = status.rpartition(")")[2].split()[0] in "ZX"
        ours = f"--pidfile={self._pid_file}".encode() in arguments.split(b"\0")
        # A dying process has no arguments any more but still holds its lock on the database.
        dying = not arguments and "(ovsdb-server)" in status
        return pid if not ended and (ours or dying) else None

    def start(self) -> None:
        """Make sure that the server runs. Creates a missing database and converts one with an older schema.

        Raises StoreError, also for a database with a newer schema.
        """
        for directory in (self._database.parent, self._socket.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + _START_SECONDS
        self._own()
        while self._ownership is None and self.pid is None:
            if time.monotonic() > deadline:
                raise StoreError(f"another controller owns {self._socket} and does not start its server")
            time.sleep(_POLL_SECONDS)
            self._own()
        if self.pid is not None:
            prepare_remote(self.remote, self._database.parent)
        else:
            self._provide_database()
            self._launch()

    def ensure(self) -> bool:
        """Restart the server if it has died; returns whether it had. Cheap: call it a few times a second."""
        if self.pid is not None:
            return False
        self._own()
        if self._ownership is None:
            return False
        self._launch()
        return True

    def stop(self) -> None:
        """Stop the server if this process owns it, and release the ownership."""
        if self._ownership is None:
            return
        pid = self.pid
        if pid is not None:
            self._end(pid)
        os.close(self._ownership)
        self._ownership = None

    def _own(self) -> None:
        """Take the ownership if it is free. The kernel releases it whenever the owner's process ends."""
        if self._ownership is not None:
            return
        lock = os.open(self._owner_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            self._ownership = lock

    def _provide_database(self) -> None:
        if not self._database.exists():
            _run(["ovsdb-tool", "create", str(self._database), str(SCHEMA_FILE)])
            return
        name = _run(["ovsdb-tool", "db-name", str(self._database)])
        if name != DATABASE:
            raise StoreError(f"{self._database} holds the database {name!r}, not {DATABASE!r}")
        version = _run(["ovsdb-tool", "db-version", str(self._database)])
        if is_older(version, str(self._database)):
            _back_up(self._database, version, lambda copy: shutil.copyfile(self._database, copy))
            _run(["ovsdb-tool", "convert", str(self._database), str(SCHEMA_FILE)])

    def _launch(self) -> None:
        _run(
            [
                "ovsdb-server",
                str(self._database),
                f"--remote=p{self.remote}",
                f"--pidfile={self._pid_file}",
                f"--unixctl={self._control}",
                f"--log-file={self._log}",
                "--verbose=console:off",
                "--verbose=syslog:off",
                "--no-chdir",
                "--detach",
            ],
            {**allocator(), **os.environ},
        )
        self._database.chmod(0o600)

    def _end(self, pid: int) -> None:
        for wanted in (signal.SIGTERM, signal.SIGKILL):
            os.kill(pid, wanted)
            deadline = time.monotonic() + _STOP_SECONDS
            while self.pid == pid and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            if self.pid != pid:
                return


def prepare_remote(remote: str, backups: Path | None = None, patience: float = 0.0) -> None:
    """Make sure that a server's policy database has this version's schema; converts an older one.

    If the directory `backups` is given, first writes a copy of the database to it. Retries for `patience`
    seconds if the server does not answer: a cluster may be electing its leader. Raises StoreError, also for a
    database with a newer schema.
    """
    version = _served_version(remote, time.monotonic() + patience)
    if version is None:
        raise missing(remote)
    if not is_older(version, f"the policy database at {remote}"):
        return
    if backups is not None:
        contents = _client("backup", remote, DATABASE)
        _back_up(
            backups / f"{DATABASE}.db", version, lambda copy: copy.write_text(contents, encoding="utf-8")
        )
    _client("convert", remote, str(SCHEMA_FILE))
    converted = _client("get-schema-version", remote, DATABASE)
    if parse_version(converted) != parse_version(shipped()["version"]):
        raise StoreError(f"{remote} still has schema version {converted} after the conversion")


def _served_version(remote: str, deadline: float) -> str | None:
    """The schema version of the policy database, None when the server has no such database."""
    while True:
        try:
            if DATABASE not in _client("list-dbs", remote).split():
                return None
            return _client("get-schema-version", remote, DATABASE)
        except StoreError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_ASK_AGAIN_SECONDS)


def _back_up(database: Path, version: str, write: Callable[[Path], object]) -> None:
    """Write a copy with version and time in its file name; only the owner may read it."""
    time_text = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = database.with_name(f"{database.name}.{version}.{time_text}")
    copy.touch(mode=0o600)
    write(copy)


def _client(command: str, remote: str, *arguments: str) -> str:
    return _run(["ovsdb-client", "--timeout=10", command, remote, *arguments])


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a program of Open vSwitch and return its output. Files it creates are private to the owner."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            umask=0o077,
            env=environment,
            check=False,
        )
    except OSError as error:
        raise StoreError(f"cannot run {command[0]}: {error.strerror}; is Open vSwitch installed?") from error
    except subprocess.TimeoutExpired as error:
        raise StoreError(f"{command[0]} {command[1]} did not end in {_COMMAND_SECONDS:g} s") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"{command[0]}: exit code {done.returncode}"]
        raise StoreError(reason[-1])
    return done.stdout.strip()
