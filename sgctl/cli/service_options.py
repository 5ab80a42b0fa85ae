"""The options that name the service of a connection: its protocol and ports."""

from __future__ import annotations

from collections.abc import Callable

import click

from sgctl.cli.options import Decorated
from sgctl.explain.question import ServiceQuestion
from sgctl.service.protocols import parse


def service_options(otherwise: str) -> Callable[[Decorated], Decorated]:
    """The options of a service; `otherwise` is the default one."""
    number, octet = click.IntRange(0, 65535), click.IntRange(0, 255)
    default = f"Default: tcp with --port, else {otherwise}."
    options = (
        click.option("--protocol", metavar="PROTOCOL", help=f"Name or number. {default}"),
        click.option("--port", metavar="PORT", type=number, help="The destination port of the connection."),
        click.option(
            "--icmp-type", metavar="TYPE", type=octet, help="ICMP type; echo request is 8, or 128 in IPv6."
        ),
        click.option("--icmp-code", metavar="CODE", type=octet, help="ICMP code. Default: 0."),
        click.option(
            "--dscp",
            "ip_dscp",
            metavar="DSCP",
            type=click.IntRange(0, 63),
            default=0,
            help="The DSCP of the connection's first packet. Default: 0.",
        ),
    )

    def decorate(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def read_service(protocol: str | None, ip_dscp: int, **numbers: int | None) -> ServiceQuestion:
    """The service that the options name. Raises click.BadParameter."""
    try:
        return ServiceQuestion(parse(protocol), ip_dscp=ip_dscp, **numbers)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
