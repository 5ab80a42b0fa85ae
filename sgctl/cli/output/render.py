"""Printing of tables, fields, JSON, YAML and diffs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sgctl.cli.output.records import Record
from sgctl.cli.output.tables import TableColumn
from sgctl.cli.output.text import sentence, show
from sgctl.service.errors import printable
from sgctl.service.plan import ObjectOutcome

UNLIMITED = 1_000_000
"""The width where output is not a terminal: lines for programs are neither folded nor cut."""

_STYLES = {
    "bound": "green",
    "uplink": "cyan",
    "quarantined": "red",
    "created": "green",
    "updated": "yellow",
    "deleted": "red",
    "added": "green",
    "removed": "red",
}


def console() -> Console:
    """A printer to standard output. Colours are used only on a terminal, and not if NO_COLOR is set."""
    width = None if sys.stdout.isatty() else UNLIMITED
    return Console(width=width, highlight=False, markup=False, emoji=False)


def print_table(columns: Sequence[TableColumn], records: Iterable[Record]) -> None:
    """Print a line for each record; a narrow terminal folds long lines."""
    printer = console()
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column.title, justify="left")
    for record in records:
        values = ((record[column.field], column.absent) for column in columns)
        table.add_row(*(_cell(absent if value is None else value) for value, absent in values))
    with printer.capture() as captured:
        printer.print(table)
    click.echo("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()), nl=False)


def print_fields(record: Record) -> None:
    """Print one object: a line for each field, and one for each of its rules."""
    columns = (TableColumn("FIELD", "field"), TableColumn("VALUE", "value"))
    print_table(columns, [line for field, value in record.items() for line in _lines(field, value)])


def _lines(field: str, value: object) -> list[Record]:
    if field != "rules" or not isinstance(value, list) or not value:
        return [{"field": field, "value": value}]
    told = [f"{rule['number']}: {sentence(rule)}" for rule in value]
    return [{"field": "" if place else field, "value": text} for place, text in enumerate(told)]


def _cell(value: object) -> Text:
    text = printable(show(value))
    style = _STYLES.get(text, "")
    if isinstance(value, bool):
        style = "" if value else "red"
    return Text(text, style=style)


def print_json(value: object) -> None:
    """Print indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_yaml(documents: Iterable[object]) -> None:
    """Print each as a YAML document."""
    click.echo(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True), nl=False)


def print_names(names: Iterable[str]) -> None:
    """Print each name on a line."""
    for name in names:
        click.echo(name)


def print_outcomes(outcomes: Iterable[ObjectOutcome], output: str = "table", note: str = "") -> None:
    """Print what happened to each object. Tables show the note after each."""
    records = [
        {"kind": each.kind, "name": each.name, "action": str(each.action), "detail": each.detail}
        for each in outcomes
    ]
    if output == "json":
        print_json(records)
    elif output == "yaml":
        print_yaml([records])
    elif output == "name":
        print_names(f"{_dashed(record['kind'])}/{record['name']}" for record in records)
    else:
        _print_outcomes(records, note)


def _dashed(kind: str) -> str:
    """`security-group` for `SecurityGroup`."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in kind).removeprefix("-")


def _print_outcomes(records: Iterable[dict[str, str]], note: str) -> None:
    printer = console()
    for record in records:
        line = Text(printable(f"{record['kind']} {record['name']} "))
        line.append(record["action"], style=_STYLES.get(record["action"], ""))
        for remark in filter(None, (record["detail"], note)):
            line.append(printable(f" ({remark})"))
        printer.print(line, soft_wrap=True)


_DIFF_STYLES = {"---": "bold", "+++": "bold", "@@": "cyan", "-": "red", "+": "green"}


def print_diff(lines: Iterable[str]) -> None:
    """Print a unified diff, in colours on a terminal."""
    printer = console()
    for line in lines:
        style = next((style for mark, style in _DIFF_STYLES.items() if line.startswith(mark)), "")
        printer.print(Text(printable(line), style=style), soft_wrap=True)
