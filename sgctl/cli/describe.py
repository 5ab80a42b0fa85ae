"""`sgctl describe`: everything about one object."""

# ruff: noqa: PLC0415  # what compiles flows is loaded when a command runs

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sgctl.cli import kinds
from sgctl.cli.completion import complete_words
from sgctl.cli.get import select
from sgctl.cli.kinds import Kind
from sgctl.cli.options import output_option
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import progress

if TYPE_CHECKING:
    from sgctl.cli.descriptions import Describer, Description
    from sgctl.cli.records import Snapshot


@click.command()
@click.argument("words", metavar="KIND NAME | KIND/NAME", nargs=-1, shell_complete=complete_words)
@output_option("table", "json", "yaml")
@pass_session
def describe(session: Session, words: tuple[str, ...], output: str) -> None:
    """Show everything about one object.

    Its fields; a group's rules in words, each with the number of flows that it has a part in on all switches
    together, and whether it could be left out; members with their addresses and where they are bound; what
    refers to the object.
    """
    from sgctl.cli import render
    from sgctl.cli.descriptions import plain_record
    from sgctl.cli.records import RECORDS, Snapshot

    kind, name = read_one(words)
    snapshot = Snapshot(session.store, session.listen().hosts, session.project)
    (record,) = select(snapshot, kind, [name], list(RECORDS[kind](snapshot))).records[:1]
    found = _describer(session, snapshot, kind).describe(kind, dict(record))
    if output == "json":
        render.print_json(plain_record(found))
    elif output == "yaml":
        render.print_yaml([plain_record(found)])
    else:
        _print(found)


def read_one(words: tuple[str, ...]) -> tuple[Kind, str]:
    """The one object that is meant. Raises click.UsageError."""
    from sgctl.cli.descriptions import can_describe

    pairs = kinds.split(words) if words else []
    if len(pairs) != 1:
        raise click.UsageError("give the kind and the name of one object")
    if not can_describe(pairs[0][0]):
        raise click.UsageError(f"{pairs[0][0].name} cannot be described; get shows them")
    return pairs[0]


def _describer(session: Session, snapshot: Snapshot, kind: Kind) -> Describer:
    """With the flows of every switch compiled, where something is told of rules."""
    from sgctl.cli.descriptions import Describer
    from sgctl.forecast.fleet import Fleet

    if not snapshot.switches or kind not in (kinds.SECURITY_GROUPS, kinds.RULES, kinds.PORTS):
        return Describer(snapshot, None)
    with progress("compiling the flows of every switch"):
        return Describer(snapshot, Fleet(session.store, session.local_if_any))


def _print(found: Description) -> None:
    from sgctl.cli import render

    render.print_fields(found.fields)
    for section in found.sections:
        click.echo()
        if section.records:
            click.echo(f"{section.title}:")
            render.print_table(section.columns, section.records)
        else:
            click.echo(f"{section.title}: {section.empty}")
