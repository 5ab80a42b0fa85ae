"""Dropped packets by port and reason: from the learned flows of table DROPPED, and from meters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.reasons import Reason
from sgctl.controller.engine import ManagedBridge
from sgctl.explain.dump import InstalledFlow
from sgctl.explain.expected import ExpectedState
from sgctl.explain.flow_names import FlowNames
from sgctl.explain.switch import SwitchTools
from sgctl.vswitch.devices import OPENFLOW_LOCAL

_CONDITION = re.compile(r"\b(\w+)=([^,\s]+)")
_REASONS = {reason.value: reason for reason in Reason}
_MADE_THE_COUNTER = 1
"""The packet for which the switch learns a counting flow is not counted by that flow."""


def drop_records(expected: ExpectedState, tools: SwitchTools) -> Iterator[dict[str, object]]:
    """One record for each port and reason; on each bridge the largest count comes first."""
    for dpid in expected.managed(None):
        managed = expected.engine.bridges[dpid]
        flows = [InstalledFlow.parse(line) for line in tools.flows(managed.bridge.name)]
        counters = [
            flow for flow in flows if flow.table == p.DROPPED.id and flow.cookie == numbers.DROPS_COOKIE
        ]
        counted = [_counted(flow) for flow in counters]
        for meter, packets in tools.metered(managed.bridge.name).items():
            if packets:
                counted.append(_Counted.of_meter(meter, packets))
        names = FlowNames(expected.engine.policy, managed)
        for each in sorted(counted, key=lambda each: -each.packets):
            yield _record(managed, names, each)


class _Counted(NamedTuple):
    """How many packets were dropped for a reason, at the port or in the network that the conditions name."""

    reason: int
    conditions: Mapping[str, str]
    packets: int

    @classmethod
    def of_meter(cls, number: int, packets: int) -> _Counted:
        """What a meter of a port, or of a network, has dropped."""
        if number >= numbers.NETWORK_METERS:
            zone = str(number - numbers.NETWORK_METERS)
            return cls(int(Reason.NETWORK_FRAGMENT_BUDGET), {r.ZONE.name: zone}, packets)
        of_fragments, ofport = divmod(number, numbers.FRAGMENT_METERS)
        reason = Reason.FRAGMENT_BUDGET if of_fragments else Reason.CONTROL_BUDGET
        return cls(int(reason), {"in_port": str(ofport)}, packets)


def _counted(flow: InstalledFlow) -> _Counted:
    conditions = dict(_CONDITION.findall(flow.match))
    number = int(conditions.get(r.REASON.name, "0"), 0)
    return _Counted(number, conditions, flow.packets + _MADE_THE_COUNTER)


def _record(managed: ManagedBridge, names: FlowNames, counted: _Counted) -> dict[str, object]:
    number, conditions, packets = counted
    reason = _REASONS.get(number)  # a counter may be older than this program
    word = reason.name if reason else f"UNKNOWN_{number}"
    interface, port = _end(names, conditions)
    return {
        "name": f"{managed.bridge.name}:{interface or port}:{word}",
        "bridge": managed.bridge.name,
        "interface": interface,
        "port": port,
        "direction": _direction(reason, conditions),
        "reason": word,
        "explanation": reason.explanation if reason else "this version of sgctl does not know the reason",
        "packets": packets,
    }


def _direction(reason: Reason | None, conditions: Mapping[str, str]) -> str:
    """As the workload sees it."""
    if reason in (Reason.FRAGMENT_BUDGET, Reason.NETWORK_FRAGMENT_BUDGET):
        return "both"
    return "to" if r.OUT.name in conditions else "from"


def _end(names: FlowNames, conditions: Mapping[str, str]) -> tuple[str, str]:
    """The interface whose drops are counted, and the policy port or other device behind it.

    `ovs-ofctl` prints reserved port numbers as words, such as LOCAL and CONTROLLER.
    """
    if r.ZONE.name in conditions:
        return "", f"network {names.zone(int(conditions[r.ZONE.name]))}"
    text = conditions.get(r.OUT.name) or conditions.get("in_port", "ANY")
    if text == "LOCAL":
        text = str(OPENFLOW_LOCAL)
    if not text[0].isdigit():
        return text, text
    ofport = int(text, 0)
    return names.interface(ofport), names.bound_port(ofport)
