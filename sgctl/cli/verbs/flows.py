"""`sgctl flows`: the flows of this machine's switches, with names."""

from __future__ import annotations

import click

from flows.openflow.pipeline import TABLES
from flows.policy.objects import Port, Rule, SecurityGroup
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.completers import names_of
from sgctl.cli.explaining import expected_state, explained, switch_tools
from sgctl.cli.options import bridge_option, output_option
from sgctl.cli.output.render import print_json, print_table
from sgctl.cli.output.tables import FLOW_COLUMNS
from sgctl.cli.output.terminal import Failure
from sgctl.explain.dump import Dump, Wanted
from sgctl.explain.flow_names import find_table


def _table_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the names of the pipeline's tables."""
    del context, parameter
    return [table.name for table in TABLES if table.name.startswith(incomplete.upper())]


@click.command()
@bridge_option
@click.option(
    "--port",
    metavar="PORT",
    help="Only flows of this port alone.",
    shell_complete=names_of(kinds.PORTS),
)
@click.option(
    "--group",
    metavar="GROUP",
    help="Only flows for this security group's rules and members.",
    shell_complete=names_of(kinds.SECURITY_GROUPS),
)
@click.option(
    "--rule",
    metavar="RULE",
    help="Only flows for this rule: number, name or id.",
    shell_complete=names_of(kinds.RULES),
)
@click.option(
    "--table", metavar="TABLE", help="Only flows in this table: name or number.", shell_complete=_table_names
)
@output_option("table", "wide", "json")
@pass_session
def flows(session: CommandSession, /, bridge: str | None, output: str, **asked: str | None) -> None:
    """Show the flows on this machine's switches, with names for numbers.

    Flows are read from the switch, with their counters. `FOR` shows the rules and ports that a flow belongs
    to. Several filters must all match.
    """
    with explained():
        expected, tools = expected_state(session), switch_tools(session)
        wanted = _wanted(session, **asked)
        records: list[dict[str, object]] = []
        for dpid in expected.managed(bridge):
            managed = expected.engine.bridges[dpid]
            lines = tools.flows(managed.bridge.name)
            records += Dump(expected.engine.policy, managed).records(lines, wanted)
    if output == "json":
        print_json(records)
    elif records:
        columns = [column for column in FLOW_COLUMNS if output == "wide" or not column.wide]
        print_table(columns, records)
    else:
        click.echo("no flows", err=True)


def _wanted(
    session: CommandSession, port: str | None, group: str | None, rule: str | None, table: str | None
) -> Wanted:
    number = find_table(table) if table is not None else None
    if table is not None and number is None:
        raise Failure(f"there is no table {table!r}")
    return Wanted(
        port=session.find(Port, port).id if port is not None else None,
        group=session.find(SecurityGroup, group).id if group is not None else None,
        rule=session.find(Rule, rule).number if rule is not None else None,
        table=number,
    )
