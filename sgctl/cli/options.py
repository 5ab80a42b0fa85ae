"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., object])


def files_option(required: bool) -> Callable[[Decorated], Decorated]:
    """`-f FILE`, as often as needed."""
    return click.option(
        "-f",
        "--filename",
        "files",
        metavar="FILE",
        multiple=True,
        required=required,
        type=click.Path(allow_dash=True),
        help="YAML file of one or more manifests; - is standard input. May be given several times.",
    )


def output_option(*formats: str) -> Callable[[Decorated], Decorated]:
    """`-o FORMAT`; the first is the default."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Output format.",
    )


timeout_option = click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="How long to wait for the switches.",
)

_wait = click.option(
    "--wait", is_flag=True, help="Return when every connected switch has applied the change."
)


def wait_options(command: Decorated) -> Decorated:
    """`--wait` and `--timeout`, of every command that changes the policy."""
    return _wait(timeout_option(command))


exit_code_option = click.option(
    "--exit-code", is_flag=True, help="Exit status 3 when something would change, 0 when nothing would."
)
