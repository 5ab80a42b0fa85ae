"""An Open vSwitch of one's own: database server and switch in a directory that nobody else uses."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import netns, process
from lab.process import LabError

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


class PrivateOvs:
    """ovsdb-server and ovs-vswitchd, started by `with` and gone without a trace after it.

    Bridges are of the userspace datapath; the first one needs this process in a network namespace of
    its own (`netns.isolate`), and one namespace holds one such switch at a time. With `dummy=True` every
    device is simulated and none is needed.
    """

    def __init__(self, dummy: bool = False) -> None:
        if not dummy and not netns.isolated():
            raise LabError("a private switch makes real devices: call lab.netns.isolate() first")
        self._dummy = dummy
        self.rundir = Path(tempfile.mkdtemp(prefix="sgctl-ovs-"))
        self.env = {**os.environ, "OVS_RUNDIR": str(self.rundir), "OVS_DBDIR": str(self.rundir)}
        self._database: subprocess.Popen[bytes] | None = None
        self._switch: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start_database()
            self.start_switch()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def remote(self) -> str:
        """The OVSDB remote of its Open_vSwitch database."""
        return f"unix:{self.rundir}/db.sock"

    @property
    def switch_log(self) -> Path:
        """The log file of ovs-vswitchd."""
        return self.rundir / "ovs-vswitchd.log"

    def start_database(self) -> None:
        """Start ovsdb-server, with an empty database the first time."""
        database, log = self.rundir / "conf.db", self.rundir / "ovsdb-server.log"
        if not database.exists():
            process.run(["ovsdb-tool", "create", database, SCHEMA])
        socket = self.rundir / "db.sock"
        self._database = process.spawn(
            ["ovsdb-server", database, f"--remote=punix:{socket}", "--pidfile"], log, self.env
        )
        process.wait_ready(self._database, lambda: process.answers(socket), "ovsdb-server", log)
        self.vsctl("--no-wait", "init")

    def start_switch(self) -> None:
        """Start ovs-vswitchd; it has taken in its configuration when this returns."""
        options = ["--enable-dummy=override", "--disable-system"] if self._dummy else ["--disable-system"]
        self._switch = process.spawn(
            ["ovs-vswitchd", self.remote, "--pidfile", *options], self.switch_log, self.env
        )
        control = self.rundir / f"ovs-vswitchd.{self._switch.pid}.ctl"
        process.wait_ready(self._switch, lambda: process.answers(control), "ovs-vswitchd", self.switch_log)
        self.vsctl("set", "Open_vSwitch", ".", f"external_ids:lab-start={self._switch.pid}")

    def kill_switch(self) -> None:
        """`kill -9` ovs-vswitchd; the database goes on. `start_switch` brings it back."""
        if self._switch is None:
            raise LabError("the switch is not running")
        self._switch.kill()
        self._switch.wait()
        self._switch = None

    def close(self) -> None:
        """Stop both processes and remove the directory."""
        for child in (self._switch, self._database):
            if child is not None:
                process.stop(child)
        self._switch = self._database = None
        shutil.rmtree(self.rundir, ignore_errors=True)

    def vsctl(self, *arguments: str) -> str:
        """The output of `ovs-vsctl`, which waits until the switch has the change."""
        return process.run(["ovs-vsctl", "--timeout=10", *arguments], self.env)

    def ofctl(self, *arguments: str, stdin: str = "") -> str:
        """The output of `ovs-ofctl`, speaking OpenFlow 1.4."""
        return process.run(["ovs-ofctl", "--timeout=30", "-O", "OpenFlow14", *arguments], self.env, stdin)

    def appctl(self, *arguments: str) -> str:
        """The output of `ovs-appctl` on the switch."""
        return process.run(["ovs-appctl", "--timeout=10", *arguments], self.env)

    def add_bridge(self, name: str, *settings: str) -> None:
        """Add a bridge with columns such as `fail_mode=secure` or `other_config:datapath-id=…`."""
        self.vsctl("add-br", name, "--", "set", "Bridge", name, "datapath_type=netdev", *settings)

    def add_port(self, bridge: str, name: str, *settings: str) -> int:
        """Add a port with Interface columns such as `external_ids:iface-id=…`; its OpenFlow number."""
        columns = ["--", "set", "Interface", name, *settings] if settings else []
        self.vsctl("add-port", bridge, name, *columns)
        number = int(self.vsctl("get", "Interface", name, "ofport"))
        if number < 1:
            raise LabError(f"{name}: {self.vsctl('get', 'Interface', name, 'error').strip()}")
        return number
