"""`sgctl apply` and `sgctl diff`: make the policy what files state, or see what that would change."""

# ruff: noqa: PLC0415  # what reads manifests is loaded when there are some

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sgctl.cli.options import exit_code_option, files_option, output_option, wait_options
from sgctl.cli.prune import confirm, prune_options, read_bounds
from sgctl.cli.session import NOT_ENFORCED, Session, pass_session, plain_failures
from sgctl.cli.terminal import DIFFERENT, warn

if TYPE_CHECKING:
    from sgctl.service.manifests import Bounds, Document
    from sgctl.service.plan import Plan


@click.command()
@files_option(required=True)
@prune_options
@click.option("--yes", is_flag=True, help="Prune without asking.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would happen, and change nothing.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def apply(session: Session, /, files: tuple[str, ...], dry_run: bool, output: str, **options: object) -> None:
    """Make the policy what the manifests in FILE state.

    All files are one transaction: any error, and nothing changes. Objects that no document mentions stay,
    unless --prune names their kind: then what would be removed is shown, and done after a yes.
    """
    from sgctl.cli.render import print_outcomes

    documents, bounds = read_documents(session, files), read_bounds(session, options)
    if dry_run:
        print_outcomes(would_be(session, documents, bounds).outcomes, output, note="dry run")
        return
    decide = confirm(session, documents, bounds, asks=not options["yes"])
    committed = session.transact(decide)
    print_outcomes(committed.plan.outcomes, output)
    session.finish(committed, options)
    if not any(switch.connected for switch in session.store.switches.values()):
        warn(NOT_ENFORCED)


@click.command(short_help="Show what apply would change, as a unified diff.")
@files_option(required=True)
@prune_options
@exit_code_option
@output_option("text", "json")
@click.pass_context
@pass_session
def diff(
    session: Session, context: click.Context, /, files: tuple[str, ...], output: str, **options: object
) -> None:
    """Show what applying the manifests in FILE would change: a unified diff per object.

    A new object's MAC, addresses and id are examples: each run makes new ones.
    """
    from sgctl.cli import render
    from sgctl.service.manifests.difference import differences

    plan = would_be(session, read_documents(session, files), read_bounds(session, options))
    found = differences(session.store.objects, plan)
    if output == "json":
        fields = ("kind", "name", "action", "before", "after")
        render.print_json([{field: getattr(each, field) for field in fields} for each in found])
    else:
        for each in found:
            render.print_diff(each.lines())
    context.exit(DIFFERENT if options["exit_code"] and found else 0)


def would_be(session: Session, documents: list[Document], bounds: Bounds | None) -> Plan:
    """What applying would do to the policy as it is now. Raises Failure."""
    from sgctl.service.manifests import plan

    with plain_failures():
        return plan(session.store.objects, documents, bounds)


def read_documents(session: Session, files: tuple[str, ...]) -> list[Document]:
    """The documents of all files; those that name no project are of the session's. Raises Failure."""
    from sgctl.service.manifests import read_files

    with plain_failures():
        found = read_files(files, sys.stdin.buffer)
    return [replace(document, default_project=session.project) for document in found]
