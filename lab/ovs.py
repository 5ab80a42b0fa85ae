"""Open vSwitch's two daemons as child processes, and a private switch in a temporary directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from flows.openflow.wire import BUDGETS, MeterUnit
from lab import netns, process
from lab.datapath import DATAPATH, Datapath, clear_kernel
from lab.process import LabError
from lab.running import Running
from lab.unixctl import Control

_UNITS = {MeterUnit.KILOBITS: "kbps", MeterUnit.PACKETS: "pktps"}
_METER = re.compile(r"\bactions=meter:(\d+)")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_NOTHING: Mapping[str, str] = MappingProxyType({})


class OvsServers:
    """An ovsdb-server and an ovs-vswitchd as child processes, with their sockets in `rundir`.

    The database describes the host as Debian's service does: the system-id is a random UUID, stored beside
    the database. `options` are further command line options for ovs-vswitchd; `env` are defaults for
    environment variables that this process does not have.
    """

    def __init__(
        self, rundir: Path, database: Path, options: Sequence[str] = (), env: Mapping[str, str] = _NOTHING
    ) -> None:
        self.rundir = rundir
        self.env = {**env, **os.environ, "OVS_RUNDIR": str(rundir)}
        self._database_file = database
        self._options = options
        self._database: subprocess.Popen[bytes] | None = None
        self._switch: subprocess.Popen[bytes] | None = None
        self._comes_first = False

    @property
    def remote(self) -> str:
        """The OVSDB remote of the Open_vSwitch database."""
        return f"unix:{self._socket}"

    @property
    def switch_log(self) -> Path:
        """The log file of ovs-vswitchd."""
        return self.rundir / "ovs-vswitchd.log"

    @property
    def _database_log(self) -> Path:
        return self.rundir / "ovsdb-server.log"

    @property
    def switch_pid(self) -> int:
        """The process id of ovs-vswitchd. Raises LabError when it does not run."""
        if self._switch is None:
            raise LabError("the switch is not running")
        return self._switch.pid

    @property
    def _socket(self) -> Path:
        return self.rundir / "db.sock"

    def database_runs(self) -> bool:
        """Whether a database server answers in `rundir`, no matter who started it."""
        return process.answers(self._socket)

    def switch_runs(self) -> bool:
        """Whether an ovs-vswitchd answers in `rundir`, no matter who started it."""
        try:
            self.appctl("version")
        except LabError:
            return False
        return True

    def start_database(self) -> None:
        """Start ovsdb-server, with an empty database if there is none."""
        if not self._database_file.exists():
            process.run(["ovsdb-tool", "create", self._database_file, SCHEMA])
        remotes = f"--remote=p{self.remote}", "--remote=db:Open_vSwitch,Open_vSwitch,manager_options"
        command: list[str | Path] = ["ovsdb-server", self._database_file, *remotes, "--pidfile"]
        self._database = process.spawn(command, self._database_log, self.env)
        process.wait_ready(self._database, self.database_runs, "ovsdb-server", self._database_log)
        self.vsctl("--no-wait", "init")
        identity = f"external_ids:system-id={self._system_id()}", f"external_ids:rundir={self.rundir}"
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *identity)

    def _system_id(self) -> str:
        """The system-id, in the same file and form as by `ovs-ctl --system-id=random` (ovs-ctl(8))."""
        file = self._database_file.with_name("system-id.conf")
        if not file.exists():
            file.write_text(f"{uuid4()}\n")
        return file.read_text().strip()

    def start_switch(self) -> None:
        """Start ovs-vswitchd; it has read its configuration when this returns."""
        self._switch = process.spawn(
            ["ovs-vswitchd", self.remote, "--pidfile", *self._options], self.switch_log, self.env
        )
        control = self.rundir / f"ovs-vswitchd.{self._switch.pid}.ctl"
        process.wait_ready(self._switch, lambda: process.answers(control), "ovs-vswitchd", self.switch_log)
        if self._comes_first:
            self._put_first()
        # After any change, ovs-vsctl waits for the switch.
        self.vsctl("set", "Open_vSwitch", ".", f"external_ids:started-by-lab={self._switch.pid}")

    def let_switch_come_first(self) -> None:
        """Give the switch's main thread real-time priority from now on, also after restarts.

        The main thread forwards the packets of the userspace datapath. On a busy machine it may wait half a
        second for a processor; packets that overflow its sockets meanwhile are lost through no fault of the
        switch.
        """
        self._comes_first = True
        self._put_first()

    def _put_first(self) -> None:
        if self._switch is not None:
            policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK  # new threads do not inherit the priority
            os.sched_setscheduler(self._switch.pid, policy, os.sched_param(1))

    def kill_switch(self) -> None:
        """`kill -9` ovs-vswitchd; the database keeps running. `start_switch` starts it again."""
        if self._switch is None:
            raise LabError("the switch is not running")
        self._switch.kill()
        self._switch.wait()
        self._switch = None

    def kill_database(self) -> None:
        """`kill -9` ovsdb-server; the switch keeps running. `start_database` starts it again."""
        if self._database is None:
            raise LabError("the database is not running")
        self._database.kill()
        self._database.wait()
        self._database = None

    def ended(self) -> str:
        """Which daemon ended without being stopped here, with the end of its log; empty when both run."""
        for child, log in ((self._switch, self.switch_log), (self._database, self._database_log)):
            if child is not None and child.poll() is not None:
                return f"{log.stem} ended by itself: exit {child.returncode}\n{process.last_words(log)}"
        return ""

    def stop(self) -> None:
        """Stop the daemons that were started here, and no others."""
        for child in (self._switch, self._database):
            if child is not None:
                process.stop(child)
        self._switch = self._database = None

    def vsctl(self, *arguments: str) -> str:
        """The output of `ovs-vsctl`, which waits until the switch has applied the change."""
        return process.run(["ovs-vsctl", "--timeout=30", *arguments], self.env)

    def ofctl(self, *arguments: str, stdin: str = "") -> str:
        """The output of `ovs-ofctl` with OpenFlow 1.4."""
        return process.run(["ovs-ofctl", "--timeout=30", "-O", "OpenFlow14", *arguments], self.env, stdin)

    def add_meters(self, bridge: str, flows: str) -> None:
        """Make the meters that these flows (lines for `ovs-ofctl`) use: `ovs-ofctl` does not make them."""
        for number in sorted(set(map(int, _METER.findall(flows)))):
            rate, burst, unit = BUDGETS.of_meter(number)
            band = f"meter={number},{_UNITS[unit]},burst,stats,bands=type=drop,rate={rate},burst_size={burst}"
            self.ofctl("add-meter", bridge, band)

    def appctl(self, command: str, *arguments: str) -> str:
        """The output of an `ovs-appctl` command on the switch."""
        with self.control() as control:
            return control.call(command, *arguments)

    def control(self) -> Control:
        """A connection to the switch's control socket. Raises LabError when it does not run."""
        try:
            pid = (self.rundir / "ovs-vswitchd.pid").read_text(encoding="ascii").strip()
            return Control(self.rundir / f"ovs-vswitchd.{pid}.ctl")
        except OSError as error:
            raise LabError(f"ovs-vswitchd in {self.rundir}: {error}") from error


class PrivateOvs(OvsServers, Running):
    """An Open vSwitch that `with` starts, and removes completely at its end.

    Bridges use the datapath of this run (`lab.datapath`) and real devices, so this process must be isolated
    (`netns.isolate`). A network namespace can hold one such switch at a time. With `dummy=True` every device
    is simulated and no isolation is needed. `options` and `env` are those of `OvsServers`.
    """

    def __init__(
        self, dummy: bool = False, options: Sequence[str] = (), env: Mapping[str, str] = _NOTHING
    ) -> None:
        if not dummy and not netns.isolated():
            raise LabError("a private switch makes devices: call lab.netns.isolate() first")
        rundir = Path(tempfile.mkdtemp(prefix="sgctl-ovs-"))
        # Simulated devices replace those of the userspace datapath.
        self.datapath = Datapath.USERSPACE if dummy else DATAPATH
        kind = [*self.datapath.options, *(["--enable-dummy=override"] if dummy else [])]
        super().__init__(rundir, rundir / "conf.db", [*kind, *options], env)

    def start(self) -> None:
        """Start both processes."""
        if self.datapath is Datapath.KERNEL:
            clear_kernel()
        self.start_database()
        self.start_switch()

    def close(self) -> None:
        """Stop both processes and remove the directory. Raises LabError if one ended by itself before."""
        ended = self.ended()
        self.stop()
        shutil.rmtree(self.rundir, ignore_errors=True)
        if ended:
            raise LabError(ended)

    def add_bridge(self, name: str, *settings: str) -> None:
        """Add a bridge with columns such as `fail_mode=secure` or `other_config:datapath-id=…`."""
        self.vsctl("add-br", name, "--", "set", "Bridge", name, f"datapath_type={self.datapath}", *settings)

    def add_port(self, bridge: str, name: str, *settings: str) -> int:
        """Add a port with Interface columns such as `external_ids:iface-id=…`; return its OpenFlow number."""
        columns = ["--", "set", "Interface", name, *settings] if settings else []
        self.vsctl("add-port", bridge, name, *columns)
        number = int(self.vsctl("get", "Interface", name, "ofport"))
        if number < 1:
            raise LabError(f"{name}: {self.vsctl('get', 'Interface', name, 'error').strip()}")
        return number
