"""`sgctl get`: show objects."""

# ruff: noqa: PLC0415  # tables and the policy's classes are loaded when there is something to show

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import click

from sgctl.cli import kinds
from sgctl.cli.completion import complete_words
from sgctl.cli.kinds import Kind
from sgctl.cli.options import output_option
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from sgctl.cli.records import Record, Snapshot

_ALL = kinds.WITH_MANIFEST
_HELP = "\n".join(
    [
        "\b",
        "Output formats:",
        "  table  the fields that matter most",
        "  wide   more of them",
        "  json   every field, for programs",
        "  yaml   manifests that apply takes again; every field of subnets, rules and reports",
        "  name   KIND/NAME, one a line, as delete takes them",
        "",
        "\b",
        "Kinds, with other spellings; several may be given with commas between them:",
        *(f"  {kind.name:<16} {', '.join(kind.spellings[1:])}" for kind in kinds.KINDS),
        f"  {'all':<16} every kind that has manifests",
    ]
)


class Selection(NamedTuple):
    """Records of one kind; `single` when exactly one was asked for by name."""

    kind: Kind
    records: list[Record]
    single: bool


@click.command(epilog=_HELP, short_help="Show objects, all of a kind or by name.")
@click.argument(
    "words",
    metavar="KIND [NAME...] | KIND/NAME...",
    nargs=-1,
    required=True,
    shell_complete=complete_words,
)
@click.option("--security-group", metavar="GROUP", help="Only the rules of this group.")
@output_option("table", "wide", "json", "yaml", "name")
@pass_session
def get(session: Session, words: tuple[str, ...], security_group: str | None, output: str) -> None:
    """Show objects, all of a kind or those with the given names or ids."""
    from sgctl.cli.records import Snapshot

    asked = _asked(words)
    if security_group is not None and [kind for kind, _ in asked] != [kinds.RULES]:
        raise click.UsageError("--security-group only goes with the kind rules")
    silent = session.silent_hosts(kind for kind, _ in asked)
    snapshot = Snapshot(session.store, silent, session.project)
    selections = [select(snapshot, kind, names, _records(session, snapshot, kind)) for kind, names in asked]
    if security_group is not None:
        selections = [_of_group(snapshot, selections[0], security_group)]
    print_selections(snapshot, selections, output)


def _asked(words: tuple[str, ...]) -> list[tuple[Kind, list[str]]]:
    """Kinds with the names asked for; no names: all there are."""
    if "/" not in words[0] and len(words) == 1:
        spellings = words[0].split(",")
        wanted = [kind for each in spellings for kind in (_ALL if each == "all" else (kinds.find(each),))]
        return [(kind, []) for kind in dict.fromkeys(wanted)]
    asked: dict[Kind, list[str]] = {}
    for kind, name in kinds.split(words):
        asked.setdefault(kind, []).append(name)
    return list(asked.items())


def _records(session: Session, snapshot: Snapshot, kind: Kind) -> list[Record]:
    from sgctl.cli.records import RECORDS

    if kind != kinds.DROPS:
        return list(RECORDS[kind](snapshot))
    from sgctl.cli.inspect import explained
    from sgctl.explain.drops import drop_records

    with explained():
        return list(drop_records(session.picture, session.tools))


def select(snapshot: Snapshot, kind: Kind, names: list[str], records: list[Record]) -> Selection:
    """Those of a kind's records that answer to the names; all when there are none. Raises Failure."""
    from sgctl.cli.lookup import find_all
    from sgctl.cli.records import NAMED

    if not names:
        return Selection(kind, records, single=False)
    if kind.policy:
        ids = {obj.id for obj in find_all(snapshot.draft, NAMED[kind], names)}
        found = [record for record in records if record["id"] in ids]
    else:
        missing = [name for name in names if not any(_answers(record, name) for record in records)]
        if missing:
            raise Failure(*(f"there is no {kind.singular} {name!r}" for name in missing))
        found = [record for record in records if any(_answers(record, name) for name in names)]
    return Selection(kind, found, single=len(names) == 1)


def _answers(record: Record, name: str) -> bool:
    """A switch answers to chassis/bridge or bridge, bindings and drops to their interface or port, too."""
    label = str(record["name"])
    return name in (label, label.rpartition("/")[2], record.get("interface"), record.get("port"))


def _of_group(snapshot: Snapshot, selection: Selection, group: str) -> Selection:
    from flows.model import SecurityGroup
    from sgctl.cli.lookup import find

    wanted = find(snapshot.draft, SecurityGroup, group).id
    records = [record for record in selection.records if record["security_group_id"] == wanted]
    return selection._replace(records=records)


def print_selections(snapshot: Snapshot, selections: list[Selection], output: str) -> None:
    """Print records in one of the output formats."""
    from sgctl.cli import render

    if output == "json":
        render.print_json(_json(selections))
    elif output == "yaml":
        _print_yaml(snapshot, selections)
    elif output == "name":
        for selection in selections:
            render.print_names(_names(snapshot, selection))
    else:
        _print_tables(selections, wide=output == "wide")


def _json(selections: list[Selection]) -> object:
    if len(selections) > 1:
        return {selection.kind.name: selection.records for selection in selections}
    only = selections[0]
    return only.records[0] if only.single and len(only.records) == 1 else only.records


def _print_yaml(snapshot: Snapshot, selections: list[Selection]) -> None:
    from sgctl.cli.records import CLASSES
    from sgctl.cli.render import print_yaml
    from sgctl.service.manifests import manifest

    documents: list[object] = []
    for kind, records, _ in selections:
        if kind in kinds.WITH_MANIFEST:
            objects = [snapshot.draft.get(CLASSES[kind], str(record["id"])) for record in records]
            documents += [manifest(snapshot.draft, obj, with_id=True) for obj in objects if obj is not None]
        else:
            documents += records
    print_yaml(documents)


def _names(snapshot: Snapshot, selection: Selection) -> Iterator[str]:
    from sgctl.cli.records import NAMED

    for record in selection.records:
        kind = selection.kind
        label = snapshot.name(NAMED[kind], str(record["id"])) if kind.policy else record["name"]
        yield f"{kind.singular}/{label}"


def _print_tables(selections: list[Selection], wide: bool) -> None:
    from sgctl.cli.render import print_table
    from sgctl.cli.tables import COLUMNS

    for position, (kind, records, _) in enumerate(selections):
        if len(selections) > 1:
            click.echo("\n" * bool(position) + kind.name)
        if records:
            print_table([column for column in COLUMNS[kind] if wide or not column.wide], records)
        else:
            click.echo(f"no {kind.name}", err=len(selections) == 1)
