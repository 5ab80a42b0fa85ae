"""`sgctl reach`: who can open connections to whom, for all ports at once."""

from __future__ import annotations

from typing import Any

import click

from flows.policy.objects import Direction
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.completers import names_of
from sgctl.cli.explaining import explained, stored_policy
from sgctl.cli.options import Decorated, output_option
from sgctl.cli.output.render import print_json, print_names, print_table
from sgctl.cli.output.tables import REACH_COLUMNS
from sgctl.cli.service_options import read_service, service_options
from sgctl.explain.expected import Unexplained, text_of
from sgctl.explain.question import find_end
from sgctl.explain.reach import Outside, Reach, Reached
from sgctl.service.errors import printable


def _parameters(command: Decorated) -> Decorated:
    """The argument and the options of both commands."""
    for decorate in (
        output_option("table", "json", "name"),
        click.option("-6", "--ipv6", is_flag=True, help="Only IPv6. Default: all families that PORT has."),
        service_options("all services"),
        click.argument("end", metavar="PORT", shell_complete=names_of(kinds.PORTS)),
    ):
        command = decorate(command)
    return command


@click.command("to")
@_parameters
@pass_session
def reach_to(session: CommandSession, /, end: str, output: str, ipv6: bool, **service: Any) -> None:
    """Show who can open connections to PORT."""
    _reach(session, end, output, Direction.INGRESS, ipv6, service)


@click.command("from")
@_parameters
@pass_session
def reach_from(session: CommandSession, /, end: str, output: str, ipv6: bool, **service: Any) -> None:
    """Show where PORT can open connections to."""
    _reach(session, end, output, Direction.EGRESS, ipv6, service)


def _reach(
    session: CommandSession, end: str, output: str, direction: Direction, ipv6: bool, service: dict[str, Any]
) -> None:
    """Show what can open connections in this direction of the port."""
    found: list[Reached] = []
    outside: list[Outside] = []
    with explained():
        policy = stored_policy(session)
        text = text_of(policy)
        port = find_end(text, end, project=session.project).port
        if port is None:
            raise Unexplained(f"{end} is not a port of the policy")
        families = {6} if ipv6 else {address.version for address in port.fixed_ips}
        for version in sorted(families):
            asked = Reach(policy, read_service(**service), version)
            found += asked.sources(port) if direction is Direction.INGRESS else asked.targets(port)
            outside += asked.outside(port, direction)
    _print(found, outside, len(text.ports), output)


def _print(found: list[Reached], outside: list[Outside], total: int, output: str) -> None:
    records = sorted(
        map(_record, found), key=lambda each: (each["port"], each["port_id"], each["ip_version"])
    )
    beyond = [
        {
            "remote": each.remote,
            "ip_version": each.version,
            "services": each.services.shown(),
            "rule": each.rule or None,
        }
        for each in outside
    ]
    names = dict.fromkeys(f"port/{record['port']}" for record in records)
    if output == "json":
        print_json({"ports": records, "outside": beyond})
    elif output == "name":
        print_names(names)
    else:
        if records:
            print_table(REACH_COLUMNS, records)
        count = len({record["port_id"] for record in records})
        click.echo(f"{count} {'port' if count == 1 else 'ports'} of {total}")
        for each in beyond:
            click.echo(printable(_outside_line(each)))


def _record(each: Reached) -> dict[str, Any]:
    return {
        "port": each.port.name or each.port.id,
        "port_id": each.port.id,
        "ip_version": each.version,
        "addresses": [str(address) for address in each.port.fixed_ips if address.version == each.version],
        "services": each.services.shown(),
        "egress_rules": list(each.egress),
        "ingress_rules": list(each.ingress),
    }


def _outside_line(each: dict[str, Any]) -> str:
    rule = f" (rule {each['rule']})" if each["rule"] else ""
    return f"outside: {each['remote']} by IPv{each['ip_version']}: {', '.join(each['services'])}{rule}"
