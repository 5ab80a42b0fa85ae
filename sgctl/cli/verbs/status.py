"""`sgctl status`: whether the policy is enforced on all hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.lookup import CLASSES
from sgctl.cli.options import output_option
from sgctl.cli.output.records import RECORDS, Record, Shown
from sgctl.cli.output.render import console, print_json, print_table, print_yaml
from sgctl.cli.output.tables import COLUMNS
from sgctl.cli.output.terminal import FAILED
from sgctl.cli.output.text import show
from sgctl.cli.waiting import namesake_of, silence_of
from sgctl.service.errors import printable


@click.command()
@output_option("table", "json", "yaml")
@click.pass_context
@pass_session
def status(session: CommandSession, context: click.Context, output: str) -> None:
    """Show whether the policy is enforced: switches, interfaces, problems.

    Exit status 1 if anything is wrong: a host has no controller at work, no switch is connected, a switch has
    not applied the policy or reports an error, an interface is quarantined, or the database cannot be written
    or has rows that cannot be used. The reports of a controller that is no longer at work are shown as
    unknown.
    """
    silence = silence_of(session, here=not session.store.switches)
    report = _summary(Shown(session.store, silence.hosts))
    report["problems"] = [
        *(f"host {host}: {reason}" for host, reason in silence.hosts.items()),
        *filter(None, [silence.problem, namesake_of(session)]),
        *report["problems"],
    ]
    if output == "json":
        print_json(report)
    elif output == "yaml":
        print_yaml([report])
    else:
        _print(report)
    context.exit(FAILED if report["problems"] else 0)


def _summary(shown: Shown) -> dict[str, Any]:
    """Everything `sgctl status` knows, as plain data."""
    switches, bindings = list(RECORDS[kinds.SWITCHES](shown)), list(RECORDS[kinds.BINDINGS](shown))
    bound = {binding["port_id"] for binding in bindings}
    ports = RECORDS[kinds.PORTS](shown)
    return {
        "generation": shown.status.generation,
        "objects": {kind.name: sum(1 for _ in shown.draft.all(CLASSES[kind])) for kind in CLASSES},
        "hosts": list(RECORDS[kinds.HOSTS](shown)),
        "switches": switches,
        "interfaces": dict(Counter(str(binding["state"]) for binding in bindings)),
        "unbound_ports": [port["name"] or port["id"] for port in ports if port["id"] not in bound],
        "problems": list(_problems(shown, switches, bindings)),
    }


def _problems(shown: Shown, switches: list[Record], bindings: list[Record]) -> Iterator[str]:
    if not switches:
        yield "no switch is connected"
    for switch in switches:
        yield from _of_switch(switch)
    for binding in bindings:
        if binding["state"] == "quarantined":
            where = f"interface {binding['interface']} of switch {binding['switch']}"
            yield f"{where} is quarantined: {binding['reason'] or 'no reason given'}"
        elif binding["reason"] and binding["state"] != "mirror":
            where = f"{binding['state']} {binding['interface']} of switch {binding['switch']}"
            yield f"{where}: {binding['reason']}"
    for row, reason in sorted(shown.status.problems.items()):
        yield f"database row {row} is left out: {reason}"


def _print(report: dict[str, Any]) -> None:
    objects = report["objects"]
    counts = [_count(kind, objects[kind.name]) for kind in kinds.KINDS if kind.name in objects]
    click.echo(f"policy: generation {report['generation']}: {', '.join(counts)}")
    if report["switches"]:
        click.echo()
        print_table([column for column in COLUMNS[kinds.SWITCHES] if not column.wide], report["switches"])
        click.echo()
    states = [f"{count} {state}" for state, count in report["interfaces"].items()]
    click.echo(f"interfaces: {', '.join(states) or 'none'}")
    if report["unbound_ports"]:
        click.echo(f"ports without an interface: {printable(show(report['unbound_ports']))}")
    printer = console()
    for problem in report["problems"]:
        printer.print("problem:", printable(problem), style="red", soft_wrap=True)
    if not report["problems"]:
        click.echo("no problems")


def _of_switch(switch: Record) -> Iterator[str]:
    if switch["connected"] is None:
        return  # its host has no controller at work, which is a problem of its own
    if not switch["connected"]:
        yield f"switch {switch['name']} is not connected"
    elif not switch["current"]:
        yield f"switch {switch['name']} has not applied the policy yet"
    if switch["error"]:
        yield f"switch {switch['name']}: {switch['error']}"


def _count(kind: kinds.ObjectKind, count: int) -> str:
    return f"{count} {(kind.singular if count == 1 else kind.name).replace('-', ' ')}"
