from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab import process
from lab.datapath import DATAPATH
from lab.netns import Workload
from lab.ovs import OvsServers, PrivateOvs
from lab.process import LabError
from lab.workloads import Workloads
from scripts.run_controller import start_missing

pytestmark = pytest.mark.switch


@pytest.fixture
def pair(ovs: PrivateOvs, workloads: Workloads) -> tuple[Workload, Workload]:
    """Two workloads on the bridge br0, which is an ordinary switch."""
    ovs.add_bridge("br0")
    return (
        workloads.plug("br0", "one", "02:00:00:00:00:01", ["10.0.0.1/24", "2001:db8::1/64"]),
        workloads.plug("br0", "two", "02:00:00:00:00:02", ["10.0.0.2/24", "2001:db8::2/64"]),
    )


def pings(source: Workload, address: str) -> bool:
    return source.succeeds("ping", "-c", "1", "-W", "2", address)


def test_workloads_on_a_normal_bridge_reach_each_other(pair: tuple[Workload, Workload]) -> None:
    one, _ = pair
    assert pings(one, "10.0.0.2")
    assert pings(one, "2001:db8::2")
    assert not one.succeeds("ping", "-c", "1", "-W", "0.2", "10.0.0.3")


def test_tcp_passes_with_its_payload(pair: tuple[Workload, Workload]) -> None:
    one, two = pair
    with two.inside():
        server = socket.create_server(("10.0.0.2", 8000))
    with one.inside():
        client = socket.create_connection(("10.0.0.2", 8000), timeout=5)
    with server, client:
        accepted, peer = server.accept()
        with accepted:
            client.sendall(b"x" * 100_000)
            accepted.settimeout(5)
            received = 0
            while received < 100_000:
                received += len(accepted.recv(65536))
    assert peer[0] == "10.0.0.1"


def test_secure_bridge_without_flows_drops(ovs: PrivateOvs, pair: tuple[Workload, Workload]) -> None:
    one, _ = pair
    ovs.vsctl("set-fail-mode", "br0", "secure")
    ovs.ofctl("del-flows", "br0")
    assert not one.succeeds("ping", "-c", "1", "-W", "0.2", "10.0.0.2")


def test_switch_comes_back_after_kill(ovs: PrivateOvs, pair: tuple[Workload, Workload]) -> None:
    one, _ = pair
    ovs.kill_switch()
    assert not one.succeeds("ping", "-c", "1", "-W", "0.2", "10.0.0.2")
    ovs.start_switch()
    assert pings(one, "10.0.0.2")


def test_dummy_switch_traces_without_devices(dummy_ovs: PrivateOvs) -> None:
    dummy_ovs.add_bridge("br0")
    ports = [dummy_ovs.add_port("br0", name, "type=dummy") for name in ("p1", "p2")]
    assert ports == [1, 2]
    dummy_ovs.ofctl("del-flows", "br0")
    dummy_ovs.ofctl("add-flows", "br0", "-", stdin="in_port=1 actions=output:2\n")
    assert "Datapath actions: 2" in dummy_ovs.appctl("ofproto/trace", "br0", "in_port=1")


def test_port_that_cannot_be_added_is_an_error(ovs: PrivateOvs) -> None:
    ovs.add_bridge("br0")
    with pytest.raises(LabError, match="nosuch"):
        ovs.add_port("br0", "nosuch")


def test_nothing_is_left_in_the_directory_or_running(private_network: None) -> None:
    with PrivateOvs() as ovs:
        pids = [int(path.read_text()) for path in ovs.rundir.glob("*.pid")]
        assert len(pids) == 2
    assert not ovs.rundir.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


KILLED_USER = """
import os
from lab import netns, ovs
netns.isolate()
with ovs.PrivateOvs() as switch:
    print(switch.rundir, *(path.read_text().strip() for path in switch.rundir.glob("*.pid")), flush=True)
    os.kill(os.getpid(), 9)
"""


def test_switch_ends_with_a_killed_user() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_USER], capture_output=True, text=True, check=False)
    rundir, *pids = done.stdout.split()
    assert len(pids) == 2, done.stderr
    process.wait_until(lambda: not any(is_alive(int(pid)) for pid in pids), "end of the switch")
    process.run(["rm", "-r", rundir])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_run_starts_what_is_missing_and_stops_only_that(ovs: PrivateOvs) -> None:
    visitor = OvsServers(ovs.rundir, ovs.rundir / "conf.db", DATAPATH.options)
    start_missing(visitor)
    visitor.stop()
    assert ovs.switch_runs()
    ovs.kill_switch()
    start_missing(visitor)
    assert ovs.switch_runs()
    visitor.stop()
    assert not ovs.switch_runs()
    assert ovs.database_runs()
