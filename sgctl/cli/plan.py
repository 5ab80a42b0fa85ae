"""`sgctl plan`: what a change would do, before it is made."""

# ruff: noqa: PLC0415  # what compiles flows is loaded when a command runs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sgctl.cli.apply import read_documents, would_be
from sgctl.cli.options import exit_code_option, files_option, output_option
from sgctl.cli.prune import prune_options, read_bounds
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import DIFFERENT, plain, progress

if TYPE_CHECKING:
    from sgctl.forecast.report import Forecast
    from sgctl.service.plan import Plan


@click.command(short_help="Show what apply would do to flows and connections.")
@files_option(required=True)
@prune_options
@click.option("--flows", is_flag=True, help="List every flow that is added (+), removed (-) or changed (~).")
@exit_code_option
@output_option("table", "json", "yaml")
@click.pass_context
@pass_session
def plan(
    session: Session, context: click.Context, /, files: tuple[str, ...], output: str, **options: Any
) -> None:
    """Show what applying the manifests in FILE would do, and do nothing.

    Says per switch how many flows are added and removed, what each new or removed rule costs in flows, which
    connections that are open on this machine now would be cut, and which rules of the groups concerned
    could be left out: redundant (another rule of the group permits it), shadowed (other groups of every
    port permit it), or without anybody to match. A rule's flows are counted on all switches; some are
    shared with other rules.
    """
    from sgctl.cli import render
    from sgctl.cli.forecasts import look_ahead, record

    made = would_be(session, read_documents(session, files), read_bounds(session, options))
    with progress("compiling the flows of every switch"):
        found = look_ahead(session, made)
    report = record(made, found, flows=bool(options["flows"]))
    if output == "json":
        render.print_json(report)
    elif output == "yaml":
        render.print_yaml([report])
    else:
        _print(made, found, report)
    context.exit(DIFFERENT if options["exit_code"] and made.changes else 0)


def _print(made: Plan, found: Forecast, report: dict[str, Any]) -> None:
    from sgctl.cli import render
    from sgctl.cli.tables import FORECAST_COLUMNS, RULE_FORECAST_COLUMNS

    render.print_outcomes(made.outcomes)
    _section("flows", "no controller has reported a switch", bool(report["switches"]))
    if report["switches"]:
        render.print_table(FORECAST_COLUMNS, report["switches"])
    for switch in report["switches"]:
        for line in switch.get("flows", ()):
            click.echo(plain(f"{switch['switch']}: {line}"))
    if report["rules"]:
        _section("rules")
        render.print_table(RULE_FORECAST_COLUMNS, report["rules"])
    _print_cuts(found, report)
    if report["advice"]:
        _section("rules that could be left out")
        for each in report["advice"]:
            which = "a new rule" if each["rule"] == "new" else f"rule {each['rule']}"
            where = f"{which} of {each['security_group']}"
            click.echo(plain(f"{where} ({each['sentence']}) {_IS[each['flaw']]}: {each['reason']}"))


_IS = {"redundant": "is redundant", "shadowed": "is shadowed", "matches nothing": "matches nothing"}


def _section(title: str, absent: str = "", present: bool = True) -> None:
    click.echo(f"\n{title}:" if present else f"\n{title}: {absent}")


def _print_cuts(found: Forecast, report: dict[str, Any]) -> None:
    if found.cut is None:
        _section("connections", "this machine's switch could not be asked", present=False)
    elif not found.cut:
        _section("connections", "none that is open here would be cut", present=False)
    else:
        _section(f"connections that would be cut ({len(found.cut)})")
        for each in report["connections_cut"]:
            click.echo(plain(f"{each['network']}: {each['connection']}: {each['reason']}"))
