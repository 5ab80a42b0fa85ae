"""The flows that a switch holds against those that it should, each difference with its name."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flows.flow import Flow
from flows.pipeline import COOKIE_TAG
from sgctl.explain.expected import Picture
from sgctl.explain.names import Names
from sgctl.explain.switch import SwitchTools

_LINE = re.compile(
    r"^([+-])(?:table=(\d+) ?)?(.*?) ?(?:cookie=(0x[0-9a-f]+) )?(?:\S+_timeout=\d+ )*actions=(.*)$"
)
_SETTLE_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


class Kind(StrEnum):
    """How a flow differs from what is expected."""

    MISSING = "missing"
    FOREIGN = "foreign"
    ALTERED = "altered"


@dataclass(frozen=True)
class Difference:
    """One flow that is not as it should be.

    `spot` is table, priority and match in Open vSwitch's words; `installed` and `expected` are actions, None
    where there is no flow. FOREIGN carries our cookie tag and is not expected; ALTERED stands where one of
    ours should and has other actions or another cookie.
    """

    kind: Kind
    table: int
    spot: str
    cookie: int
    installed: str | None
    expected: str | None

    def edits(self, flows: Mapping[int, Flow]) -> Iterator[str]:
        """What undoes the difference, for `ovs-ofctl --bundle`."""
        if self.kind is Kind.FOREIGN:
            yield f"delete_strict table={self.table},{self.spot}"
        else:
            yield f"add {expected_line(flows[self.cookie])}"


def expected_line(flow: Flow) -> str:
    """The flow and its cookie, as ovs-ofctl reads them."""
    return f"cookie={flow.cookie:#x},{flow.text()}"


def differences(lines: Iterable[str]) -> list[Difference]:
    """What `ovs-ofctl diff-flows SWITCH EXPECTED` says, with foreign flows of other owners left out."""
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
) -> Iterator[Difference]:
    for (table, spot), (cookie, actions) in sorted(expected.items()):
        there = installed.get((table, spot))
        kind = Kind.MISSING if there is None else Kind.ALTERED
        yield Difference(kind, table, spot, cookie, None if there is None else there[1], actions)
    for (table, spot), (cookie, actions) in sorted(installed.items()):
        if (table, spot) not in expected and cookie >> 56 == COOKIE_TAG:
            yield Difference(Kind.FOREIGN, table, spot, cookie, actions, None)


class Verifier:
    """Compares, and repairs, the switches of this host."""

    def __init__(self, picture: Picture, tools: SwitchTools) -> None:
        self._picture = picture
        self._tools = tools

    def check(self, dpid: int, patience: float = _SETTLE_SECONDS) -> list[Difference]:
        """What differs on one bridge.

        A change that is on its way is no drift: differences are looked at again, for at most `patience`
        seconds, until the controller says that it is done.
        """
        deadline = time.monotonic() + patience
        while True:
            before = self._picture.generation
            found = self._differences(dpid)
            self._picture.refresh()
            settled = self._picture.in_step and self._picture.generation == before
            if not found or settled or time.monotonic() > deadline:
                return found
            time.sleep(_PAUSE_SECONDS)

    def repair(self, dpid: int, found: Iterable[Difference]) -> None:
        """Undo these differences, all at once."""
        managed = self._picture.engine.bridges[dpid]
        flows = {flow.cookie: flow for flow in managed.compiler.flows.values()}
        edits = [
            edit
            for each in found
            if each.kind is Kind.FOREIGN or each.cookie in flows
            for edit in each.edits(flows)
        ]
        self._tools.change(managed.bridge.name, edits)

    def names(self, dpid: int) -> Names:
        """Names for one bridge's numbers."""
        return Names(self._picture.engine.policy, self._picture.engine.bridges[dpid])

    def _differences(self, dpid: int) -> list[Difference]:
        managed = self._picture.engine.bridges[dpid]
        lines = map(expected_line, managed.compiler.flows.values())
        return differences(self._tools.differences(managed.bridge.name, lines))
