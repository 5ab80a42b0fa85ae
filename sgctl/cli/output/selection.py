"""Records of several kinds in each output format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import click

from sgctl.cli.kinds import WITH_MANIFEST, ObjectKind
from sgctl.cli.lazy import load
from sgctl.cli.lookup import CLASSES, NAMED
from sgctl.cli.output.records import Record, Shown
from sgctl.cli.output.render import print_json, print_names, print_table, print_yaml
from sgctl.cli.output.tables import COLUMNS
from sgctl.service.draft import Draft

_MANIFEST = "sgctl.service.export:manifest"
"""Makes the manifest of an object. Only `-o yaml` needs it, and it loads everything that reads manifests."""


class Selection(NamedTuple):
    """Records of one kind; `single` if the user asked for exactly one by name."""

    kind: ObjectKind
    records: list[Record]
    single: bool


def print_selections(shown: Shown, selections: list[Selection], output: str) -> None:
    """Print records in one of the formats table, wide, json, yaml and name."""
    if output == "json":
        print_json(_json(selections))
    elif output == "yaml":
        print_yaml(_documents(shown.draft, selections))
    elif output == "name":
        for selection in selections:
            print_names(_names(shown, selection))
    else:
        _print_tables(selections, wide=output == "wide")


def _json(selections: list[Selection]) -> object:
    if len(selections) > 1:
        return {selection.kind.name: selection.records for selection in selections}
    only = selections[0]
    return only.records[0] if only.single and len(only.records) == 1 else only.records


def _documents(draft: Draft, selections: list[Selection]) -> Iterator[object]:
    manifest: Callable[..., object] = load(_MANIFEST)
    for kind, records, _ in selections:
        for record in records:
            obj = draft.get(CLASSES[kind], str(record["id"])) if kind in WITH_MANIFEST else None
            yield record if obj is None else manifest(draft, obj, with_id=True)


def _names(shown: Shown, selection: Selection) -> Iterator[str]:
    for record in selection.records:
        kind = selection.kind
        label = shown.name(NAMED[kind], str(record["id"])) if kind.policy else record["name"]
        yield f"{kind.singular}/{label}"


def _print_tables(selections: list[Selection], wide: bool) -> None:
    for position, (kind, records, _) in enumerate(selections):
        if len(selections) > 1:
            click.echo("\n" * bool(position) + kind.name)
        if records:
            print_table([column for column in COLUMNS[kind] if wide or not column.wide], records)
        else:
            click.echo(f"no {kind.name}", err=len(selections) == 1)
