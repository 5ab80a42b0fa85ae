"""`sgctl diff`: what apply would change."""

from __future__ import annotations

import click

from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.manifest_files import plan_to_apply, read_documents
from sgctl.cli.options import exit_code_option, files_option, output_option
from sgctl.cli.output.render import print_diff, print_json
from sgctl.cli.output.terminal import DIFFERENT
from sgctl.cli.prune import prune_options, read_prune_scope
from sgctl.service.diff import differences


@click.command()
@files_option(required=True)
@prune_options
@exit_code_option
@output_option("text", "json")
@click.pass_context
@pass_session
def diff(
    session: CommandSession, context: click.Context, /, files: tuple[str, ...], output: str, **options: object
) -> None:
    """Show what applying the manifests in FILE would change: a unified diff per object.

    A new object's MAC, addresses and id are examples: each run makes new ones.
    """
    plan = plan_to_apply(session, read_documents(session, files), read_prune_scope(session, options))
    found = differences(session.store.objects, plan)
    if output == "json":
        fields = ("kind", "name", "action", "before", "after")
        print_json([{field: getattr(each, field) for field in fields} for each in found])
    else:
        for each in found:
            print_diff(each.lines())
    context.exit(DIFFERENT if options["exit_code"] and found else 0)
