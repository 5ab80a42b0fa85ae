"""The controller as users run it: the `ryu-manager sgctl` process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import process
from lab.process import LabError
from lab.running import Running

RYU_MANAGER = Path(sys.executable).with_name("ryu-manager")


class Controller(Running):
    """`ryu-manager sgctl` on free ports of 127.0.0.1, with temporary directories; started by `with`.

    `ovsdb` is the remote of the Open_vSwitch database, `db` the remote of the policy database. Without `db`
    the controller serves a policy database itself, which survives `kill` or `stop` and `start`.
    """

    def __init__(self, ovsdb: str, db: str = "", options: Sequence[str] = ()) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sgctl-run-"))
        self.openflow_port = free_port()
        self.wsapi_port = free_port()
        self.ovsdb = ovsdb
        self.db = db or f"unix:{self._policy_socket}"
        self._serves_policy = not db
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> str:
        """The target for `ovs-vsctl set-controller`."""
        return f"tcp:127.0.0.1:{self.openflow_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the `sgctl` command finds this controller's databases.

        Command and controller cache byte code, as in any installation: otherwise every start would compile
        the sources again.
        """
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**inherited, "SGCTL_DB": self.db, "SGCTL_OVSDB": self.ovsdb}

    @property
    def log(self) -> Path:
        """The file with the controller's output of all starts."""
        return self.directory / "ryu-manager.log"

    @property
    def pid(self) -> int:
        """The process id of the running controller. Raises LabError when it does not run."""
        if self._process is None:
            raise LabError("the controller is not running")
        return self._process.pid

    @property
    def api_pid(self) -> int:
        """The process id of the controller's API, while that is its only child (proc_pid_children(5))."""
        (pid,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(pid)

    def start(self) -> None:
        """Start the controller; it accepts switches and policy when this returns."""
        process.wait_ready(self.launch(), self._ready, "ryu-manager sgctl", self.log)

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the controller without waiting until it is ready."""
        self._process = process.spawn(self._command(), self.log, self.environment)
        return self._process

    def kill(self) -> None:
        """`kill -9` the controller."""
        os.kill(self.pid, 9)
        self._wait()

    def stop(self) -> None:
        """Stop the controller with SIGTERM, as a service manager does."""
        if self._process is not None:
            process.stop(self._process)
            self._wait()

    def close(self) -> None:
        """Stop the controller, kill any process that it left running, remove its directories."""
        self.stop()
        process.kill_daemons(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait()
        self._process = None

    @property
    def _policy_socket(self) -> Path:
        return self.directory / "policy.sock"

    def _command(self) -> list[str | Path]:
        return [
            RYU_MANAGER,
            "sgctl",
            f"--ofp-tcp-listen-port={self.openflow_port}",
            f"--ofp-ssl-listen-port={self.openflow_port}",  # used when there is a certificate
            f"--wsapi-port={self.wsapi_port}",
            f"--sgctl-db={'' if self._serves_policy else self.db}",
            f"--sgctl-ovsdb={self.ovsdb}",
            f"--sgctl-run-dir={self.directory}",
            f"--sgctl-state-dir={self.directory}",
            *self._options,
        ]

    def _ready(self) -> bool:
        # What is ready last is checked first: checks fill the queue of a database server on a busy machine.
        if not process.answers(("127.0.0.1", self.openflow_port)):
            return False
        return not self._serves_policy or process.answers(self._policy_socket)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
