"""Decides when this controller may answer `Store.ask`: once it knows whether its switches answer."""

from __future__ import annotations

from collections.abc import Collection

from sgctl.controller.connected import SwitchProbe

SILENT = "Open vSwitch does not answer"
"""The error that is reported for a switch that hangs."""


class LivenessAnswer:
    """A pending `Store.ask`: it can be answered once all switches have been asked."""

    def __init__(self) -> None:
        self._number: int | None = None

    def settled(self, asked: int, answered: int, probes: Collection[SwitchProbe]) -> int | None:
        """The number that can be answered now, None if there is none.

        `asked` is the number of the last `Store.ask`, `answered` the number that was answered last.
        """
        if self._number is None and asked != answered:
            self._number = asked
            for probe in probes:
                probe.ask()
        if self._number is None or any(probe.pending for probe in probes):
            return None
        number, self._number = self._number, None
        return number
