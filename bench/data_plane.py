"""The cost of a packet between two local ports: with sgctl, NORMAL, one ct() without policy, and OVN.

Every bridge has two namespaces on a userspace datapath. A single round varies by 15–25 %, so rounds are short
and the order of the bridges rotates. Ratios compare rounds of the same turn.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import ovn as peer
from bench.installation import Installation
from bench.record import Record
from bench.workload import BenchWorkload, address, interface, mac
from lab.netns import Workload as Machine
from lab.ovs import PrivateOvs
from lab.process import LabError, processor_seconds
from sgctl.store.server import allocator

_TURNS = 15
_CLIENTS = 2
_FLOOR = (
    "table=0,priority=10,arp,actions=NORMAL",
    "table=0,priority=9,ct_state=-trk,ip,actions=ct(table=1)",
    "table=1,priority=10,ct_state=+new,ip,actions=ct(commit),NORMAL",
    "table=1,priority=9,actions=NORMAL",
)
_ports = itertools.count(20000)
"""Every round gets a new server port, so that no connection reuses addresses and ports of an earlier one."""
_DIAL_SECONDS = 1.0


@dataclass
class WorkloadPair:
    """Two machines on one kind of bridge that may connect to each other."""

    name: str
    client: Machine
    server: Machine
    target: str


@dataclass
class Rounds:
    """The results of one kind of bridge, by figure, in the order of the turns."""

    throughput: list[float] = field(default_factory=list)
    connections: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


class RateMeter:
    """The counters of ovs-vswitchd: CPU seconds, packets, passes, conntrack lookups."""

    def __init__(self, ovs: PrivateOvs) -> None:
        self._ovs = ovs
        self._pid = int((ovs.rundir / "ovs-vswitchd.pid").read_text())

    def cpu(self) -> float:
        """CPU seconds of all threads of ovs-vswitchd so far."""
        return processor_seconds(self._pid)

    def clear(self) -> None:
        """Reset the packet counters."""
        self._ovs.appctl("dpif-netdev/pmd-stats-clear")

    def survives_nat(self) -> bool:
        """Whether OVN's ct(commit,nat) may see a TCP 4-tuple twice: ovs-vswitchd 3.1 aborts, 3.5 does not."""
        major, minor = self._ovs.appctl("version").split()[3].split(".")[:2]
        return (int(major), int(minor)) >= (3, 5)

    def counted(self) -> tuple[int, int]:
        """Packets received and passes through the datapath since `clear`."""
        text = self._ovs.appctl("dpif-netdev/pmd-stats-show")
        received = sum(map(int, re.findall(r"packets received: (\d+)", text)))
        recirculated = sum(map(int, re.findall(r"packet recirculations: (\d+)", text)))
        return received, received + recirculated


def measure(record: Record) -> None:
    """Measure all kinds of bridges in turns; record the ratios with their standard errors."""
    try:
        _measure(record, with_ovn=Path("/usr/bin/ovn-controller").exists())
    except (LabError, OSError) as error:
        record.note(
            f"the data plane was measured again without OVN, because the switch failed with it: {error}"
        )
        _measure(record, with_ovn=False)


def _measure(record: Record, *, with_ovn: bool) -> None:
    with _bridges(with_ovn=with_ovn) as (ovs, pairs):
        meter = RateMeter(ovs)
        for pair in pairs:
            _transfer(pair)  # hosts and bridges learn all addresses
            if pair.name == "ours":
                _passes(ovs, meter, pair, record)
        rounds = {pair.name: Rounds() for pair in pairs}
        for turn in range(_TURNS):
            for pair in pairs[turn % len(pairs) :] + pairs[: turn % len(pairs)]:
                _round(pair, meter, rounds[pair.name])
    _compare(rounds, record)


@contextmanager
def _bridges(*, with_ovn: bool) -> Iterator[tuple[PrivateOvs, list[WorkloadPair]]]:
    """One switch with a bridge of every kind."""
    with ExitStack() as stack:
        ovs = PrivateOvs(env=allocator())
        here = stack.enter_context(Installation(ovs))
        here.connect()
        pairs = [_pair(stack, ovs, "ours", "br0", 1)]
        here.commit(BenchWorkload(400, 1000).additions())
        here.wait_for_interfaces([interface(1), interface(2)])
        here.confirm()
        for number, (name, flows) in enumerate(
            {"normal": ["actions=NORMAL"], "floor": list(_FLOOR)}.items(), 1
        ):
            ovs.add_bridge(name, "fail_mode=secure")
            ovs.ofctl("add-flows", name, "-", stdin="\n".join(flows))
            pairs.append(_pair(stack, ovs, name, name, 10 * number + 1))
        if with_ovn:
            ovs.add_bridge(peer.BRIDGE, "fail_mode=secure")
            ovn = stack.enter_context(peer.Ovn(ovs))
            peer.program(ovn, BenchWorkload(60, 1000))
            pairs.append(_pair(stack, ovs, "ovn", peer.BRIDGE, 51))
            ovn.wait()
            time.sleep(1.0)
        yield ovs, pairs


def _pair(stack: ExitStack, ovs: PrivateOvs, name: str, bridge: str, first: int) -> WorkloadPair:
    machines = []
    for number in (first, first + 1):
        device = interface(number)
        machines.append(Machine(device, mac(number), [f"{address(number).address}/8"]))
        stack.callback(machines[-1].remove)
        ovs.add_port(bridge, device, f"external_ids:iface-id={device}")
    return WorkloadPair(name, machines[0], machines[1], address(first + 1).address)


def _round(pair: WorkloadPair, meter: RateMeter, rounds: Rounds) -> None:
    meter.clear()
    before = meter.cpu()
    rounds.throughput.append(_transfer(pair))
    spent, (received, _) = meter.cpu() - before, meter.counted()
    rounds.cpu.append(spent / max(received, 1))
    if pair.name != "ovn" or meter.survives_nat():
        rounds.connections.append(_connect(pair))


def _transfer(pair: WorkloadPair) -> float:
    """Bits per second of one TCP connection, over one second."""
    port = str(next(_ports))
    with pair.server.inside():
        server = subprocess.Popen(
            ["iperf3", "-s", "-1", "-p", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    try:
        time.sleep(0.1)
        result = json.loads(pair.client.run("iperf3", "-J", "-c", pair.target, "-p", port, "-t", "1"))
        return float(result["end"]["sum_received"]["bits_per_second"])
    finally:
        server.terminate()
        server.wait()


def _connect(pair: WorkloadPair) -> float:
    """Connections per second: two threads open and close one after the other."""
    counts: list[int] = []
    target = (pair.target, next(_ports))
    with pair.server.inside():
        listener = socket.create_server(target, backlog=512)
    listener.settimeout(0.2)
    over = threading.Event()
    threads = [threading.Thread(target=_accept, args=(listener, over))]
    threads += [threading.Thread(target=_dial, args=(pair, target, counts)) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    over.set()
    threads[0].join()
    listener.close()
    if len(counts) < _CLIENTS:
        raise LabError(f"connections on bridge {pair.name} failed")
    return sum(counts) / _DIAL_SECONDS


def _accept(listener: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        try:
            listener.accept()[0].close()
        except TimeoutError:
            continue


def _dial(pair: WorkloadPair, target: tuple[str, int], counts: list[int]) -> None:
    done, deadline = 0, time.monotonic() + _DIAL_SECONDS
    with pair.client.inside():
        while time.monotonic() < deadline:
            with socket.create_connection(target, timeout=2.0) as connection:
                connection.recv(1)
            done += 1
    counts.append(done)


def _passes(ovs: PrivateOvs, meter: RateMeter, pair: WorkloadPair, record: Record) -> None:
    """How often a packet passes through the datapath, and how many ct() actions its megaflows have."""
    meter.clear()
    _transfer(pair)
    received, passes = meter.counted()
    record.put("passes", passes / received)
    record.put("ct_lookups", _ct_actions(ovs.appctl("dpctl/dump-flows")))


def _ct_actions(dump: str) -> float:
    """Conntrack lookups per packet, weighted by the packets of the TCP megaflows; commits do not count."""
    first = looked_up = 0
    for line in dump.splitlines():
        if "proto=6" not in line and "tcp" not in line:
            continue
        packets = int(line.partition("packets:")[2].partition(",")[0] or 0)
        match, _, actions = line.partition("actions:")
        if "recirc_id(0)" in match:
            first += packets
        looked_up += packets * len(re.findall(r"ct\((?!commit)", actions))
    return looked_up / first if first else float("nan")


def _compare(rounds: dict[str, Rounds], record: Record) -> None:
    figures: dict[str, Callable[[Rounds], Sequence[float]]] = {
        "throughput": lambda of: of.throughput,
        "connections": lambda of: of.connections,
        "cpu": lambda of: of.cpu,
    }
    for key, pick in figures.items():
        for base, suffix in (("normal", ""), ("floor", "_floor")):
            for name, column in (("ours", "ours"), ("ovn", "ovn"), ("floor", "limit")):
                if name not in rounds or name == base or not pick(rounds[name]):
                    continue
                mean, error = _ratio(pick(rounds[name]), pick(rounds[base]))
                record.put(f"{key}{suffix}", mean, column)
                if column == "ours":
                    record.put(f"{key}{suffix}", error, "error")
                record.note(f"{key}, {name} to {base}: {mean:.3f} ± {error:.3f}")


def _ratio(ours: Sequence[float], base: Sequence[float]) -> tuple[float, float]:
    """Geometric mean of the ratios of the turns, and its standard error."""
    logs = [math.log(mine / theirs) for mine, theirs in zip(ours, base, strict=True) if mine and theirs]
    mean = math.exp(statistics.mean(logs))
    return mean, mean * statistics.stdev(logs) / len(logs) ** 0.5
