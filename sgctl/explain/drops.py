"""Dropped packets by port and reason, from the counters that switches learn (table DROPPED)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flows import pipeline as p
from flows.reasons import Reason
from sgctl.controller.engine import ManagedBridge
from sgctl.explain.dump import InstalledFlow
from sgctl.explain.expected import Picture
from sgctl.explain.names import Names
from sgctl.explain.switch import SwitchTools

_CONDITION = re.compile(r"\b(\w+)=(0x[0-9a-f]+|\d+)")
_REASONS = {reason.value: reason for reason in Reason}
_MADE_THE_COUNTER = 1
"""The packet that makes a counter is not counted by it."""


def drop_records(picture: Picture, tools: SwitchTools) -> Iterator[dict[str, object]]:
    """One record for each port and reason there has been, the most frequent first on each bridge."""
    for dpid in picture.managed(None):
        managed = picture.engine.bridges[dpid]
        flows = [InstalledFlow.parse(line) for line in tools.flows(managed.bridge.name)]
        counters = [flow for flow in flows if flow.table == p.DROPPED.id and flow.cookie == p.DROPS_COOKIE]
        names = Names(picture.engine.policy, managed)
        for flow in sorted(counters, key=lambda flow: -flow.packets):
            yield _record(managed, names, flow)


def _record(managed: ManagedBridge, names: Names, flow: InstalledFlow) -> dict[str, object]:
    conditions = {name: int(value, 0) for name, value in _CONDITION.findall(flow.match)}
    reason = _REASONS[conditions[p.REASON.name]]
    receiver = p.OUT.name in conditions
    ofport = conditions[p.OUT.name if receiver else "in_port"]
    return {
        "name": f"{managed.bridge.name}:{names.interface(ofport)}:{reason.name}",
        "bridge": managed.bridge.name,
        "interface": names.interface(ofport),
        "port": names.bound_port(ofport),
        "direction": "to" if receiver else "from",
        "reason": reason.name,
        "explanation": reason.explanation,
        "packets": flow.packets + _MADE_THE_COUNTER,
    }
