"""`sgctl describe`: everything about one object."""

from __future__ import annotations

import click

from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.completers import complete_words
from sgctl.cli.kinds import ObjectKind
from sgctl.cli.options import output_option
from sgctl.cli.output.descriptions import Describer, Description, can_describe, plain_record
from sgctl.cli.output.progress import progress
from sgctl.cli.output.records import RECORDS, Shown
from sgctl.cli.output.render import print_fields, print_json, print_table, print_yaml
from sgctl.cli.selecting import select
from sgctl.cli.waiting import silence_of
from sgctl.forecast.fleet import Fleet


@click.command()
@click.argument("words", metavar="KIND NAME | KIND/NAME", nargs=-1, shell_complete=complete_words)
@output_option("table", "json", "yaml")
@pass_session
def describe(session: CommandSession, words: tuple[str, ...], output: str) -> None:
    """Show everything about one object.

    Shows its fields; the rules of a group in words, each with the number of its flows on all switches
    together, and whether it could be left out; members with their addresses and interfaces; and the objects
    that refer to it.
    """
    kind, name = _read_one(words)
    shown = Shown(session.store, silence_of(session).hosts, session.project)
    (record,) = select(shown, kind, [name], list(RECORDS[kind](shown))).records[:1]
    found = _describer(session, shown, kind).describe(kind, dict(record))
    if output == "json":
        print_json(plain_record(found))
    elif output == "yaml":
        print_yaml([plain_record(found)])
    else:
        _print(found)


def _read_one(words: tuple[str, ...]) -> tuple[ObjectKind, str]:
    """Kind and name of the only object. Raises click.UsageError."""
    pairs = kinds.split(words) if words else []
    if len(pairs) != 1:
        raise click.UsageError("give the kind and the name of one object")
    if not can_describe(pairs[0][0]):
        raise click.UsageError(f"{pairs[0][0].name} cannot be described; get shows them")
    return pairs[0]


def _describer(session: CommandSession, shown: Shown, kind: ObjectKind) -> Describer:
    """A describer with the flows of every switch, if objects of the kind have rules."""
    if not shown.status.switches or kind not in (kinds.SECURITY_GROUPS, kinds.RULES, kinds.PORTS):
        return Describer(shown, None)
    with progress("compiling the flows of every switch"):
        return Describer(shown, Fleet(session.store, session.local_if_any))


def _print(found: Description) -> None:
    print_fields(found.fields)
    for section in found.sections:
        click.echo()
        if section.records:
            click.echo(f"{section.title}:")
            print_table(section.columns, section.records)
        else:
            click.echo(f"{section.title}: {section.empty}")
