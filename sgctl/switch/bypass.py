"""Finds flows of other programs in our tables that do more than drop: their packets bypass the policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from flows.openflow.pipeline import LEARNING, TABLE_BY_ID
from flows.openflow.wire import Installed


class CountingChannel(Protocol):
    """The requests to a switch that `BypassWatch` needs."""

    def flow_counts(self) -> Mapping[int, int]:
        """The number of flows in each table."""

    def flows_of_others(self) -> list[Installed]:
        """The flows whose cookie has neither of our tags."""


class BypassWatch:
    """Looks for flows of other programs. While the number of flows is as expected, it reads no flows.

    `found` describes the flows that bypass the policy; it is empty if there are none.
    """

    def __init__(self, channel: CountingChannel) -> None:
        self.found = ""
        self._channel = channel
        self._counts_before: Mapping[int, int] = {}

    def take(self, installed: Iterable[Installed]) -> None:
        """Examine all flows of the switch, which have been read."""
        self.found = describe(installed)

    def check(self, expected: int) -> None:
        """Ask the switch; `expected` is the number of our flows that it should have.

        Leaves out the tables into which the switch learns flows: `expected` does not include those, and their
        number is unknown. Flows of other programs in those tables are only found when all flows are read.
        """
        counts = self._channel.flow_counts()
        steady = {table: counts.get(table, 0) for table in TABLE_BY_ID if table not in LEARNING}
        others = sum(steady.values()) != expected
        if self.found or (others and steady != self._counts_before):
            self._counts_before = steady
            self.found = describe(self._channel.flows_of_others())


def describe(installed: Iterable[Installed]) -> str:
    """The number and the tables of the flows that bypass the policy, as text; empty if there are none."""
    counts = Counter(flow.table for flow in installed if flow.bypasses)
    if not counts:
        return ""
    total, where = sum(counts.values()), ", ".join(TABLE_BY_ID[table].name for table in sorted(counts))
    what = "1 flow of somebody else does" if total == 1 else f"{total} flows of somebody else do"
    return f"{what} more than drop in {where}: packets bypass the policy; `sgctl verify` shows them"
