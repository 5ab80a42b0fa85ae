"""Counts the (policy, packet) pairs on which switch and reference were compared, and their differences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    pairs: int = 0
    disagreements: int = 0

    def __str__(self) -> str:
        return f"{self.pairs} pairs, {self.disagreements} disagreements"


TALLY = Tally()
