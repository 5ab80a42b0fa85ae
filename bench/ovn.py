"""OVN as a peer: central and host on a private switch, driven by `ovn-nbctl --wait=hv`.

`ovn-nbctl` runs as a daemon, so that its start and the loading of the database are not counted.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.installation import add_interfaces
from bench.record import Record
from bench.workload import OPEN_PORTS, BenchWorkload, interface, local_port, remote_member
from flows.policy.objects import Port
from lab import process
from lab.ovs import PrivateOvs
from lab.process import LabError
from lab.running import Running
from sgctl.store.server import allocator

BRIDGE = "br-int"
_SCHEMAS = Path("/usr/share/ovn")
_NEW_PORT = 1_000_000
_PATIENCE = 120


class Ovn(Running):
    """Northbound and southbound databases, northd and ovn-controller on a switch."""

    def __init__(self, ovs: PrivateOvs) -> None:
        self.ovs = ovs
        self._directory = Path(tempfile.mkdtemp(prefix="ovn-"))
        self._env = {**ovs.env, **dict.fromkeys(("OVN_RUNDIR", "OVN_LOGDIR"), str(self._directory))}
        self._children: list[subprocess.Popen[bytes]] = []
        self._controller: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """Stop everything."""
        for child in [self._controller, *reversed(self._children)]:
            if child is not None:
                process.stop(child, 3.0)
        process.kill_daemons(self._directory)
        shutil.rmtree(self._directory, ignore_errors=True)

    def nb(self, *arguments: str) -> str:
        """Run an `ovn-nbctl` command."""
        control = str(self._directory / "nbctl.ctl")
        return process.run(["ovn-appctl", "-t", control, "run", *arguments], self._env)

    def wait(self, *arguments: str) -> float:
        """Run an `ovn-nbctl` command; seconds until the switch has applied its result."""
        start = time.perf_counter()
        self.nb("--wait=hv", f"--timeout={_PATIENCE}", *(arguments or ("sync",)))
        return time.perf_counter() - start

    def start_controller(self) -> None:
        """Start ovn-controller."""
        log = self._directory / "controller.log"
        command = ["ovn-controller", self.ovs.remote, "--pidfile"]
        self._controller = process.spawn(command, log, self._env)

    def kill_controller(self) -> None:
        """`kill -9` ovn-controller."""
        if self._controller is None:
            raise LabError("ovn-controller is not running")
        self._controller.kill()
        self._controller.wait()

    def start(self) -> None:
        """Start databases, northd and ovn-controller."""
        for name in ("nb", "sb"):
            self._start_database(name)
        databases = [f"--ovn{name}-db=unix:{self._directory}/{name}.sock" for name in ("nb", "sb")]
        self._spawn("ovn-northd", *databases)
        nb = f"--db=unix:{self._directory}/nb.sock"
        self._spawn("ovn-nbctl", nb, "--detach", "--pidfile", name="nbctl")
        process.wait_until(lambda: process.answers(self._directory / "nbctl.ctl"), "ovn-nbctl")
        settings = {
            "ovn-remote": f"unix:{self._directory}/sb.sock",
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": "127.0.0.1",
            "ovn-bridge": BRIDGE,
        }
        self.ovs.vsctl("set", "Open_vSwitch", ".", *(f'external_ids:{k}="{v}"' for k, v in settings.items()))
        self.start_controller()

    def _start_database(self, name: str) -> None:
        file, socket = self._directory / f"{name}.db", self._directory / f"{name}.sock"
        process.run(["ovsdb-tool", "create", file, _SCHEMAS / f"ovn-{name}.ovsschema"])
        self._spawn("ovsdb-server", str(file), f"--remote=punix:{socket}", name=f"ovsdb-{name}")
        process.wait_until(lambda: process.answers(socket), f"the {name} database")

    def _spawn(self, program: str, *arguments: str, name: str = "") -> None:
        name = name or program
        control = f"--unixctl={self._directory}/{name}.ctl"
        log = self._directory / f"{name}.log"
        self._children.append(process.spawn([program, *arguments, control], log, self._env))


def _new_port(port: Port, group: str) -> list[str]:
    """The `ovn-nbctl` arguments that add a port to the switch `sw` and to a group."""
    words = ["--", f"--id=@{port.name}", "create", "Logical_Switch_Port", f"name={port.name}"]
    at = f'"{port.mac} {port.fixed_ips[0]}"'
    words += [f"addresses={at}", f"port_security={at}"]
    words += ["--", "add", "Logical_Switch", "sw", "ports", f"@{port.name}"]
    return [*words, "--", "add", "Port_Group", group, "ports", f"@{port.name}"]


def _remove_port(name: str) -> list[str]:
    return ["lsp-del", name]


def _rule(match: str) -> list[str]:
    return ["acl-add", "sg", "to-lport", "1001", f"outport == @sg && {match}", "allow-related"]


def _all_rules() -> list[list[str]]:
    """The ACLs for the rules of the workload, as OpenStack's OVN driver writes them."""
    rules = [_rule(f"ip4 && tcp.dst == {port}") for port in OPEN_PORTS]
    rules += [
        _rule("ip4 && ip4.src == $sg_ip4 && tcp"),
        _rule("ip4 && ip4.src == $sg2_ip4 && tcp.dst == 3306"),
    ]
    for family in ("ip4", "ip6"):
        match = f"inport == @sg && {family}"
        rules.append(["acl-add", "sg", "from-lport", "1001", match, "allow-related"])
    rules.append(["acl-add", "sg", "to-lport", "1000", "outport == @sg && ip", "drop"])
    rules.append(["acl-add", "sg", "from-lport", "1000", "inport == @sg && ip", "drop"])
    return rules


def program(ovn: Ovn, workload: BenchWorkload) -> float:
    """Seconds for the whole workload in one transaction; the devices already exist."""
    ovn.nb("ls-add", "sw")
    ovn.nb("pg-add", "sg")
    ovn.nb("pg-add", "sg2")
    ovn.wait()
    words: list[str] = []
    for number in range(1, workload.ports + 1):
        words += _new_port(local_port(number), "sg")
    for number in range(1, workload.members + 1):
        words += _new_port(remote_member(number), "sg2")
    for rule in _all_rules():
        words += ["--", *rule]
    return ovn.wait(*words[1:])


def measure(record: Record) -> None:
    """Measure W(400, 1000) as for sgctl."""
    workload = BenchWorkload(400, 1000)
    with PrivateOvs(dummy=True, env=allocator()) as ovs:
        ovs.add_bridge(BRIDGE, "fail_mode=secure")
        with Ovn(ovs) as ovn:
            names = [interface(number) for number in range(1, workload.ports + 1)]
            add_interfaces(ovs, [*names, interface(_NEW_PORT)], BRIDGE)
            record.put("program_400", program(ovn, workload), "ovn")
            record.put("flows_400", _flow_count(ovs), "ovn")
            _edits(ovn, record)
            record.put("restart", _restart(ovn), "ovn")


def _edits(ovn: Ovn, record: Record) -> None:
    changes: dict[str, tuple[Sequence[str], Sequence[str]]] = {
        "rule": (_rule("tcp.dst == 20000"), _removed(_rule("tcp.dst == 20000"))),
        "remote_rule": (
            _rule("ip4.src == $sg2_ip4 && tcp.dst == 20001"),
            _removed(_rule("ip4.src == $sg2_ip4 && tcp.dst == 20001")),
        ),
        "member": (_new_port(remote_member(5000), "sg2")[1:], _remove_port(remote_member(5000).name)),
        "port": (_new_port(local_port(_NEW_PORT), "sg")[1:], _remove_port(interface(_NEW_PORT))),
    }
    for name, (add, remove) in changes.items():
        added, removed = [], []
        for _ in range(11):
            added.append(ovn.wait(*add))
            removed.append(ovn.wait(*remove))
        record.median_ms(f"{name}_add_400", added, "ovn")
        record.median_ms(f"{name}_remove_400", removed, "ovn")
    record.median_ms("nothing_400", [ovn.wait() for _ in range(11)], "ovn")


def _removed(rule: Sequence[str]) -> list[str]:
    _, group, direction, priority, match, _ = rule
    return ["acl-del", group, direction, priority, match]


def _restart(ovn: Ovn) -> float:
    """Restart ovn-controller; seconds from its start until it has confirmed the state."""
    ovn.kill_controller()
    start = time.perf_counter()
    ovn.start_controller()
    ovn.wait()
    return time.perf_counter() - start


def _flow_count(ovs: PrivateOvs) -> int:
    return int(ovs.ofctl("dump-aggregate", BRIDGE).rpartition("flow_count=")[2].split()[0])
