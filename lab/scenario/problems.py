"""What is wrong with a scenario file, gathered so that all of it is told at once."""

from __future__ import annotations

from pathlib import Path

from lab.scenario.model import ScenarioError


class Problems:
    """Findings about one file, each with the field that it is about."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []

    def add(self, field: str, reason: str) -> None:
        """Note that `field` (dotted, as in the file) is wrong."""
        self._lines.append(f"{self._path}: {field}: {reason}")

    def raise_any(self) -> None:
        """Raise ScenarioError when something was found."""
        if self._lines:
            raise ScenarioError(self._lines)
