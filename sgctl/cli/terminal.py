"""What reaches the terminal: errors as single lines, and no control characters from the policy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

OK, FAILED, USAGE, DIFFERENT = 0, 1, 2, 3
"""Exit statuses."""


class Failure(Exception):
    """A command failed; one line per error."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


def fail(lines: Iterable[str], code: int) -> int:
    """Print each line as an error; the code, unchanged."""
    for line in lines:
        _tell("error:", "red", line)
    return code


def warn(line: str) -> None:
    """Print what went right and may not be what was wanted."""
    _tell("warning:", "yellow", line)


def _tell(prefix: str, color: str, line: str) -> None:
    styled = click.style(prefix, fg=color, bold=True)
    click.echo(f"{styled} {plain(line)}", err=True, color=False if os.environ.get("NO_COLOR") else None)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Something that moves on standard error while work goes on, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415  # only terminals need it

    with Console(stderr=True, highlight=False, markup=False).status(text):
        yield


def plain(text: str) -> str:
    """The text with everything that could move the cursor or break the line made visible."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
