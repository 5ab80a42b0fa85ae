"""How many (policy, packet) pairs were put to both judges, and how often they differed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    pairs: int = 0
    disagreements: int = 0

    def __str__(self) -> str:
        return f"{self.pairs} pairs, {self.disagreements} disagreements"


TALLY = Tally()
