"""A policy database on three servers (RAFT): for a client only the connection string differs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from flows.policy.objects import Rule
from sgctl.store import Store
from sgctl.store.database_schema import DATABASE, SCHEMA_FILE
from sgctl.store.server import prepare_remote
from tests.store.samples import create, group, rule
from tests.store.waiting import changes_until

pytestmark = pytest.mark.usefixtures("open_vswitch")


class Cluster:
    """Three ovsdb-servers in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.remote = ",".join(f"unix:{directory}/{member}.sock" for member in (1, 2, 3))

    def start_all(self) -> None:
        """Make the cluster and wait until all members have joined."""
        first, second, third = (f"unix:{self._directory}/{member}.raft" for member in (1, 2, 3))
        self._tool("create-cluster", "1.db", str(SCHEMA_FILE), first)
        self._tool("join-cluster", "2.db", DATABASE, second, first)
        self._tool("join-cluster", "3.db", DATABASE, third, first)
        for member in (1, 2, 3):
            self.start(member)
            wait = ["ovsdb-client", "--timeout=10", "wait", f"unix:{self._directory}/{member}.sock", DATABASE]
            subprocess.run([*wait, "connected"], check=True)

    def _tool(self, *arguments: str) -> None:
        subprocess.run(["ovsdb-tool", *arguments], cwd=self._directory, check=True, capture_output=True)

    def start(self, member: int) -> None:
        options = [f"--remote=punix:{self._directory}/{member}.sock", f"--log-file={member}.log"]
        options += [f"--{kind}={self._directory}/{member}.{kind}" for kind in ("pidfile", "unixctl")]
        program = [
            "ovsdb-server",
            f"{member}.db",
            *options,
            "--verbose=console:off",
            "--no-chdir",
            "--detach",
        ]
        subprocess.run(program, cwd=self._directory, check=True, capture_output=True)

    def kill(self, member: int) -> None:
        pid_file = self._directory / f"{member}.pidfile"
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        pid_file.unlink()

    def leader(self) -> int:
        """The member that is the leader; waits until there is one."""
        for _ in range(100):
            for member in (1, 2, 3):
                control = self._directory / f"{member}.unixctl"
                command = ["ovs-appctl", "--timeout=5", "-t", control, "cluster/status", DATABASE]
                status = subprocess.run(command, capture_output=True, text=True, check=False)  # type: ignore[arg-type]
                if "Role: leader" in status.stdout:
                    return member
            time.sleep(0.1)
        raise AssertionError("no leader")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        cluster.start_all()
        yield cluster
    finally:
        for member in (1, 2, 3):
            with suppress(FileNotFoundError):
                cluster.kill(member)


def test_a_client_waits_for_the_election_of_a_leader(cluster: Cluster) -> None:
    cluster.kill(cluster.leader())
    prepare_remote(cluster.remote, patience=20)


def test_the_loss_of_the_leader_loses_no_write(cluster: Cluster) -> None:
    prepare_remote(cluster.remote)
    with (
        closing(Store.connect(cluster.remote, 20)) as writer,
        closing(Store.connect(cluster.remote)) as reader,
    ):
        web = group()
        writer.commit(create(web))
        written = []
        for number in range(60):
            if number == 20:
                lost = cluster.leader()
                cluster.kill(lost)
            if number == 40:
                cluster.start(lost)
            written.append(rule(web))
            writer.commit(create(written[-1]))
        changes_until(reader, lambda: reader.generation == writer.generation == 61)
        assert set(reader.objects[Rule]) == {one.id for one in written}
