"""`make run` as users run it: started twice, and with a controller that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import process
from lab.controller import free_port
from lab.ovs import OvsServers

pytestmark = pytest.mark.switch

SCRIPT = Path(__file__).parents[2] / "scripts" / "run_controller.py"


class Place:
    """The folders and ports with which the script is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.openflow_port = free_port()
        self.log = folder / "run.log"
        self._options = [f"--ofp-tcp-listen-port={self.openflow_port}", f"--wsapi-port={free_port()}"]
        self._environment = os.environ | {
            "OVS_RUNDIR": str(folder),
            "OVS_DBDIR": str(folder),
            "SGCTL_RUN_DIR": str(folder / "sgctl"),
            "SGCTL_STATE_DIR": str(folder / "sgctl"),
        }

    def run(self, log: Path) -> subprocess.Popen[bytes]:
        return process.spawn([sys.executable, SCRIPT, *self._options], log, self._environment)

    @property
    def ovs(self) -> OvsServers:
        """Access to the Open vSwitch that the script started."""
        return OvsServers(self.folder, self.folder / "conf.db")

    def ready(self) -> bool:
        return process.answers(("127.0.0.1", self.openflow_port))


@pytest.fixture
def place(private_network: None) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="sgctl-run-") as folder:
        yield Place(Path(folder))
        process.kill_daemons(Path(folder) / "sgctl")


def test_a_second_run_is_refused_and_a_killed_controller_leaves_the_switch(place: Place) -> None:
    first = place.run(place.log)
    try:
        process.wait_ready(first, place.ready, "make run", place.log)
        pids = {
            name: (place.folder / f"{name}.pid").read_text().strip()
            for name in ("ovsdb-server", "ovs-vswitchd")
        }
        (controller,) = map(int, controllers(first.pid))

        second_log = place.folder / "second.log"
        assert place.run(second_log).wait(30) == 1
        told = second_log.read_text()
        for name, pid in pids.items():
            assert f"{name} is already running (process {pid})" in told
        assert f"process {controller}, listens there" in told

        os.kill(controller, signal.SIGKILL)
        process.wait_until(
            lambda: "was killed by signal 9" in place.log.read_text(), "the end of the controller is reported"
        )
        assert place.ovs.switch_runs()
        assert first.poll() is None
        third = place.run(place.folder / "third.log")
        process.wait_ready(third, place.ready, "make run", place.folder / "third.log")
        third.terminate()
        assert third.wait(30) == 0
        assert place.ovs.switch_runs()

        first.terminate()
        assert first.wait(30) == 137
        assert not place.ovs.switch_runs()
    finally:
        process.stop(first)


def controllers(parent: int) -> list[str]:
    """The children of a process that are controllers."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [each for each in children if b"ryu-manager" in Path(f"/proc/{each}/cmdline").read_bytes()]
