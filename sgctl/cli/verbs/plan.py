"""`sgctl plan`: what a change would do to flows and connections."""

from __future__ import annotations

from typing import Any

import click

from sgctl.cli.command_session import CommandSession, pass_session, plain_failures
from sgctl.cli.explaining import switch_tools
from sgctl.cli.manifest_files import plan_to_apply, read_documents
from sgctl.cli.options import exit_code_option, files_option, output_option
from sgctl.cli.output.forecasts import record
from sgctl.cli.output.progress import progress
from sgctl.cli.output.render import print_json, print_outcomes, print_table, print_yaml
from sgctl.cli.output.tables import FORECAST_COLUMNS, RULE_FORECAST_COLUMNS
from sgctl.cli.output.terminal import DIFFERENT
from sgctl.cli.prune import prune_options, read_prune_scope
from sgctl.explain.expected import Unexplained
from sgctl.forecast.conntrack import OpenConnection, parse
from sgctl.forecast.fleet import Fleet
from sgctl.forecast.report import Forecast, forecast
from sgctl.service.errors import printable
from sgctl.service.plan import Plan


@click.command()
@files_option(required=True)
@prune_options
@click.option("--flows", is_flag=True, help="List every flow that is added (+), removed (-) or changed (~).")
@exit_code_option
@output_option("table", "json", "yaml")
@click.pass_context
@pass_session
def plan(
    session: CommandSession, context: click.Context, /, files: tuple[str, ...], output: str, **options: Any
) -> None:
    """Show what applying the manifests in FILE would do, and change nothing.

    Shows how many flows are added and removed on each switch, how many flows each new or removed rule has,
    which open connections of this machine would be cut, and which rules of the groups concerned could be
    left out: redundant (another rule of the group permits the same), shadowed (every port of the group has
    other groups that permit it), or without any port that it could match. A rule's flows are counted on all
    switches; rules may share flows.
    """
    made = plan_to_apply(session, read_documents(session, files), read_prune_scope(session, options))
    with progress("compiling the flows of every switch"):
        found = _forecast(session, made)
    report = record(made, found, flows=bool(options["flows"]))
    if output == "json":
        print_json(report)
    elif output == "yaml":
        print_yaml([report])
    else:
        _print(made, found, report)
    context.exit(DIFFERENT if options["exit_code"] and made.changes else 0)


def _forecast(session: CommandSession, made: Plan) -> Forecast:
    """What a plan would do, as far as this machine knows."""
    store, local = session.store, session.local_if_any
    zones = {}
    if local is not None:
        zones = {zone: key[2] for key, zone in store.zones.items() if key[0] == local.chassis}
    with plain_failures():
        connections = _connections(session) if local else None
        return forecast(store.objects, made, Fleet(store, local), connections, zones, store.bound_ports)


def _connections(session: CommandSession) -> list[OpenConnection] | None:
    try:
        return parse(switch_tools(session).connections())
    except Unexplained:
        return None


def _print(made: Plan, found: Forecast, report: dict[str, Any]) -> None:
    print_outcomes(made.outcomes)
    _section("flows", "no controller has reported a switch", bool(report["switches"]))
    if report["switches"]:
        print_table(FORECAST_COLUMNS, report["switches"])
    for switch in report["switches"]:
        for line in switch.get("flows", ()):
            click.echo(printable(f"{switch['switch']}: {line}"))
    if report["rules"]:
        _section("rules")
        print_table(RULE_FORECAST_COLUMNS, report["rules"])
    _print_cuts(found, report)
    if report["advice"]:
        _section("rules that could be left out")
        for each in report["advice"]:
            which = "a new rule" if each["rule"] == "new" else f"rule {each['rule']}"
            where = f"{which} of {each['security_group']}"
            click.echo(printable(f"{where} ({each['sentence']}) {_IS[each['flaw']]}: {each['reason']}"))


_IS = {"redundant": "is redundant", "shadowed": "is shadowed", "matches nothing": "matches nothing"}


def _section(title: str, absent: str = "", present: bool = True) -> None:
    click.echo(f"\n{title}:" if present else f"\n{title}: {absent}")


def _print_cuts(found: Forecast, report: dict[str, Any]) -> None:
    if found.cut is None:
        _section("connections", "this machine's switch could not be asked", present=False)
    elif not found.cut:
        _section("connections", "no open connection of this machine would be cut", present=False)
    else:
        _section(f"connections that would be cut ({len(found.cut)})")
        for each in report["connections_cut"]:
            click.echo(printable(f"{each['network']}: {each['connection']}: {each['reason']}"))
