"""Flows of others in our tables that do more than drop: what they match is not judged by ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from flows.pipeline import LEARNING, TABLE_BY_ID
from flows.wire import Installed


class CountingChannel(Protocol):
    """What is asked of a switch."""

    def flow_counts(self) -> Mapping[int, int]:
        """The number of flows in each table."""

    def flows_of_others(self) -> list[Installed]:
        """The flows with neither of our tags."""


class BypassWatch:
    """Looks for such flows, and costs the switch nothing as long as the number of flows is the expected one.

    `found` describes what there is; it is empty when all is well.
    """

    def __init__(self, channel: CountingChannel) -> None:
        self.found = ""
        self._channel = channel
        self._looked_at: Mapping[int, int] = {}

    def take(self, installed: Iterable[Installed]) -> None:
        """All flows of the switch have been read."""
        self.found = describe(installed)

    def look(self, expected: int) -> None:
        """Ask the switch; `expected` is how many flows of ours it should hold.

        The tables in which the switch learns hold none of these and are left out: nobody knows their
        numbers. Flows of others in there show when all flows are read.
        """
        counts = self._channel.flow_counts()
        steady = {table: counts.get(table, 0) for table in TABLE_BY_ID if table not in LEARNING}
        others = sum(steady.values()) != expected
        if self.found or (others and steady != self._looked_at):
            self._looked_at = steady
            self.found = describe(self._channel.flows_of_others())


def describe(installed: Iterable[Installed]) -> str:
    """How many of the flows bypass ours, and in which tables."""
    counts = Counter(flow.table for flow in installed if flow.bypasses)
    if not counts:
        return ""
    total, where = sum(counts.values()), ", ".join(TABLE_BY_ID[table].name for table in sorted(counts))
    what = "1 flow of somebody else does" if total == 1 else f"{total} flows of somebody else do"
    return f"{what} more than drop in {where}: packets bypass the policy; `sgctl verify` shows them"
