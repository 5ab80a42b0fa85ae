"""A moving sign on the terminal while a command works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sgctl.cli.lazy import load


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show the text with a spinner on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    console = load("rich.console:Console")(stderr=True, highlight=False, markup=False)
    with console.status(text):
        yield
