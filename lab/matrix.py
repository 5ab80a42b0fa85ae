"""The result of a scenario: what was expected and what was seen, as a table, a summary and JSON.

Wrong cells are marked with words and signs, so that they also stand out without colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.probe import Observation
from lab.scenario.model import Cell, Expectation
from lab.scenario.services import ATTACKS

WRONG = "✗"
_EXPLAINED = 25
"""How many wrong cells of one step are explained in a sentence; the table marks all of them."""
LEGEND = f"allow: the answer came back; ·: nothing arrived; {WRONG}: not as expected"
_STYLES = {"allow": "green", "deny": "blue"}
_SIGNS = {"allow": "allow", "deny": "·"}


@dataclass(frozen=True, slots=True)
class Result:
    """One probe's expectation and outcome."""

    cell: Cell
    expected: Expectation
    outcome: Observation

    @property
    def wrong(self) -> bool:
        """Whether the network did not do what the file demands."""
        return self.outcome.observed.value != self.expected.verdict.value

    def explain(self) -> str:
        """A sentence for the person who has to find out why the cell is wrong."""
        why = f" ({self.expected.why})" if self.expected.why else ""
        return (
            f"{self.cell.source} → {self.cell.target} {self.cell.service}: "
            f"expected {self.expected.verdict}{why}, observed {self.outcome.observed}: {self.outcome.detail}"
        )


@dataclass(frozen=True, slots=True)
class StepResult:
    """All probes of one step."""

    name: str
    results: tuple[Result, ...]

    @property
    def wrong(self) -> list[Result]:
        """The probes that did not go as expected."""
        return [result for result in self.results if result.wrong]


def summary(steps: Sequence[StepResult]) -> str:
    """The closing line."""
    total = sum(len(step.results) for step in steps)
    wrong = sum(len(step.wrong) for step in steps)
    return f"{total - wrong} of {total} probes as expected"


def to_json(scenario: str, steps: Sequence[StepResult]) -> dict[str, Any]:
    """The same as data: every probe with its expectation and outcome."""
    return {
        "scenario": scenario,
        "as_expected": not any(step.wrong for step in steps),
        "summary": summary(steps),
        "steps": [
            {"name": step.name, "probes": [_probe(result) for result in step.results]} for step in steps
        ],
    }


def _probe(result: Result) -> dict[str, Any]:
    return {
        **result.cell._asdict(),
        "expected": result.expected.verdict.value,
        "observed": result.outcome.observed.value,
        "as_expected": not result.wrong,
        "why": result.expected.why,
        "detail": result.outcome.detail,
    }


def show_step(console: Console, step: StepResult, before: StepResult | None = None) -> None:
    """Print a step's matrix. Rows that are right and did not change since `before` are only counted."""
    known = _rows(before) if before else {}
    rows = _rows(step)
    shown = {
        pair: row
        for pair, row in rows.items()
        if any(cell.wrong for cell in row.values()) or _changed(row, known.get(pair))
    }
    console.print(f"\n{step.name}", style="bold", markup=False, highlight=False)
    for table in _tables(shown, console.width):
        console.print(table)
    if len(shown) < len(rows):
        same = len(rows) - len(shown)
        console.print(f"{same} more row{'s' * (same > 1)} as before", style="dim", highlight=False)
    for result in step.wrong[:_EXPLAINED]:
        console.print(f"{WRONG} {result.explain()}", style="bold red", markup=False, highlight=False)
    if len(step.wrong) > _EXPLAINED:
        console.print(f"… and {len(step.wrong) - _EXPLAINED} more (-o json has them all)", style="bold red")


_Row = Mapping[str, Result]
_Rows = Mapping[tuple[str, str], _Row]


def _rows(step: StepResult) -> dict[tuple[str, str], dict[str, Result]]:
    rows: dict[tuple[str, str], dict[str, Result]] = {}
    for result in step.results:
        rows.setdefault((result.cell.source, result.cell.target), {})[result.cell.service] = result
    return rows


def _changed(row: _Row, before: _Row | None) -> bool:
    return before is None or any(
        service not in before or before[service].outcome.observed != result.outcome.observed
        for service, result in row.items()
    )


def _tables(rows: _Rows, width: int) -> Iterator[Table]:
    """Separate tables for services and attacks, split to fit the terminal's width."""
    services = list(dict.fromkeys(service for row in rows.values() for service in row))
    names = sum(max((len(pair[side]) for pair in rows), default=0) + 1 for side in (0, 1))
    for kind in (False, True):
        chunk: list[str] = []
        for service in services:
            if (service in ATTACKS) is kind:
                if names + sum(_width(rows, each) for each in [*chunk, service]) > width and chunk:
                    yield _table(rows, chunk)
                    chunk = []
                chunk.append(service)
        if chunk:
            yield _table(rows, chunk)


def _width(rows: _Rows, service: str) -> int:
    """The width of a service's column in characters, with the gap."""
    cells = [_mark(row[service]).plain for row in rows.values() if service in row]
    return max(len(text) for text in [*_heading(service).splitlines(), *cells, _SIGNS["allow"]]) + 1


def _table(rows: _Rows, services: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("from", no_wrap=True)
    table.add_column("to", no_wrap=True)
    for service in services:
        table.add_column(_heading(service), no_wrap=True, justify="center", min_width=5)
    previous = None
    for (source, target), row in rows.items():
        if not row.keys().isdisjoint(services):
            cells = [_mark(row[service]) if service in row else Text() for service in services]
            table.add_row(Text(source if source != previous else ""), Text(target), *cells)
            previous = source
    return table


def _heading(service: str) -> str:
    """The heading of a column, in two lines, so that the column stays as narrow as its cells."""
    return service.replace("/", "/\n").replace("-", "-\n").replace("broadcast", "broad\ncast")


def _mark(result: Result) -> Text:
    observed = result.outcome.observed.value
    if result.wrong:
        return Text(f"{WRONG}{observed.upper()}", style="bold white on red")
    return Text(_SIGNS[observed], style=_STYLES[observed])
