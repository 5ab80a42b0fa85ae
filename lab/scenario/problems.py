"""Collects the problems of a scenario file, so that all of them are reported at once."""

from __future__ import annotations

from pathlib import Path

from lab.scenario.model import ScenarioError


class Problems:
    """The problems of one file, each with the field that is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []

    def add(self, field: str, reason: str) -> None:
        """Add a problem of `field` (a dotted path in the file)."""
        self._lines.append(f"{self._path}: {field}: {reason}")

    def raise_any(self) -> None:
        """Raise ScenarioError if there are problems."""
        if self._lines:
            raise ScenarioError(self._lines)
