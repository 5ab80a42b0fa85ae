"""`sgctl apply`: make the policy what files state."""

# ruff: noqa: PLC0415  # what reads manifests is loaded when there are some

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sgctl.cli.options import files_option, timeout_option
from sgctl.cli.session import Session, pass_session, plain_failures

if TYPE_CHECKING:
    from sgctl.service.manifests import Document


@click.command()
@files_option(required=True)
@click.option("--wait", is_flag=True, help="Return when every connected switch has applied the change.")
@timeout_option
@pass_session
def apply(session: Session, files: tuple[str, ...], wait: bool, timeout: float) -> None:
    """Make the policy what the manifests in FILE state.

    All files are one transaction: any error, and nothing changes. Objects that no document mentions stay.
    """
    from sgctl.cli.render import print_outcomes
    from sgctl.service.manifests import plan

    documents = read_documents(files)
    committed = session.transact(lambda objects: plan(objects, documents))
    print_outcomes(committed.plan.outcomes)
    if wait:
        session.wait_applied(committed.generation, timeout)


def read_documents(files: tuple[str, ...]) -> list[Document]:
    """The documents of all files. Raises Failure."""
    from sgctl.service.manifests import read_files

    with plain_failures():
        return read_files(files, sys.stdin.buffer)
