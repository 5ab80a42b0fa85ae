"""Real packets on the userspace datapath: how changes affect them, and how much they cost the switch.

W(400, 1000) is enforced; three of its ports are namespaces, the others have no machine behind them.
"""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.flowing import Flowing
from bench.frames import random_sources
from bench.installation import BRIDGE, Installation, add_interfaces
from bench.record import Record
from bench.workload import (
    FIRST_ADDRESS,
    OPEN_PORTS,
    BenchWorkload,
    address,
    identifier,
    interface,
    mac,
    tcp_rule,
)
from flows.policy.objects import Change, Rule
from lab.background_traffic import Datagrams
from lab.netns import Workload as Machine
from lab.ovs import PrivateOvs
from lab.process import LabError, wait_until
from lab.workloads import Workloads
from sgctl.store.server import allocator

_SOURCES = 10_000
_SERVER, _UPLINK, _UDP = 2, "uplink", 17
_RESTART_PATIENCE = 30.0
_AGE = re.compile(r"duration=([\d.]+)s")
_COUNTERS = re.compile(r"(duration|n_packets|n_bytes|idle_age|hard_age)=[^,]*, ")
_OURS = "cookie=0x5c00000000000000/0xff00000000000000"
_chance = random.Random(7)  # noqa: S311 - the same changes every time
_OPEN, _CLOSED = OPEN_PORTS[0], 9


@dataclass
class Live:
    """An installation with W(400, 1000) in which ports 1 and 2 and the uplink are real."""

    here: Installation
    client: Machine
    server: Machine
    outside: Machine


@contextmanager
def running() -> Iterator[Live]:
    """An installation whose policy is confirmed."""
    with ExitStack() as stack:
        ovs = PrivateOvs(options=["--enable-dummy"], env=allocator())
        here = stack.enter_context(Installation(ovs))
        workloads = Workloads(ovs)
        stack.callback(workloads.close)
        here.connect()
        client, server = (
            workloads.plug(BRIDGE, interface(n), mac(n), [f"{address(n).address}/8"]) for n in (1, 2)
        )
        outside = Machine(_UPLINK, "02:ff:00:00:00:01", ["10.255.0.1/8"])
        ovs.add_port(BRIDGE, _UPLINK, "external_ids:sgctl-uplink=*")
        names = [interface(number) for number in range(3, 401)]
        add_interfaces(ovs, names)
        here.wait_for_interfaces([*names, _UPLINK])
        here.commit(BenchWorkload(400, 1000).additions())
        here.confirm()
        yield Live(here, client, server, outside)


def measure(record: Record) -> None:
    """Measure all rows that need real packets on one switch."""
    with running() as live:
        _revoke(live, record)
        _edit_under_traffic(live, record)
        for key, port in (("open", _OPEN), ("closed", _CLOSED)):
            record.put(f"megaflows_{key}", _megaflows(live, port))
        _restart(live, record)


def _revoke(live: Live, record: Record) -> None:
    """Remove the rule of an established connection while data flow, and add it again.

    W allows all TCP within the group. That rule is removed while the other rule is measured, and is itself
    measured at the end.
    """
    rounds = 5 if record.quick else 20
    rules = list(live.here.store.objects[Rule].values())
    from_itself = next(rule for rule in rules if rule.remote_group_id == rule.group_id)
    from_anywhere = next(rule for rule in rules if rule.port_range_min == _OPEN)
    live.here.commit([Change(from_itself, None)])
    for key, to_server in (("forward", True), ("reverse", False)):
        took = [_revoke_once(live, from_anywhere, to_server=to_server) for _ in range(rounds)]
        record.median_ms(f"revoke_{key}", took)
    live.here.commit(
        [Change(None, replace(from_itself, number=0)), Change(_now(live.here, from_anywhere), None)]
    )
    record.median_ms("revoke_group", [_revoke_once(live, from_itself, to_server=True) for _ in range(5)])
    live.here.commit([Change(None, replace(from_anywhere, number=0))])


def _now(here: Installation, rule: Rule) -> Rule:
    """The rule as stored in the database, with its current number."""
    return here.store.objects[Rule][rule.id]


def _revoke_once(live: Live, rule: Rule, *, to_server: bool) -> float:
    """Remove the rule; seconds from the request until the last byte arrives."""
    here = live.here
    with Flowing(live.client, live.server, address(_SERVER).address, _OPEN, to_server=to_server) as flowing:
        flowing.wait_for_data()
        start = time.monotonic()
        here.commit([Change(_now(here, rule), None)])
        time.sleep(0.1)
        took = flowing.last - start
        time.sleep(0.3)
        if flowing.last - start > took:
            raise LabError("data still arrive long after the rule was removed")
    here.commit([Change(None, replace(rule, number=0))])
    return max(took, 0.0)


def _edit_under_traffic(live: Live, record: Record) -> None:
    """Add and remove rules of the group while datagrams and a connection run that stay allowed."""
    here, server_address = live.here, address(_SERVER).address
    udp = replace(tcp_rule(6000, remote="sg"), id=identifier("udp"), protocol=_UDP)
    here.commit([Change(None, udp)])
    count = 200 if record.quick else 1000
    with (
        Datagrams(live.client, live.server, server_address, 6000) as datagrams,
        Flowing(live.client, live.server, server_address, 5900, to_server=False) as flowing,
    ):
        flowing.wait_for_data()
        latencies = [here.commit([_random_change(here)]) for _ in range(count)]
        record.put("edit_lost", datagrams.lost() + flowing.retransmitted)
        record.put("edit_count", count)
        record.note(f"{datagrams.arrived:,} datagrams arrived during {count:,} random rule changes")
        record.samples["random rule change/ours"] = [value * 1000 for value in latencies]


def _random_change(here: Installation) -> Change:
    """Add a rule that does not match the traffic, or remove it again."""
    remote = _chance.choice([None, "sg", "sg2"])
    rule = tcp_rule(20000 + _chance.randrange(50), remote=remote)
    held = here.store.objects[Rule].get(rule.id)
    return Change(None, rule) if held is None else Change(held, None)


def _megaflows(live: Live, port: int) -> int:
    """How many megaflows packets from 10,000 outside sources to port 2 cause."""
    ovs = live.here.ovs
    with live.outside.inside():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    ovs.appctl("revalidator/purge")
    with wire:
        wire.bind(("eth0", 0))
        frames = random_sources(mac(_SERVER), FIRST_ADDRESS + _SERVER, port, _SOURCES)
        for number, frame in enumerate(frames):
            wire.send(frame)
            if number % 20 == 0:
                time.sleep(0.002)
    received = int(ovs.ofctl("dump-ports", BRIDGE, _UPLINK).partition("rx pkts=")[2].partition(",")[0])
    if received < _SOURCES:
        raise LabError(f"{received} packets reached the switch, not {_SOURCES}")
    # Other connections of the benchmark may still be closing.
    ours = (f"in_port({_UPLINK})", "proto=6")
    lines = ovs.appctl("dpctl/dump-flows", "--names").splitlines()
    return sum(all(part in line for part in ours) for line in lines)


def _restart(live: Live, record: Record) -> None:
    """Kill the controller and start it again while datagrams run; the switch keeps its flows."""
    totals, connected, touched = [], [], 0
    with Datagrams(live.client, live.server, address(_SERVER).address, 6000) as datagrams:
        for _ in range(3 if record.quick else 7):
            since = time.monotonic()
            before = _installed(live.here)
            took = restart(live.here)
            totals.append(took[0])
            connected.append(took[1])
            wait_until(lambda: came_back(live.here), "the bridge's own connection", _RESTART_PATIENCE)
            live.here.confirm()
            touched += _touched(before, _installed(live.here), time.monotonic() - since)
        record.put("restart_lost", datagrams.lost())
    record.put("restart_flow_mods", touched)
    record.median_s("restart", totals)
    record.median_s("restart_connected", connected)


def restart(here: Installation) -> tuple[float, float]:
    """Seconds until the flows are verified, from the new process's start and the switch's connection."""
    log = here.controller.log
    here.controller.kill()
    told = log.stat().st_size
    start = time.monotonic()
    here.controller.launch()
    connected = _seen(log, told, "connected", start)
    verified = _seen(log, told, ": 0 flows to add, 0 to remove", start)
    return verified - start, verified - connected


def _seen(log: Path, told: int, text: str, start: float) -> float:
    """The time at which a text appears in the log after its first `told` bytes."""
    while text.encode() not in log.read_bytes()[told:]:
        if time.monotonic() - start > _RESTART_PATIENCE:
            raise LabError(f"no {text!r} in the log {_RESTART_PATIENCE:g} s after the restart")
        time.sleep(0.001)
    return time.monotonic()


def came_back(here: Installation) -> bool:
    """Whether the bridge has connected by itself; until then the controller is connected to the bridge."""
    return "true" in here.ovs.vsctl("--columns=is_connected", "list", "Controller")


def _installed(here: Installation) -> dict[str, float]:
    """Age in seconds of every flow with our cookie tag, by its text without counters."""
    ages = {}
    for line in here.ovs.ofctl("--no-names", "dump-flows", BRIDGE, _OURS).splitlines():
        found = _AGE.search(line)
        if found:
            ages[_COUNTERS.sub("", line)] = float(found[1])
    return ages


def _touched(before: dict[str, float], after: dict[str, float], elapsed: float) -> int:
    """How many flows were added, removed or replaced (those are younger than expected)."""
    renewed = sum(age < elapsed for age in after.values())
    return len(before.keys() ^ after.keys()) + renewed
