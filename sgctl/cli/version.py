"""`sgctl version`."""

# ruff: noqa: PLC0415  # reading package metadata takes longer than the rest of the command line

from __future__ import annotations

import click


@click.command()
def version() -> None:
    """Print the version of sgctl."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        click.echo(f"sgctl {installed('sgctl')}")
    except PackageNotFoundError:
        click.echo("sgctl, run from its source and not installed")
