"""`sgctl reach`: who can talk to whom, for all ports at once."""

# ruff: noqa: PLC0415  # what explains verdicts is loaded when a command runs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sgctl.cli import kinds
from sgctl.cli.completion import names_of
from sgctl.cli.inspect import explained
from sgctl.cli.options import output_option
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import plain
from sgctl.cli.trace import read_service, service_options

if TYPE_CHECKING:
    from sgctl.explain.reach import Outside, Reach, Reached


@click.group(short_help="Tell who can open connections to whom.")
def reach() -> None:
    """Tell who can open connections to whom, for all ports of a network at once.

    Without a service all of them are listed, for each port the protocols with their ports; --protocol alone
    lists those of one protocol, --port or --icmp-type asks for a single one.
    """


def _reach_command(name: str, incoming: bool, text: str) -> None:
    @reach.command(name, help=text)
    @click.argument("end", metavar="PORT", shell_complete=names_of(kinds.PORTS))
    @service_options("all services")
    @click.option("-6", "--ipv6", is_flag=True, help="Only IPv6. Default: all families that PORT has.")
    @output_option("table", "json", "name")
    @pass_session
    def command(session: Session, /, end: str, output: str, ipv6: bool, **service: Any) -> None:
        from flows.model import Direction
        from sgctl.explain.expected import Unexplained, text_of
        from sgctl.explain.question import find_end

        found: list[Reached] = []
        outside: list[Outside] = []
        with explained():
            text = text_of(session.policy)
            port = find_end(text, end, project=session.project).port
            if port is None:
                raise Unexplained(f"{end} is no port of the policy")
            families = {6} if ipv6 else {address.version for address in port.fixed_ips}
            for version in sorted(families):
                asked = _reach_of(session, version, service)
                found += asked.sources(port) if incoming else asked.targets(port)
                outside += asked.outside(port, Direction.INGRESS if incoming else Direction.EGRESS)
        _print(found, outside, len(text.ports), output)


_reach_command("to", True, "Who can open a connection to PORT.")
_reach_command("from", False, "To whom PORT can open a connection.")


def _reach_of(session: Session, version: int, service: dict[str, Any]) -> Reach:
    from sgctl.explain.reach import Reach

    return Reach(session.policy, read_service(**service), version)


def _print(found: list[Reached], outside: list[Outside], total: int, output: str) -> None:
    from sgctl.cli import render
    from sgctl.cli.tables import REACH_COLUMNS

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
        render.print_json({"ports": records, "outside": beyond})
    elif output == "name":
        render.print_names(names)
    else:
        if records:
            render.print_table(REACH_COLUMNS, records)
        count = len({record["port_id"] for record in records})
        click.echo(f"{count} {'port' if count == 1 else 'ports'} of {total}")
        for each in beyond:
            click.echo(plain(_outside_line(each)))


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
