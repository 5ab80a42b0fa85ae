"""README's tour: its commands, and the output that README shows for each."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from lab.guest import REPOSITORY

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROMPT = "# "
_ANYTHING = "…"
_VARYING = re.compile(r"0x[0-9a-f]+|\d+(?=ms)|(?<=[A-Z] {2}) *\d+")
"""Parts of the output that vary: identities, times, counters."""


class Step(NamedTuple):
    """A command and the output lines that README shows; a … in a line matches any text."""

    command: str
    printed: tuple[str, ...]

    def missing(self, output: str) -> list[str]:
        """The printed lines that the output does not have."""
        lines = [" ".join(line.split()) for line in output.splitlines()]
        return [
            wanted for wanted in self.printed if not any(_pattern(wanted).fullmatch(line) for line in lines)
        ]


def steps() -> list[Step]:
    """All commands of the tour, in order; the first starts the controller and stays in the foreground."""
    text = (REPOSITORY / "README.md").read_text()
    tour = text.partition("\n## A tour\n")[2].partition("\n## ")[0]
    return [step for block in _BLOCK.findall(tour) for step in _steps(block)]


def _steps(block: str) -> Iterator[Step]:
    command, printed = "", list[str]()
    for line in block.splitlines():
        if line.startswith(_PROMPT):
            if command:
                yield Step(command, tuple(printed))
            command, printed = line.removeprefix(_PROMPT), []
        elif _unfinished(command):
            command += f"\n{line}"
        else:
            printed.append(line)
    yield Step(command, tuple(printed))


def _unfinished(command: str) -> bool:
    check = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)
    return command.endswith("\\") or check.returncode != 0


def _pattern(line: str) -> re.Pattern[str]:
    """A pattern for a printed line. Repeated blanks count as one, since widths of columns vary."""
    line = re.sub(_VARYING, "\0", line)
    text = re.escape(" ".join(line.split()))
    return re.compile(text.replace(re.escape("\0"), "(?:0x[0-9a-f]+|[0-9]+)").replace(_ANYTHING, ".*"))
