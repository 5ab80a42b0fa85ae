"""`--prune`: which objects may be removed, and the question before they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession
from sgctl.cli.lookup import CLASSES
from sgctl.cli.manifest_files import plan_to_apply
from sgctl.cli.options import Decorated
from sgctl.cli.output.terminal import Failure
from sgctl.service.apply.planner import plan
from sgctl.service.apply.pruning import PruneScope
from sgctl.service.errors import printable
from sgctl.service.manifests.documents import Document
from sgctl.service.plan import ObjectAction, ObjectOutcome, Plan
from sgctl.store.snapshot import PolicySnapshot

_KINDS = click.option(
    "--prune",
    metavar="KIND[,KIND...]",
    help="Remove objects of these kinds that no document mentions; all: every kind.",
)
_PROJECTS = click.option(
    "--prune-project",
    "projects",
    metavar="PROJECT",
    multiple=True,
    help="Remove objects of this project instead of the one that the command acts for. May be repeated.",
)


def prune_options(command: Decorated) -> Decorated:
    """`--prune` and `--prune-project`."""
    return _KINDS(_PROJECTS(command))


def read_prune_scope(session: CommandSession, options: Mapping[str, Any]) -> PruneScope | None:
    """The objects that may be removed; None for no object. Raises click.UsageError."""
    stated, projects = options["prune"], options["projects"]
    if stated is None:
        if projects:
            raise click.UsageError("--prune-project only goes with --prune")
        return None
    wanted = [
        kind
        for each in stated.split(",")
        for kind in (kinds.WITH_MANIFEST if each == "all" else (kinds.find(each),))
    ]
    for kind in wanted:
        if kind not in kinds.WITH_MANIFEST:
            raise click.UsageError(f"{kind.name} cannot be pruned: they have no manifests of their own")
    return PruneScope(frozenset(CLASSES[kind] for kind in wanted), frozenset(projects or [session.project]))


def confirm(
    session: CommandSession, documents: list[Document], scope: PruneScope | None, asks: bool
) -> Callable[[PolicySnapshot], Plan]:
    """The function that makes the plan to apply the documents.

    With `asks`, the user has confirmed the objects that are removed, and the function raises Failure if the
    plan would remove others. Raises Failure if the user does not confirm.
    """
    confirmed: list[ObjectOutcome] = []
    if scope is not None and asks:
        confirmed = _removals(plan_to_apply(session, documents, scope))
        _ask(confirmed)

    def decide(objects: PolicySnapshot) -> Plan:
        made = plan(objects, documents, scope)
        if scope is not None and asks and _removals(made) != confirmed:
            raise Failure(
                "the policy has changed meanwhile, and other objects would be removed; run it again"
            )
        return made

    return decide


def _removals(made: Plan) -> list[ObjectOutcome]:
    return [outcome for outcome in made.outcomes if outcome.action is ObjectAction.DELETED]


def _ask(removals: list[ObjectOutcome]) -> None:
    if not removals:
        return
    for outcome in removals:
        click.echo(printable(f"{outcome.kind} {outcome.name} will be removed"), err=True)
    count = "1 object" if len(removals) == 1 else f"{len(removals)} objects"
    if not sys.stdin.isatty():
        raise Failure(f"{count} would be removed; --yes removes without asking")
    if not click.confirm(f"Remove {count}?", err=True):
        raise Failure("nothing was changed")
