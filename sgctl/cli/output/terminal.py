"""Errors and warnings as single lines, and text without control characters."""

from __future__ import annotations

import os
from collections.abc import Iterable

import click

from sgctl.service.errors import printable

OK, FAILED, USAGE, DIFFERENT = 0, 1, 2, 3
"""Exit statuses."""


class Failure(Exception):
    """The command failed; one line for each error."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


def fail(lines: Iterable[str], code: int) -> int:
    """Print each line as an error, and return `code`."""
    for line in lines:
        _tell("error:", "red", line)
    return code


def warn(line: str) -> None:
    """Print a warning about a command that succeeded."""
    _tell("warning:", "yellow", line)


def _tell(prefix: str, color: str, line: str) -> None:
    styled = click.style(prefix, fg=color, bold=True)
    click.echo(f"{styled} {printable(line)}", err=True, color=False if os.environ.get("NO_COLOR") else None)
