"""`sgctl delete`: take objects away."""

# ruff: noqa: PLC0415  # what reads manifests is loaded when there are some

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from sgctl.cli.apply import read_documents
from sgctl.cli.completion import complete_words
from sgctl.cli.kinds import Kind, split
from sgctl.cli.options import files_option, output_option, wait_options
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from sgctl.service.removal import Target


@click.command(short_help="Delete objects, or what the manifests in FILE state.")
@click.argument("words", metavar="[KIND NAME... | KIND/NAME...]", nargs=-1, shell_complete=complete_words)
@files_option(required=False)
@click.option("--ignore-missing", is_flag=True, help="Objects that do not exist are no error.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def delete(
    session: Session, /, words: tuple[str, ...], files: tuple[str, ...], output: str, **options: object
) -> None:
    """Delete objects by name or id, or those that the manifests in FILE state.

    It is one transaction: what is still in use by anything that stays is refused, with all the rest.
    """
    if bool(words) == bool(files):
        raise click.UsageError("give either KIND NAME or -f FILE")
    targets = _of_files(files) if files else _of_words(split(words))
    remove(session, targets, output, options)


def remove(session: Session, targets: list[Target], output: str, options: Mapping[str, object]) -> None:
    """Carry out a deletion with the options `--ignore-missing`, `--wait` and `--timeout`."""
    from sgctl.cli.render import print_outcomes
    from sgctl.service.removal import plan_removal

    missing = bool(options["ignore_missing"])
    committed = session.transact(lambda objects: plan_removal(objects, targets, missing))
    print_outcomes(committed.plan.outcomes, output)
    session.finish(committed, options)


def _of_words(pairs: list[tuple[Kind, str]]) -> list[Target]:
    from sgctl.cli.records import NAMED
    from sgctl.service.removal import Target

    if not pairs:
        raise click.UsageError("give the names of what to delete")
    for kind, _ in pairs:
        if not kind.policy:
            raise click.UsageError(f"{kind.name} are reported by controllers and cannot be deleted")
    return [Target(NAMED[kind], name) for kind, name in pairs]


def _of_files(files: tuple[str, ...]) -> list[Target]:
    from sgctl.service.removal import target_of

    targets, lines = [], []
    for document in read_documents(files):
        target = target_of(document)
        if target is None:
            lines.append(f"{document.source.at(0)}: no known kind with a name")
        else:
            targets.append(target)
    if lines:
        raise Failure(*lines)
    return targets
