"""`show` and `list` of every noun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.kinds import ObjectKind
from sgctl.cli.lookup import NAMED
from sgctl.cli.nouns.noun import Noun, Options, make_command, option, reference_argument
from sgctl.cli.options import output_option
from sgctl.cli.output.records import RECORDS, Shown
from sgctl.cli.output.render import print_fields
from sgctl.cli.output.selection import Selection, print_selections
from sgctl.cli.selecting import select
from sgctl.cli.waiting import finish, silent_hosts
from sgctl.service.transaction import Committed


def show_command(noun: Noun) -> click.Command:
    """`NOUN show`."""

    @output_option("table", "json", "yaml", "name")
    @pass_session
    def show(session: CommandSession, /, reference: str, output: str) -> None:
        _show(session, noun.kind, session.find(NAMED[noun.kind], reference).id, output)

    text = f"Show every field of {noun.kind.one}."
    return make_command("show", show, text, [reference_argument(noun.kind)])


def list_command(noun: Noun) -> click.Command:
    """`NOUN list`."""

    @output_option("table", "wide", "json", "yaml", "name")
    @pass_session
    def list_(session: CommandSession, /, output: str, long: bool, **options: Any) -> None:
        shown = Shown(session.store, silent_hosts(session, [noun.kind]), session.project)
        common, own = _common_filter(options), noun.keep(shown.draft, options)
        records = [record for record in RECORDS[noun.kind](shown) if common(record) and own(record)]
        kept = Selection(noun.kind, records, single=False)
        print_selections(shown, [kept], "wide" if long and output == "table" else output)

    parameters = [
        *noun.list_arguments,
        *noun.list_options,
        option("--name", help="Only those with this name."),
        option("--project", help="Only those of this project."),
        option("--tags", metavar="TAG[,TAG...]", help="Only those with all these tags."),
        option("--long", is_flag=True, help="Show more columns, as -o wide."),
    ]
    return make_command("list", list_, f"List {noun.kind.many} that match all filters.", parameters)


def _common_filter(options: Options) -> Callable[[Mapping[str, Any]], bool]:
    wanted = {"name": options["name"], "project_id": options["project"]}
    tags = set(options["tags"].split(",")) if options["tags"] else set()
    return lambda record: (
        tags <= set(record["tags"])
        and all(value is None or record[field] == value for field, value in wanted.items())
    )


def present(
    session: CommandSession, kind: ObjectKind, identifier: str, committed: Committed, options: Options
) -> None:
    """Show an object after a change, and wait for the switches if `--wait` is given. Raises Failure."""
    session.catch_up(committed)
    _show(session, kind, identifier, options["output"])
    finish(session, committed, options)


def _show(session: CommandSession, kind: ObjectKind, identifier: str, output: str) -> None:
    """Show every field of one object."""
    shown = Shown(session.store, silent_hosts(session, [kind]), session.project)
    selection = select(shown, kind, [identifier], list(RECORDS[kind](shown)))
    if output == "table":
        print_fields(selection.records[0])
    else:
        print_selections(shown, [selection], output)
