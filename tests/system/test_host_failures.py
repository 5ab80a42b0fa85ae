"""A host that does not enforce is reported: the output of `status`, `wait` and `apply` in every such case.

Each case begins and ends with a host that enforces. `pytest -s` prints a table of the outputs, with exit
status and milliseconds.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from lab import process
from lab.controller import Controller
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, tcp_in
from lab.workloads import Workloads
from sgctl.store import Store, StoreError
from sgctl.store.server import PolicyServer
from tests.api.client import Client

pytestmark = pytest.mark.switch

PATIENCE_SECONDS = 60
NAME = "node-1.example.org"
DISK_BYTES, PAGE_BYTES = 1 << 19, 1 << 12


class Host:
    """A host with a policy database whose server and disk can fail."""

    def __init__(self, site: Site, server: PolicyServer, disk: Path, api: Client) -> None:
        self.site, self.ovs, self.controller = site, site.ovs, site.controller
        self.server, self.disk, self.api = server, disk, api

    @property
    def connected(self) -> list[bool]:
        """Whether each switch is connected, as the database says."""
        with closing(Store.connect(self.server.remote)) as store:
            return [switch.connected for switch in store.switches.values()]

    @property
    def port_statuses(self) -> set[str]:
        """The statuses of the ports in the REST API of another host."""
        return {port["status"] for port in self.api("GET", "/v2.0/ports").one}

    def rename(self, name: str) -> None:
        quoted = json.dumps(name, ensure_ascii=False)
        self.ovs.vsctl("set", "Open_vSwitch", ".", f"external_ids:system-id={quoted}")

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`sgctl ARGUMENTS`."""
        return self.site.sgctl.run(*arguments, stdin=stdin)

    def server_control(self, *command: str) -> None:
        process.run(["ovs-appctl", "-t", self.disk / "policy.ctl", *command])


@pytest.fixture
def disk(private_network: None, tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    process.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "sgctl-disk", tmp_path])
    yield tmp_path
    process.run(["umount", "--lazy", tmp_path])


@pytest.fixture
def host(ovs: PrivateOvs, workloads: Workloads, disk: Path) -> Iterator[Host]:
    """A host that enforces: w1 may send anything, w2 accepts TCP 80."""
    server = PolicyServer(disk / "policy.db", disk / "policy.sock")
    server.start()
    with (
        Controller(ovs.remote, server.remote) as controller,
        PrivateOvs(dummy=True) as elsewhere,
        Controller(elsewhere.remote, server.remote) as other,
    ):
        made = Host(Site(ovs, workloads, controller), server, disk, Client(other.wsapi_port))
        made.rename(NAME)
        yield made
    server.stop()


@pytest.fixture
def pair(host: Host) -> tuple[Workload, Workload]:
    host.ovs.add_bridge("br0")
    host.ovs.vsctl("set-controller", "br0", host.controller.target)
    host.site.apply(
        document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]),
        group("client", ALL_OUT),
        group("server", tcp_in(80)),
        host.site.port_document(1, ["client"]),
        host.site.port_document(2, ["server"]),
    )
    pair = host.site.plug("br0", 1), host.site.plug("br0", 2)
    host.site.sgctl.wait()
    return pair


@contextmanager
def killed(host: Host) -> Iterator[None]:
    host.controller.kill()
    yield
    host.controller.start()


@contextmanager
def stopped(host: Host) -> Iterator[None]:
    host.controller.stop()
    assert host.connected == [False], "a controller that ends withdraws its reports"
    yield
    host.controller.start()


@contextmanager
def hung(host: Host) -> Iterator[None]:
    os.kill(host.controller.pid, signal.SIGSTOP)
    yield
    os.kill(host.controller.pid, signal.SIGCONT)


@contextmanager
def switch_killed(host: Host) -> Iterator[None]:
    host.ovs.kill_switch()
    yield
    host.ovs.start_switch()


@contextmanager
def switch_hung(host: Host) -> Iterator[None]:
    os.kill(host.ovs.switch_pid, signal.SIGSTOP)
    try:
        assert host.run("status").returncode == 1, "the first command reports it"
        yield
    finally:
        os.kill(host.ovs.switch_pid, signal.SIGCONT)


@contextmanager
def switch_database_killed(host: Host) -> Iterator[None]:
    host.ovs.kill_database()
    yield
    host.ovs.start_database()


@contextmanager
def database_killed(host: Host) -> Iterator[None]:
    assert host.server.pid is not None
    os.kill(host.server.pid, signal.SIGKILL)
    process.wait_until(lambda: host.server.pid is None, "the server has ended")
    yield
    host.server.ensure()


@contextmanager
def database_read_only(host: Host) -> Iterator[None]:
    """Make the server the standby of a server that does not exist (ovsdb-server(1), Active-Backup)."""
    host.server_control("ovsdb-server/set-active-ovsdb-server", f"unix:{host.disk}/nobody")
    host.server_control("ovsdb-server/connect-active-ovsdb-server")
    yield
    host.server_control("ovsdb-server/disconnect-active-ovsdb-server")


def fill_page(host: Host) -> None:
    """Write until nothing more fits into the last allocated page of the database file."""
    with closing(Store.connect(host.server.remote)) as store:
        for _ in range(PAGE_BYTES // 10):
            store.ask()


@contextmanager
def disk_full(host: Host) -> Iterator[None]:
    filler = host.disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(DISK_BYTES))
    with pytest.raises(StoreError, match="No space left"):
        fill_page(host)
    yield
    filler.unlink()


@contextmanager
def without_controller(host: Host) -> Iterator[None]:
    host.ovs.vsctl("del-controller", "br0")
    yield
    host.ovs.vsctl("set-controller", "br0", host.controller.target)


@contextmanager
def wrong_protocol(host: Host) -> Iterator[None]:
    host.ovs.vsctl("set", "bridge", "br0", "protocols=OpenFlow10,OpenFlow13")
    yield
    host.ovs.vsctl("clear", "bridge", "br0", "protocols")


@contextmanager
def wrong_target(host: Host) -> Iterator[None]:
    host.ovs.vsctl("set-controller", "br0", "tcp:127.0.0.1:1")
    yield
    host.ovs.vsctl("set-controller", "br0", host.controller.target)


@contextmanager
def renamed(host: Host) -> Iterator[None]:
    host.rename('node"2, ü')
    yield
    host.rename(NAME)


@contextmanager
def retired(host: Host) -> Iterator[None]:
    host.controller.stop()
    assert host.site.sgctl("delete", "host", NAME) == f"Host {NAME} deleted\n"
    yield
    host.controller.start()


class Told(NamedTuple):
    """What commands say: exit status and a pattern for each."""

    status: tuple[int, str]
    wait: tuple[int, str]
    apply: tuple[int, str]


def _silent(reason: str) -> Told:
    stored = (1, f"^error: host .*: {reason}; the policy is stored, and not enforced there$")
    return Told((1, f"^problem: host .*: {reason}$"), stored, stored)


def _off(why: str) -> Told:
    return Told((1, why), (1, f"^error: {NOBODY}"), (0, f"^warning: {NOBODY}"))


def _refused(reason: str) -> Told:
    refusal = (1, f"^error: the policy database refused.*{reason}")
    return Told((1, f"^problem: .* refused.*{reason}"), refusal, refusal)


NOBODY = "no switch is connected: the policy is stored, and nothing enforces it$"
GONE = (1, "^error: cannot connect to the policy database at .*; is ryu-manager sgctl running\\?$")
WELL = (0, "")
CASES: dict[str, tuple[Callable[[Host], AbstractContextManager[None]], Told]] = {
    "controller killed": (killed, _silent("no controller runs there")),
    "controller stopped": (stopped, _silent("no controller runs there")),
    "controller hung (SIGSTOP)": (hung, _silent("its controller does not answer")),
    "switch killed": (switch_killed, _off("^problem: switch .*/br0 is not connected$")),
    "switch hung (SIGSTOP)": (
        switch_hung,
        Told(
            (1, "^problem: switch .*/br0: Open vSwitch does not answer$"),
            (1, "^error: switch .*/br0: Open vSwitch does not answer$"),
            (0, f"^warning: {NOBODY}"),
        ),
    ),
    "switch's database killed": (
        switch_database_killed,
        Told(
            (1, "^problem: switch .*/br0: the switch database does not answer"),
            (1, "^error: switch .*/br0 has not applied the policy after 1 s: the switch database does not"),
            WELL,
        ),
    ),
    "database killed": (database_killed, Told(GONE, GONE, GONE)),
    "database read-only": (database_read_only, _refused("read only")),
    "database full": (disk_full, _refused("No space left on device")),
    "bridge without controller": (
        without_controller,
        _off("^problem: switch .*/br0: ports of the policy are on it, and it has no controller: run `"),
    ),
    "bridge of another protocol": (
        wrong_protocol,
        _off("^problem: switch .*/br0: does not speak OpenFlow 1.4 .*: run `ovs-vsctl add bridge br0"),
    ),
    "bridge with another target": (
        wrong_target,
        _off("^problem: switch .*/br0: ports of the policy are on it, and its controller is tcp:127.0.0.1:1"),
    ),
    "host renamed": (renamed, Told(WELL, WELL, WELL)),
    "host retired": (
        retired,
        Told(
            (1, "^problem: no switch is connected$"),
            (1, "^error: host .*: no controller runs there"),
            (0, "^warning: no switch is connected"),
        ),
    ),
}
RUNS = {"status": ("status",), "wait": ("wait", "--timeout", "1"), "apply": ("apply", "-f", "-")}


def test_every_failure_of_a_host_is_reported(host: Host, pair: tuple[Workload, Workload]) -> None:
    documents = (yaml.safe_dump(group("server", tcp_in(80), tcp_in(number))) for number in count(1000))
    for case, (fail, told) in CASES.items():
        wait_told(host, f"before: {case}", WELL)
        wait_ports(host, f"before: {case}", "ACTIVE")
        with fail(host):
            wait_told(host, case, told.status)
            wait_ports(host, case, "ACTIVE" if told.status == WELL else "DOWN")
            row = [f"{case:<27}"]
            for command, arguments in RUNS.items():
                begin = time.monotonic()
                done = host.run(*arguments, stdin=next(documents))
                milliseconds = (time.monotonic() - begin) * 1000
                assert matches(done, getattr(told, command)), (case, command, done)
                row.append(f"{command}: exit {done.returncode} after {milliseconds:4.0f} ms")
            print(" | ".join(row))
    wait_told(host, "at the end", WELL)
    client, server = pair
    host.site.sgctl.wait()
    assert connects(client, server, "10.0.0.2", 80)
    assert not connects(client, server, "10.0.0.2", 81)


def wait_told(host: Host, case: str, expected: tuple[int, str]) -> None:
    """Wait until `sgctl status` reports what is expected."""
    deadline = time.monotonic() + 40
    while not matches(done := host.run("status"), expected):
        assert time.monotonic() < deadline, (case, expected, done)


def wait_ports(host: Host, case: str, status: str) -> None:
    """Wait until the REST API shows this status for all ports, without a change of the policy."""
    process.wait_until(lambda: host.port_statuses == {status}, f"ports are {status}: {case}")


def matches(done: subprocess.CompletedProcess[str], expected: tuple[int, str]) -> bool:
    """Whether a command ended with the expected exit status, and one of its lines matches."""
    code, pattern = expected
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines(), ""]
    return done.returncode == code and any(re.search(pattern, line) for line in lines)
