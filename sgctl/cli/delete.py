"""`sgctl delete`: take objects away."""

# ruff: noqa: PLC0415  # what reads manifests is loaded when there are some

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from sgctl.cli import kinds
from sgctl.cli.apply import read_documents
from sgctl.cli.completion import complete_words
from sgctl.cli.kinds import Kind, split
from sgctl.cli.options import files_option, output_option, wait_options
from sgctl.cli.session import Session, pass_session, plain_failures
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
    `delete host NAME` forgets what the controllers of a host reported that is no more, or has another name.
    """
    if bool(words) == bool(files):
        raise click.UsageError("give either KIND NAME or -f FILE")
    named = split(words)
    if any(kind is kinds.HOSTS for kind, _ in named):
        if any(kind is not kinds.HOSTS for kind, _ in named):
            raise click.UsageError("hosts are deleted by themselves: they are no part of the policy")
        _forget_hosts(session, [name for _, name in named], output, bool(options["ignore_missing"]))
        return
    targets = _of_files(session, files) if files else _of_words(named, session.project)
    remove(session, targets, output, options)


def remove(session: Session, targets: list[Target], output: str, options: Mapping[str, object]) -> None:
    """Carry out a deletion with the options `--ignore-missing`, `--wait` and `--timeout`."""
    from sgctl.cli.render import print_outcomes
    from sgctl.service.removal import plan_removal

    missing = bool(options["ignore_missing"])
    committed = session.transact(lambda objects: plan_removal(objects, targets, missing))
    print_outcomes(committed.plan.outcomes, output)
    session.finish(committed, options)


def _forget_hosts(session: Session, names: list[str], output: str, ignore_missing: bool) -> None:
    """Take away all reports of hosts that are gone. Raises Failure for one whose controller runs."""
    from sgctl.cli.render import print_outcomes
    from sgctl.service.plan import Action, Outcome

    store = session.store
    known = [name for name in dict.fromkeys(names) if name in store.hosts]
    missing = [name for name in names if name not in known]
    if missing and not ignore_missing:
        raise Failure(*(f"there is no host {name!r}" for name in missing))
    with plain_failures():
        running = set(known) - store.unheld(known)
        if running:
            raise Failure(
                *(f"host {name}: a controller runs there; stop it first" for name in sorted(running))
            )
        for name in known:
            store.delete_host(name)
    print_outcomes([Outcome("Host", name, Action.DELETED) for name in known], output)


def _of_words(pairs: list[tuple[Kind, str]], project: str) -> list[Target]:
    from sgctl.cli.records import NAMED
    from sgctl.service.removal import Target

    if not pairs:
        raise click.UsageError("give the names of what to delete")
    for kind, _ in pairs:
        if not kind.policy:
            raise click.UsageError(f"{kind.name} are reported by controllers and cannot be deleted")
    return [Target(NAMED[kind], name, project=project) for kind, name in pairs]


def _of_files(session: Session, files: tuple[str, ...]) -> list[Target]:
    from sgctl.service.removal import target_of

    targets, lines = [], []
    for document in read_documents(session, files):
        target = target_of(document)
        if target is None:
            lines.append(f"{document.source.at(0)}: no known kind with a name")
        else:
            targets.append(target)
    if lines:
        raise Failure(*lines)
    return targets
