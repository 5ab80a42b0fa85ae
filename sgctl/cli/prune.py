"""`--prune`: what may be removed, and whether the user means it."""

# ruff: noqa: PLC0415  # what reads manifests is loaded when there are some

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import click

from sgctl.cli import kinds
from sgctl.cli.options import Decorated
from sgctl.cli.session import Session
from sgctl.cli.terminal import Failure, plain

if TYPE_CHECKING:
    from sgctl.service.draft import Objects
    from sgctl.service.manifests import Bounds, Document
    from sgctl.service.plan import Outcome, Plan

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


def read_bounds(session: Session, options: Mapping[str, object]) -> Bounds | None:
    """What may be removed; None for nothing."""
    from sgctl.cli.records import CLASSES
    from sgctl.service.manifests import Bounds

    stated, projects = cast("str | None", options["prune"]), cast("tuple[str, ...]", options["projects"])
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
    return Bounds(frozenset(CLASSES[kind] for kind in wanted), frozenset(projects or [session.project]))


def confirm(
    session: Session, documents: list[Document], bounds: Bounds | None, asks: bool
) -> Callable[[Objects], Plan]:
    """What makes the plan; removals have been agreed to, and it refuses to make others."""
    from sgctl.cli.apply import would_be
    from sgctl.service.manifests import plan

    agreed: list[Outcome] = []
    if bounds is not None and asks:
        agreed = _removals(would_be(session, documents, bounds))
        _ask(agreed)

    def decide(objects: Objects) -> Plan:
        made = plan(objects, documents, bounds)
        if bounds is not None and asks and _removals(made) != agreed:
            raise Failure("the policy changed meanwhile, and other objects would be removed; run it again")
        return made

    return decide


def _removals(made: Plan) -> list[Outcome]:
    from sgctl.service.plan import Action

    return [outcome for outcome in made.outcomes if outcome.action is Action.DELETED]


def _ask(removals: list[Outcome]) -> None:
    if not removals:
        return
    for outcome in removals:
        click.echo(plain(f"{outcome.kind} {outcome.name} will be removed"), err=True)
    count = "1 object" if len(removals) == 1 else f"{len(removals)} objects"
    if not sys.stdin.isatty():
        raise Failure(f"{count} would be removed; --yes removes without asking")
    if not click.confirm(f"Remove {count}?", err=True):
        raise Failure("nothing was changed")
