"""`sgctl delete`: delete objects."""

from __future__ import annotations

import click

from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session, plain_failures
from sgctl.cli.completers import complete_words
from sgctl.cli.kinds import ObjectKind, split
from sgctl.cli.lookup import NAMED
from sgctl.cli.manifest_files import read_documents
from sgctl.cli.options import files_option, ignore_missing_option, output_option, wait_options
from sgctl.cli.output.render import print_outcomes
from sgctl.cli.output.terminal import Failure
from sgctl.cli.removing import remove
from sgctl.service.delete import Target, target_of
from sgctl.service.plan import ObjectAction, ObjectOutcome


@click.command()
@click.argument("words", metavar="[KIND NAME... | KIND/NAME...]", nargs=-1, shell_complete=complete_words)
@files_option(required=False)
@ignore_missing_option
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def delete(
    session: CommandSession, /, words: tuple[str, ...], files: tuple[str, ...], output: str, **options: object
) -> None:
    """Delete objects by name or id, or those in the manifests in FILE.

    All of them are one transaction: if anything that stays still uses one of them, none is deleted.
    `delete host NAME` deletes the reports of a host that no longer exists or has been renamed.
    """
    if bool(words) == bool(files):
        raise click.UsageError("give either KIND NAME or -f FILE")
    named = split(words)
    if any(kind is kinds.HOSTS for kind, _ in named):
        if any(kind is not kinds.HOSTS for kind, _ in named):
            raise click.UsageError("hosts cannot be deleted together with objects of the policy")
        _forget_hosts(session, [name for _, name in named], output, bool(options["ignore_missing"]))
        return
    targets = _of_files(session, files) if files else _of_words(named, session.project)
    remove(session, targets, output, options)


def _forget_hosts(session: CommandSession, names: list[str], output: str, ignore_missing: bool) -> None:
    """Delete all reports of these hosts. Raises Failure if a controller runs on one."""
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
    print_outcomes([ObjectOutcome("Host", name, ObjectAction.DELETED) for name in known], output)


def _of_words(pairs: list[tuple[ObjectKind, str]], project: str) -> list[Target]:
    if not pairs:
        raise click.UsageError("give the names of the objects to delete")
    for kind, _ in pairs:
        if not kind.policy:
            raise click.UsageError(f"{kind.name} are reported by controllers and cannot be deleted")
    return [Target(NAMED[kind], name, project=project) for kind, name in pairs]


def _of_files(session: CommandSession, files: tuple[str, ...]) -> list[Target]:
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
