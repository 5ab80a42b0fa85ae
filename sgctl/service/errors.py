"""Errors of a request: all problems at once, each with its source and field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from enum import StrEnum


class Code(StrEnum):
    """The class of a problem; the REST API maps it to an HTTP status."""

    INVALID = "invalid"
    NOT_FOUND = "not found"
    AMBIGUOUS = "ambiguous"
    TAKEN = "taken"
    IN_USE = "in use"


def printable(text: str) -> str:
    """The text, with an escape for each character that would move the cursor or end the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Where an input comes from; empty parts are unknown or do not apply.

    `document` counts from 1 within its file. `kind` and `name` are taken unchecked from the document.
    """

    file: str = ""
    document: int = 0
    kind: str = ""
    name: str = ""

    def at(self, line: int) -> str:
        """`FILE:LINE: document N: KIND NAME`, without the parts that are unknown."""
        place = f"{self.file}:{line}" if self.file and line else self.file
        document = f"document {self.document}" if self.document else ""
        return ": ".join(part for part in (place, document, f"{self.kind} {self.name}".strip()) if part)


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One problem. `field` is a path such as `spec.rules[0].port`; `line` counts from 1, 0 is unknown."""

    source: Source
    field: str
    reason: str
    code: Code = Code.INVALID
    line: int = dataclasses.field(default=0, compare=False)

    def __str__(self) -> str:
        """One line. What it quotes may hold line ends and control characters, which are escaped."""
        parts = (self.source.at(self.line), self.field, self.reason)
        return printable(": ".join(part for part in parts if part))


class PolicyError(Exception):
    """A request was refused and nothing was changed. Holds all problems, not only the first."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(dict.fromkeys(findings))
        super().__init__("\n".join(map(str, self.findings)))
