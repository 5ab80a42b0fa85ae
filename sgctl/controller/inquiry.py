"""When this controller may say that it is at work: once it knows whether its switches are."""

from __future__ import annotations

from collections.abc import Collection

from sgctl.controller.connected import Pulse

SILENT = "Open vSwitch does not answer"
"""What is reported of a switch that hangs."""


class Inquiry:
    """A question whether this controller is at work: it can be answered once the switches have been asked."""

    def __init__(self) -> None:
        self._number: int | None = None

    def settled(self, asked: int, answered: int, pulses: Collection[Pulse]) -> int | None:
        """The question that can be answered now, if there is one.

        `asked` is the last one, `answered` the one that was answered last.
        """
        if self._number is None and asked != answered:
            self._number = asked
            for pulse in pulses:
                pulse.ask()
        if self._number is None or any(pulse.pending for pulse in pulses):
            return None
        number, self._number = self._number, None
        return number
