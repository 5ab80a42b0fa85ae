"""`sgctl get`: show objects."""

from __future__ import annotations

from collections.abc import Callable

import click

from flows.policy.objects import SecurityGroup
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.completers import complete_words
from sgctl.cli.kinds import ObjectKind
from sgctl.cli.lazy import load
from sgctl.cli.lookup import find
from sgctl.cli.options import output_option
from sgctl.cli.output.records import RECORDS, Record, Shown
from sgctl.cli.output.selection import Selection, print_selections
from sgctl.cli.selecting import select
from sgctl.cli.waiting import silent_hosts

_DROPS = "sgctl.cli.drops:read_drops"
"""Reads the records of drops. Only this kind needs the flows of this machine's switches."""
_ALL = kinds.WITH_MANIFEST
_HELP = "\n".join(
    [
        "\b",
        "Output formats:",
        "  table  the most important fields",
        "  wide   more fields",
        "  json   every field, for programs",
        "  yaml   manifests that apply accepts; every field of subnets, rules and reports",
        "  name   KIND/NAME, one on each line, as delete accepts them",
        "",
        "\b",
        "Kinds, with other spellings; separate several kinds with commas:",
        *(f"  {kind.name:<16} {', '.join(kind.spellings[1:])}" for kind in kinds.KINDS),
        f"  {'all':<16} every kind that has manifests",
    ]
)


@click.command(epilog=_HELP)
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
def get(session: CommandSession, words: tuple[str, ...], security_group: str | None, output: str) -> None:
    """Show objects, all of a kind or those with the given names or ids."""
    asked = _asked(words)
    if security_group is not None and [kind for kind, _ in asked] != [kinds.RULES]:
        raise click.UsageError("--security-group only goes with the kind rules")
    silent = silent_hosts(session, (kind for kind, _ in asked))
    shown = Shown(session.store, silent, session.project)
    selections = [select(shown, kind, names, _records(session, shown, kind)) for kind, names in asked]
    if security_group is not None:
        selections = [_of_group(shown, selections[0], security_group)]
    print_selections(shown, selections, output)


def _asked(words: tuple[str, ...]) -> list[tuple[ObjectKind, list[str]]]:
    """Each kind with the names of the objects to show; no names: all objects."""
    if "/" not in words[0] and len(words) == 1:
        spellings = words[0].split(",")
        wanted = [kind for each in spellings for kind in (_ALL if each == "all" else (kinds.find(each),))]
        return [(kind, []) for kind in dict.fromkeys(wanted)]
    asked: dict[ObjectKind, list[str]] = {}
    for kind, name in kinds.split(words):
        asked.setdefault(kind, []).append(name)
    return list(asked.items())


def _records(session: CommandSession, shown: Shown, kind: ObjectKind) -> list[Record]:
    if kind != kinds.DROPS:
        return list(RECORDS[kind](shown))
    read_drops: Callable[[CommandSession], list[Record]] = load(_DROPS)
    return read_drops(session)


def _of_group(shown: Shown, selection: Selection, group: str) -> Selection:
    wanted = find(shown.draft, SecurityGroup, group).id
    records = [record for record in selection.records if record["security_group_id"] == wanted]
    return selection._replace(records=records)
