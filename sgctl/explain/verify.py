"""Compares the flows that a switch holds with the flows that it should hold, and names each difference."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flows.openflow.flow import Flow
from flows.openflow.numbers import COOKIE_TAG
from flows.openflow.pipeline import TABLE_BY_ID
from flows.openflow.wire import is_learned
from sgctl.explain.expected import ExpectedState
from sgctl.explain.flow_names import FlowNames
from sgctl.explain.switch import SwitchTools

_LINE = re.compile(
    r"^([+-])(?:table=(\d+) ?)?(.*?) ?(?:cookie=(0x[0-9a-f]+) )?(?:\S+_timeout=\d+ )*actions=(.*)$"
)
_SETTLE_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


class DifferenceKind(StrEnum):
    """How a flow differs from what is expected."""

    MISSING = "missing"
    FOREIGN = "foreign"
    ALTERED = "altered"
    BYPASS = "bypass"


@dataclass(frozen=True)
class FlowDifference:
    """One flow that differs from the expected flows.

    `spot` is table, priority and match in Open vSwitch's syntax; `installed` and `expected` are actions, None
    where there is no flow. A FOREIGN flow carries our cookie tag and is not expected. An ALTERED flow has the
    match of an expected flow, but other actions or another cookie. A BYPASS flow has a cookie without our
    tag, is in one of our tables, and does more than drop.
    """

    kind: DifferenceKind
    table: int
    spot: str
    cookie: int
    installed: str | None
    expected: str | None

    def edits(self, flows: Mapping[int, Flow]) -> Iterator[str]:
        """The edits that undo the difference, for `ovs-ofctl --bundle`."""
        if self.kind is DifferenceKind.FOREIGN:
            yield f"delete_strict table={self.table},{self.spot}"
        else:
            yield f"add {expected_line(flows[self.cookie])}"


def removal(bridge: str, found: FlowDifference) -> str:
    """The command that removes the flow from the switch."""
    spot = ",".join(filter(None, [f"table={found.table}", found.spot]))
    return f"ovs-ofctl -O OpenFlow14 --strict del-flows {shlex.quote(bridge)} {shlex.quote(spot)}"


def expected_line(flow: Flow) -> str:
    """The flow and its cookie, in the syntax that ovs-ofctl accepts."""
    return f"cookie={flow.cookie:#x},{flow.text()}"


def differences(lines: Iterable[str]) -> list[FlowDifference]:
    """Parse `ovs-ofctl diff-flows SWITCH EXPECTED`; skip flows without our cookie tag that bypass nothing."""
    installed: dict[tuple[int, str], tuple[int, str]] = {}
    expected: dict[tuple[int, str], tuple[int, str]] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            raise ValueError(f"not a line of diff-flows: {line}")
        side = installed if found[1] == "-" else expected
        side[int(found[2] or 0), found[3].strip()] = int(found[4] or "0", 16), found[5]
    return list(_compare(installed, expected))


def _compare(
    installed: Mapping[tuple[int, str], tuple[int, str]], expected: Mapping[tuple[int, str], tuple[int, str]]
) -> Iterator[FlowDifference]:
    for (table, spot), (cookie, actions) in sorted(expected.items()):
        there = installed.get((table, spot))
        kind = DifferenceKind.MISSING if there is None else DifferenceKind.ALTERED
        yield FlowDifference(kind, table, spot, cookie, None if there is None else there[1], actions)
    for (table, spot), (cookie, actions) in sorted(installed.items()):
        if (table, spot) in expected:
            continue
        if cookie >> 56 == COOKIE_TAG:
            yield FlowDifference(DifferenceKind.FOREIGN, table, spot, cookie, actions, None)
        elif table in TABLE_BY_ID and actions != "drop" and not is_learned(table, cookie):
            yield FlowDifference(DifferenceKind.BYPASS, table, spot, cookie, actions, None)


class Verifier:
    """Compares and repairs the switches of this host."""

    def __init__(self, expected: ExpectedState, tools: SwitchTools) -> None:
        self._expected = expected
        self._tools = tools

    def check(self, dpid: int, patience: float = _SETTLE_SECONDS) -> list[FlowDifference]:
        """The differences on one bridge.

        A change that is being applied is not a difference: the comparison is repeated, for at most `patience`
        seconds, until the controller reports that the change is applied.
        """
        deadline = time.monotonic() + patience
        while True:
            before = self._expected.generation
            found = self._differences(dpid)
            self._expected.refresh()
            settled = self._expected.in_step and self._expected.generation == before
            if not found or settled or time.monotonic() > deadline:
                return found
            time.sleep(_PAUSE_SECONDS)

    def repair(self, dpid: int, found: Iterable[FlowDifference]) -> None:
        """Undo these differences in one bundle; flows without our cookie tag stay."""
        managed = self._expected.engine.bridges[dpid]
        flows = {flow.cookie: flow for flow in managed.compiler.flows.values()}
        edits = [
            edit
            for each in found
            if each.kind is not DifferenceKind.BYPASS
            and (each.kind is DifferenceKind.FOREIGN or each.cookie in flows)
            for edit in each.edits(flows)
        ]
        self._tools.change(managed.bridge.name, edits)

    def names(self, dpid: int) -> FlowNames:
        """Names for the numbers in one bridge's flows."""
        return FlowNames(self._expected.engine.policy, self._expected.engine.bridges[dpid])

    def _differences(self, dpid: int) -> list[FlowDifference]:
        managed = self._expected.engine.bridges[dpid]
        lines = map(expected_line, managed.compiler.flows.values())
        return differences(self._tools.differences(managed.bridge.name, lines))
