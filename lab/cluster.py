"""A policy database that is replicated on several servers (RAFT, ovsdb(7))."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab import process
from lab.running import Running
from sgctl.store.database_schema import DATABASE, SCHEMA_FILE


class ClusterMember:
    """One server. It keeps its copy of the database over `kill` and `start`."""

    def __init__(self, directory: Path, number: int) -> None:
        self._database = directory / f"{number}.db"
        self._socket = directory / f"{number}.sock"
        self._log = directory / f"{number}.log"
        self.address = f"unix:{directory / f'{number}.raft'}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def remote(self) -> str:
        """The OVSDB remote of this member."""
        return f"unix:{self._socket}"

    def found(self) -> None:
        """Create the database with this server as its only member."""
        process.run(["ovsdb-tool", "create-cluster", self._database, SCHEMA_FILE, self.address])
        self.start()

    def join(self, other: ClusterMember) -> None:
        """Join the cluster of another member."""
        process.run(["ovsdb-tool", "join-cluster", self._database, DATABASE, self.address, other.address])
        self.start()

    def start(self) -> None:
        """Start the server; its copy may still be incomplete when this returns."""
        control = f"--unixctl={self._socket.with_suffix('.ctl')}"
        remote = f"--remote=p{self.remote}"
        command: list[str | Path] = ["ovsdb-server", self._database, remote, control]
        self._process = process.spawn(command, self._log, os.environ)
        process.wait_ready(self._process, self._answers, "ovsdb-server", self._log)

    def wait_joined(self) -> None:
        """Wait until the server is part of the cluster and has a leader."""
        command = ["ovsdb-client", "--timeout=15", "wait", self.remote, DATABASE, "connected"]
        process.run(command)

    def kill(self) -> None:
        """`kill -9` the server."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def leads(self) -> bool:
        """Whether this member is the leader."""
        control = self._socket.with_suffix(".ctl")
        status = process.run(["ovs-appctl", "-t", control, "cluster/status", DATABASE])
        return "Role: leader" in status

    def dump(self, table: str, column: str) -> list[str]:
        """A column of this member's own copy, sorted; the copy may be out of date."""
        options = ["--no-leader-only", "--no-headings", "--format=list", "--data=bare"]
        text = process.run(["ovsdb-client", *options, "dump", self.remote, DATABASE, table, column])
        return sorted(line.strip() for line in text.splitlines() if line.strip())

    def _answers(self) -> bool:
        return process.answers(self._socket)


class Cluster(Running):
    """Members with a temporary directory; `with` starts them, and its end removes them and their files."""

    def __init__(self, size: int = 3) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sgctl-raft-"))
        self.members = [ClusterMember(self._directory, number) for number in range(size)]

    @property
    def remote(self) -> str:
        """The OVSDB remote that lists all members."""
        return ",".join(member.remote for member in self.members)

    def start(self) -> None:
        """Create the cluster with the first member; the other members join it."""
        first, *others = self.members
        first.found()
        for member in others:
            member.join(first)
            member.wait_joined()

    def close(self) -> None:
        """Kill all members and remove their copies."""
        for member in self.members:
            member.kill()
        shutil.rmtree(self._directory, ignore_errors=True)
