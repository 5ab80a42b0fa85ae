"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., object])


class GlobalOptions(NamedTuple):
    """The options of `sgctl` itself; None where the option is not given."""

    db: str | None
    ovsdb: str | None
    project: str | None


def files_option(required: bool) -> Callable[[Decorated], Decorated]:
    """`-f FILE`, which may be repeated."""
    return click.option(
        "-f",
        "--filename",
        "files",
        metavar="FILE",
        multiple=True,
        required=required,
        type=click.Path(allow_dash=True),
        help="YAML file of one or more manifests; - is standard input. May be repeated.",
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


bridge_option = click.option("--bridge", metavar="BRIDGE", help="Only this bridge of this machine.")

timeout_option = click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="How long to wait for the switches.",
)

_wait = click.option("--wait", is_flag=True, help="Wait until every connected switch has applied the change.")


def wait_options(command: Decorated) -> Decorated:
    """`--wait` and `--timeout`, for commands that change the policy."""
    return _wait(timeout_option(command))


ignore_missing_option = click.option(
    "--ignore-missing", is_flag=True, help="Ignore objects that do not exist."
)

exit_code_option = click.option(
    "--exit-code", is_flag=True, help="Exit with status 3 if anything would change, 0 if nothing would."
)
