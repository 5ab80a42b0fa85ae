"""Printing: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sgctl.cli.records import Record
from sgctl.cli.tables import Column
from sgctl.cli.terminal import plain
from sgctl.service.plan import Outcome

UNLIMITED = 1_000_000
"""Columns of something that is not a terminal: nothing is folded or cut for a program that reads it."""

_STYLES = {
    "bound": "green",
    "uplink": "cyan",
    "quarantined": "red",
    "created": "green",
    "updated": "yellow",
    "deleted": "red",
}


def console() -> Console:
    """Standard output; colours only on a terminal and without NO_COLOR."""
    width = None if sys.stdout.isatty() else UNLIMITED
    return Console(width=width, highlight=False, markup=False, emoji=False)


def print_table(columns: Sequence[Column], records: Iterable[Record]) -> None:
    """One line per record on anything but a narrow terminal."""
    printer = console()
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column.title, justify="left")
    for record in records:
        table.add_row(*(_cell(record[column.field]) for column in columns))
    with printer.capture() as captured:
        printer.print(table)
    click.echo("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()), nl=False)


def _cell(value: object) -> Text:
    text = plain(show(value))
    style = _STYLES.get(text, "")
    if isinstance(value, bool):
        style = "" if value else "red"
    return Text(text, style=style)


def show(value: object) -> str:
    """A value in one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(show, value))
    if isinstance(value, dict):
        return " ".join(map(show, value.values()))
    return "" if value is None else str(value)


def print_json(value: object) -> None:
    """Indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_yaml(documents: Iterable[object]) -> None:
    """A YAML document each."""
    click.echo(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True), nl=False)


def print_names(names: Iterable[str]) -> None:
    """One a line."""
    for name in names:
        click.echo(name)


def print_outcomes(outcomes: Iterable[Outcome]) -> None:
    """What became of each object."""
    printer = console()
    for outcome in outcomes:
        line = Text(plain(f"{outcome.kind} {outcome.name} "))
        line.append(outcome.action, style=_STYLES.get(outcome.action, ""))
        if outcome.detail:
            line.append(plain(f" ({outcome.detail})"))
        printer.print(line, soft_wrap=True)
