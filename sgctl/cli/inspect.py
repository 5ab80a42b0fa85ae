"""`sgctl flows` and `sgctl verify`: what the switches of this machine really hold."""

# ruff: noqa: PLC0415  # what explains flows is loaded when a command runs

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sgctl.cli import kinds
from sgctl.cli.completion import names_of, table_names
from sgctl.cli.options import output_option
from sgctl.cli.session import Session, pass_session, plain_failures
from sgctl.cli.terminal import FAILED, Failure, plain

if TYPE_CHECKING:
    from sgctl.explain.dump import Wanted
    from sgctl.explain.expected import Picture
    from sgctl.explain.verify import Difference, Verifier

bridge_option = click.option("--bridge", metavar="BRIDGE", help="Only this bridge of this machine.")


@contextmanager
def explained() -> Iterator[None]:
    """What cannot be explained becomes Failure, as what a database refuses does."""
    from sgctl.explain.expected import Unexplained

    with plain_failures():
        try:
            yield
        except Unexplained as error:
            raise Failure(str(error)) from error


@click.command(short_help="Show the flows on this machine's switches, with names.")
@bridge_option
@click.option(
    "--port",
    metavar="PORT",
    help="Only what this port has of its own.",
    shell_complete=names_of(kinds.PORTS),
)
@click.option(
    "--group",
    metavar="GROUP",
    help="Only what this security group's rules and members need.",
    shell_complete=names_of(kinds.SECURITY_GROUPS),
)
@click.option(
    "--rule",
    metavar="RULE",
    help="Only what this rule needs: number, name or id.",
    shell_complete=names_of(kinds.RULES),
)
@click.option("--table", metavar="TABLE", help="Only this table: name or number.", shell_complete=table_names)
@output_option("table", "wide", "json")
@pass_session
def flows(session: Session, /, bridge: str | None, output: str, **asked: str | None) -> None:
    """Show the flows on this machine's switches, with names for numbers.

    Flows are read from the switch, with their counters; `FOR` says what each is there for. Several filters
    must all fit.
    """
    from sgctl.cli import render
    from sgctl.cli.tables import FLOW_COLUMNS
    from sgctl.explain.dump import Dump

    with explained():
        picture, tools = session.picture, session.tools
        wanted = _wanted(session, **asked)
        records: list[dict[str, object]] = []
        for dpid in picture.managed(bridge):
            managed = picture.engine.bridges[dpid]
            lines = tools.flows(managed.bridge.name)
            records += Dump(picture.engine.policy, managed).records(lines, wanted)
    if output == "json":
        render.print_json(records)
    elif records:
        columns = [column for column in FLOW_COLUMNS if output == "wide" or not column.wide]
        render.print_table(columns, records)
    else:
        click.echo("no flows", err=True)


def _wanted(
    session: Session, port: str | None, group: str | None, rule: str | None, table: str | None
) -> Wanted:
    from flows.model import Port, Rule, SecurityGroup
    from sgctl.cli.lookup import find
    from sgctl.explain.dump import Wanted
    from sgctl.explain.names import find_table
    from sgctl.service.draft import Draft

    draft = Draft(session.store.objects, session.project)
    number = find_table(table) if table is not None else None
    if table is not None and number is None:
        raise Failure(f"there is no table {table!r}")
    return Wanted(
        port=find(draft, Port, port).id if port is not None else None,
        group=find(draft, SecurityGroup, group).id if group is not None else None,
        rule=find(draft, Rule, rule).number if rule is not None else None,
        table=number,
    )


@click.command(short_help="Compare this machine's flows with the policy.")
@bridge_option
@click.option("--repair", is_flag=True, help="Put right what differs, at once.")
@output_option("table", "json")
@click.pass_context
@pass_session
def verify(session: Session, context: click.Context, bridge: str | None, repair: bool, output: str) -> None:
    """Compare the flows on this machine's switches with what the policy wants.

    Every difference is named: a flow that is missing, one that is foreign (under our cookie, but not
    expected), one that was altered, and a flow of somebody else by which packets bypass ours: it is in one
    of our tables and does more than drop. Other flows of others are left alone. Exit status 1 when something
    differs, 0 after it was repaired. Flows of others are not repaired; the command that removes one is shown.
    """
    from sgctl.cli import render
    from sgctl.explain.verify import Verifier

    with explained():
        picture = session.picture
        verifier = Verifier(picture, session.tools)
        found = {dpid: verifier.check(dpid) for dpid in picture.managed(bridge)}
        records = [_record(picture, verifier, dpid, each) for dpid, some in found.items() for each in some]
        if repair:
            _repair(verifier, found)
    if output == "json":
        render.print_json(records)
    else:
        _print(records, {picture.engine.bridges[dpid].bridge.name: len(some) for dpid, some in found.items()})
        if any(map(_is_ours, records)) and repair:
            click.echo("repaired")
    left = [record for record in records if not (repair and _is_ours(record))]
    context.exit(FAILED if left else 0)


def _is_ours(record: dict[str, object]) -> bool:
    """Whether the difference is one that a repair puts right."""
    return record["removal"] is None


def _repair(verifier: Verifier, found: dict[int, list[Difference]]) -> None:
    from sgctl.explain.expected import Unexplained
    from sgctl.explain.verify import Kind

    for dpid, some in found.items():
        if any(each.kind is not Kind.BYPASS for each in some):
            verifier.repair(dpid, some)
            if any(each.kind is not Kind.BYPASS for each in verifier.check(dpid)):
                raise Unexplained("flows still differ after the repair: somebody else keeps changing them")


def _record(picture: Picture, verifier: Verifier, dpid: int, each: Difference) -> dict[str, object]:
    from sgctl.explain.names import table_name
    from sgctl.explain.verify import Kind, removal

    managed, names = picture.engine.bridges[dpid], verifier.names(dpid)
    keys = {flow.cookie: key for key, flow in managed.compiler.flows.items()}
    owners = managed.compiler.owners(keys[each.cookie]) if each.cookie in keys else []
    return {
        "bridge": managed.bridge.name,
        "difference": str(each.kind),
        "table": table_name(each.table),
        "flow": names.annotate(each.spot),
        "installed": None if each.installed is None else names.annotate(each.installed),
        "expected": None if each.expected is None else names.annotate(each.expected),
        "for": [names.owner(owner) for owner in owners],
        "cookie": f"{each.cookie:#018x}",
        "removal": removal(managed.bridge.name, each) if each.kind is Kind.BYPASS else None,
    }


def _print(records: list[dict[str, object]], counts: dict[str, int]) -> None:
    from sgctl.cli.render import show

    for record in records:
        what = f"{record['bridge']}: {record['difference']}: {record['table']} {record['flow']}"
        states = [f"{word} {record[word]}" for word in ("installed", "expected") if record[word] is not None]
        purpose = f" (for {show(record['for'])})" if record["for"] else ""
        click.echo(plain(f"{what}: {', '.join(states)}{purpose}"))
        if record["removal"] is not None:
            click.echo(plain(f"  it is somebody else's; to remove it: {record['removal']}"))
    for bridge, count in counts.items():
        differences = "1 difference" if count == 1 else f"{count} differences"
        click.echo(f"{bridge}: {differences if count else 'as expected'}")
