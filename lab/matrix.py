"""The result of a scenario: what was expected and what was seen, as a table, a summary and JSON.

Wrong cells are marked with words and signs, so that they stand out without colours, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.probe import Observed, Outcome
from lab.scenario.model import Cell, Expectation

WRONG = "✗"
_EXPLAINED = 25
"""Wrong cells of one step that get a sentence each; the table marks all of them."""
_STYLES = {"allow": "green", "deny": "blue"}
_SIGNS = {"allow": "allow", "deny": "·"}


@dataclass(frozen=True, slots=True)
class Result:
    """One probe's expectation and outcome."""

    cell: Cell
    expected: Expectation
    outcome: Outcome

    @property
    def wrong(self) -> bool:
        """Whether the network did not do what the file demands."""
        return self.outcome.observed.value != self.expected.verdict.value

    def explain(self) -> str:
        """A sentence for a person who has to find out why it is wrong."""
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
    """Print a step's matrix. Rows that are right and as they were `before` are only counted."""
    known = _rows(before) if before else {}
    rows = _rows(step)
    shown = {
        pair: row
        for pair, row in rows.items()
        if pair not in known
        or _verdicts(row) != _verdicts(known[pair])
        or any(cell.wrong for cell in row.values())
    }
    console.print(f"\n{step.name}", style="bold", markup=False, highlight=False)
    if shown:
        console.print(_table(shown))
    if len(shown) < len(rows):
        same = len(rows) - len(shown)
        console.print(f"{same} more row{'s' * (same > 1)} as before", style="dim", highlight=False)
    for result in step.wrong[:_EXPLAINED]:
        console.print(f"{WRONG} {result.explain()}", style="bold red", markup=False, highlight=False)
    if len(step.wrong) > _EXPLAINED:
        console.print(f"… and {len(step.wrong) - _EXPLAINED} more (-o json has them all)", style="bold red")


_Row = Mapping[str, Result]


def _rows(step: StepResult) -> dict[tuple[str, str], dict[str, Result]]:
    rows: dict[tuple[str, str], dict[str, Result]] = {}
    for result in step.results:
        rows.setdefault((result.cell.source, result.cell.target), {})[result.cell.service] = result
    return rows


def _verdicts(row: _Row) -> dict[str, Observed]:
    return {service: result.outcome.observed for service, result in row.items()}


def _table(rows: Mapping[tuple[str, str], _Row]) -> Table:
    services = list(dict.fromkeys(service for row in rows.values() for service in row))
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("from", no_wrap=True)
    table.add_column("to", no_wrap=True)
    for service in services:
        table.add_column(service.replace("/", "/\n").replace("-", "-\n"), no_wrap=True, justify="center")
    previous = None
    for (source, target), row in rows.items():
        cells = [_mark(row[service]) if service in row else Text() for service in services]
        table.add_row(Text(source if source != previous else ""), Text(target), *cells)
        previous = source
    return table


def _mark(result: Result) -> Text:
    observed = result.outcome.observed.value
    if result.wrong:
        return Text(f"{WRONG}{observed.upper()}", style="bold white on red")
    return Text(_SIGNS[observed], style=_STYLES[observed])
