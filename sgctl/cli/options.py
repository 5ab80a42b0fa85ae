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
