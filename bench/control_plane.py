"""The control plane on a simulated switch: programming and edits, compared with the switch's own tool."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.installation import BRIDGE, Installation
from bench.openflow import BareClient
from bench.record import Record
from bench.workload import NETWORK, BenchWorkload, interface, local_port, remote_member, tcp_rule
from flows.compiler.services import IPV4_TERM
from flows.openflow import pipeline, wire
from flows.openflow.flow import Flow
from flows.policy.objects import Change, PolicyObject

LIMIT_BRIDGE = "limit"
_NEW_PORT = 1_000_000
_UNUSED_PRIORITY = 1
_BETWEEN_CHANGES = 0.003
"""Seconds from the confirmation of one change until the next reaches the switch, as with sgctl."""
_UPLINK = "uplink"


@dataclass(frozen=True)
class Size:
    """The size of a workload, and how often each operation is measured."""

    name: str
    workload: BenchWorkload
    edits: int
    rounds: int


SIZES = {
    "400": Size("400", BenchWorkload(400, 1000), edits=40, rounds=9),
    "2000": Size("2000", BenchWorkload(2000, 10000), edits=25, rounds=3),
}


def measure_400(record: Record) -> None:
    """W(400, 1000)."""
    _measure(SIZES["400"], record)


def measure_2000(record: Record) -> None:
    """W(2000, 10000)."""
    _measure(SIZES["2000"], record)


def _measure(size: Size, record: Record) -> None:
    with Installation() as here:
        here.connect()
        names = [interface(number) for number in range(1, size.workload.ports + 1)]
        here.plug([*names, interface(_NEW_PORT)])
        programs, limit = _program(here, size)
        record.median_s(f"program_{size.name}", programs)
        record.median_s(f"program_{size.name}", limit, "limit")
        record.put(f"flows_{size.name}", here.flow_count())
        if size.name == "400":
            record.put("flows_400_uplink", _flows_with_uplink(here))
        record.median_s(f"connect_{size.name}", _reconnect(here, size))
        record.median_s(f"connect_{size.name}", limit, "limit")
        _edit(here, size, record)
        if size.name == "400":
            record.median_ms("plug", _plug(here, 5 if record.quick else 15))


def _program(here: Installation, size: Size) -> tuple[list[float], list[float]]:
    """Program the whole policy in one transaction on a switch that has the devices, and remove it again.

    Alternates with measuring the limit, because the speed of a shared machine varies over time.
    """
    took, limit = [], []
    for last in range(size.rounds, 0, -1):
        took.append(here.commit(size.workload.additions()))
        limit.append(_limit(here))
        if last > 1:
            here.commit(removals(here))
    return took, limit


def removals(here: Installation) -> list[Change]:
    """The changes that remove the whole policy."""
    here.store.run()
    return [Change(obj, None) for obj in here.store.objects.everything()]


def _flows_with_uplink(here: Installation) -> int:
    """How many flows there are with an uplink, because of which every port needs more checks."""
    here.ovs.add_port(BRIDGE, _UPLINK, f"external_ids:sgctl-uplink={NETWORK}")
    here.wait_for_interfaces([_UPLINK])
    here.confirm()
    count = here.flow_count()
    here.ovs.vsctl("del-port", _UPLINK)
    here.confirm()
    return count


def _reconnect(here: Installation, size: Size) -> list[float]:
    """A switch that has lost all its flows connects to a controller that has the whole policy."""
    took = []
    for _ in range(size.rounds):
        here.ovs.vsctl("del-controller", BRIDGE)
        here.wait_connected(False)
        here.ovs.ofctl("del-flows", BRIDGE)
        generation = here.store.commit(())
        start = time.perf_counter()
        here.ovs.vsctl("--no-wait", "set-controller", BRIDGE, here.controller.target)
        here.wait_connected(True)
        here.applied(generation)
        took.append(time.perf_counter() - start)
    return took


def _limit(here: Installation) -> float:
    """`ovs-ofctl --bundle replace-flows` of the same flows on an empty bridge of the same switch."""
    here.ovs.add_bridge(LIMIT_BRIDGE, "fail_mode=secure")
    with tempfile.NamedTemporaryFile() as file:
        here.dump(Path(file.name))
        here.ovs.add_meters(LIMIT_BRIDGE, Path(file.name).read_text())
        start = time.perf_counter()
        here.ovs.ofctl("--timeout=200", "--bundle", "replace-flows", LIMIT_BRIDGE, file.name)
        took = time.perf_counter() - start
    here.ovs.vsctl("del-br", LIMIT_BRIDGE)
    return took


def _edit(here: Installation, size: Size, record: Record) -> None:
    workload, count = size.workload, size.edits // 2 if record.quick else size.edits

    edits: dict[str, Callable[[int], PolicyObject]] = {
        "rule": lambda n: tcp_rule(20000 + n),
        "remote_rule": lambda n: tcp_rule(20000 + n, remote="sg2"),
        "member": lambda n: remote_member(workload.members + 1 + n),
        "port": lambda _: local_port(_NEW_PORT),
    }
    for name, make in edits.items():
        added, removed = add_and_remove(here, make, count)
        record.median_ms(f"{name}_add_{size.name}", added)
        record.median_ms(f"{name}_remove_{size.name}", removed)
    record.median_ms(f"nothing_{size.name}", [here.commit(()) for _ in range(count)])
    limit = _one_flow(here, count)
    for name in ("rule", "member", "port"):
        record.median_ms(f"{name}_add_{size.name}", limit, "limit")
        record.median_ms(f"{name}_remove_{size.name}", limit, "limit")


def _one_flow(here: Installation, count: int) -> list[float]:
    """The switch's own time for a change: a minimal client adds and removes one flow in bundles."""
    flow = Flow(pipeline.EGRESS_ANY, _UNUSED_PRIORITY, (IPV4_TERM,), ())
    client, took = BareClient(here.ovs.rundir, BRIDGE), []
    edits: list[wire.Edit] = [flow, flow.key]
    for edit in edits * count:
        time.sleep(_BETWEEN_CHANGES)
        took.append(client.push([edit]))
    client.close()
    return took


def add_and_remove(
    here: Installation, make: Callable[[int], PolicyObject], count: int
) -> tuple[list[float], list[float]]:
    """Seconds for additions and for removals, one change at a time, alternating."""
    added, removed = [], []
    for number in range(count):
        obj = make(number)
        added.append(here.commit([Change(None, obj)]))
        removed.append(here.commit([Change(here.store.objects[type(obj)][obj.id], None)]))
    return added, removed


def _plug(here: Installation, count: int) -> list[float]:
    """From `ovs-vsctl add-port` to the confirmed flows of a port that the policy already contains."""
    took = []
    for number in range(_NEW_PORT + 1, _NEW_PORT + 1 + count):
        here.commit([Change(None, local_port(number))])
        start = time.perf_counter()
        here.plug([interface(number)])
        here.confirm()
        took.append(time.perf_counter() - start)
    return took


def slopes(record: Record) -> None:
    """How the number of flows and the time of edits grow with ports, members and rules."""
    base = BenchWorkload(50, 100, 10)
    sizes = (1, 3) if record.quick else (1, 2, 4, 8)
    grown = {
        "ports": [BenchWorkload(base.ports * n, base.members, base.rules) for n in sizes],
        "members": [BenchWorkload(base.ports, base.members * n, base.rules) for n in sizes],
        "rules": [BenchWorkload(base.ports, base.members, base.rules * n) for n in sizes],
    }
    with Installation() as here:
        here.connect()
        here.plug([interface(n) for n in [*range(1, base.ports * max(sizes) + 1), _NEW_PORT]])
        for what, workloads in grown.items():
            for workload in workloads:
                _point(here, workload, what, record)
    for what, key in (("ports", "slope_port"), ("members", "slope_member"), ("rules", "slope_rule")):
        points = record.series[f"flows/{what}"]
        (x0, y0), (x1, y1) = points[0], points[-1]
        record.put(key, (y1 - y0) / (x1 - x0))


def _point(here: Installation, workload: BenchWorkload, what: str, record: Record) -> None:
    here.commit(workload.additions())
    size = float(getattr(workload, what))
    record.series.setdefault(f"flows/{what}", []).append((size, float(here.flow_count())))
    edits: dict[str, Callable[[int], PolicyObject]] = {
        "rule": lambda n: tcp_rule(20000 + n),
        "member": lambda n: remote_member(workload.members + 1 + n),
        "port": lambda _: local_port(_NEW_PORT),
    }
    for name, make in edits.items():
        added, _ = add_and_remove(here, make, 7)
        record.series.setdefault(f"{name} added/{what}", []).append((size, sorted(added)[3] * 1000))
    here.commit(removals(here))
