"""`sgctl version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click


@click.command()
def version() -> None:
    """Print the version of sgctl."""
    try:
        click.echo(f"sgctl {installed('sgctl')}")
    except PackageNotFoundError:
        click.echo("sgctl, run from its source and not installed")
