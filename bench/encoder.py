"""The wire encoder alone: flow mods of W(400, 1000) in a bundle, in this process, on one core."""

from __future__ import annotations

import gc
import time
from dataclasses import replace

from bench.record import Record
from bench.workload import NETWORK, BenchWorkload, identifier
from flows.compiler.bridge import BridgeCompiler, LocalState
from flows.openflow import wire
from flows.openflow.flow import Flow
from flows.policy.index import Policy
from flows.policy.objects import Change, Port, Rule
from sgctl.ryu.manager import COLLECTOR_THRESHOLDS

_ROUNDS = 5


def measure(record: Record) -> None:
    """Measure flows that were never encoded before, as when a switch is programmed for the first time."""
    gc.set_threshold(*COLLECTOR_THRESHOLDS)  # as the controller does
    rates = []
    for _ in range(_ROUNDS):
        flows = _fresh_flows()
        start = time.process_time()
        for xid, flow in enumerate(flows, 1):
            wire.bundle_edit(1, flow, xid)
        rates.append(len(flows) / (time.process_time() - start))
    record.put("encoder", sorted(rates)[_ROUNDS // 2])


def _fresh_flows() -> list[Flow]:
    workload = BenchWorkload(400, 1000)
    policy = Policy()
    objects = workload.objects()
    for number, obj in enumerate(objects):
        if isinstance(obj, Rule):
            objects[number] = replace(obj, number=16 + number)
    policy.apply(Change(None, obj) for obj in objects)
    ports = [obj for obj in objects if isinstance(obj, Port)][: workload.ports]
    bridge = BridgeCompiler(policy)
    attached = {number: port.id for number, port in enumerate(ports, 1)}
    bridge.set_local(LocalState(attached, {}, {identifier(NETWORK): 1}))
    return bridge.flush().added
