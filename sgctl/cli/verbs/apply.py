"""`sgctl apply`: apply manifests to the policy."""

from __future__ import annotations

import click

from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.manifest_files import plan_to_apply, read_documents
from sgctl.cli.options import files_option, output_option, wait_options
from sgctl.cli.output.render import print_outcomes
from sgctl.cli.output.terminal import warn
from sgctl.cli.prune import confirm, prune_options, read_prune_scope
from sgctl.cli.waiting import NOT_ENFORCED, finish


@click.command()
@files_option(required=True)
@prune_options
@click.option("--yes", is_flag=True, help="Prune without asking.")
@click.option("--dry-run", is_flag=True, help="Check everything and show what would happen; change nothing.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def apply(
    session: CommandSession, /, files: tuple[str, ...], dry_run: bool, output: str, **options: object
) -> None:
    """Apply the manifests in FILE to the policy.

    All files are one transaction: if anything is wrong, nothing changes. Objects that no document mentions
    stay, unless --prune names their kind: then the objects to remove are listed, and removed after
    confirmation.
    """
    documents, scope = read_documents(session, files), read_prune_scope(session, options)
    if dry_run:
        print_outcomes(plan_to_apply(session, documents, scope).outcomes, output, note="dry run")
        return
    decide = confirm(session, documents, scope, asks=not options["yes"])
    committed = session.transact(decide)
    print_outcomes(committed.plan.outcomes, output)
    finish(session, committed, options)
    if not any(switch.connected for switch in session.store.switches.values()):
        warn(NOT_ENFORCED)
