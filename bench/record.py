"""The figures that a section has measured, for the report."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

MILLISECONDS = 1000.0


@dataclass
class Record:
    """Figures by key and column, series and samples for the plots by name, and notes for readers."""

    quick: bool = False
    values: defaultdict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, key: str, value: float, column: str = "ours") -> None:
        """Record a figure."""
        self.values[key][column] = value

    def median_ms(self, key: str, seconds: Sequence[float], column: str = "ours") -> None:
        """Record the median of latencies, in milliseconds; the latencies are kept for the plots."""
        self.put(key, statistics.median(seconds) * MILLISECONDS, column)
        self.samples[f"{key}/{column}"] = [value * MILLISECONDS for value in seconds]

    def median_s(self, key: str, seconds: Sequence[float], column: str = "ours") -> None:
        """Record the median of durations, in seconds."""
        self.put(key, statistics.median(seconds), column)

    def note(self, text: str) -> None:
        """Add a note that readers of the report must see."""
        self.notes.append(text)

    def save(self, path: Path) -> None:
        """Write the record to a JSON file."""
        content = {
            "values": self.values,
            "series": self.series,
            "samples": self.samples,
            "notes": self.notes,
        }
        path.write_text(json.dumps(content), encoding="utf-8")

    def merge(self, path: Path) -> Self:
        """Add the content of a record that `save` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        for key, columns in content["values"].items():
            self.values[key].update(columns)
        self.series.update({name: [tuple(point) for point in s] for name, s in content["series"].items()})
        self.samples.update(content["samples"])
        self.notes += content["notes"]
        return self
