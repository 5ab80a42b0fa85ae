"""Shell completion: names come from the database, and nothing is ever printed into the user's line."""

# ruff: noqa: PLC0415  # OVSDB's client is loaded when names are asked for

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
from click.shell_completion import get_completion_class

from sgctl.cli import kinds
from sgctl.cli.kinds import Kind

_SECONDS = 1.0
"""How long a user may wait for names."""

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def names_of(*wanted: Kind) -> Completer:
    """The names of objects of these kinds."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        del parameter
        return [name for name in _names(context, wanted) if name.startswith(incomplete)]

    return complete


def table_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of the pipeline's tables."""
    from flows.pipeline import TABLES

    del context, parameter
    return [table.name for table in TABLES if table.name.startswith(incomplete.upper())]


def complete_words(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """`KIND NAME…` or `KIND/NAME…`: kinds first, then names of the kind."""
    spelling, slash, start = incomplete.partition("/")
    if slash:
        kind = kinds.BY_SPELLING.get(spelling)
        names = _names(context, (kind,)) if kind else []
        return [f"{spelling}/{name}" for name in names if name.startswith(start)]
    words = context.params.get(parameter.name or "") or ()
    if not words:
        spellings = (each for kind in kinds.KINDS for each in (kind.name, kind.singular))
        return [each for each in spellings if each.startswith(incomplete)]
    kind = kinds.BY_SPELLING.get(str(words[0]))
    return [name for name in _names(context, (kind,)) if name.startswith(incomplete)] if kind else []


def _names(context: click.Context, wanted: Sequence[Kind]) -> list[str]:
    from sgctl.cli.records import NAMED
    from sgctl.service.draft import Draft
    from sgctl.service.names import all_of, reference_to
    from sgctl.settings import Settings
    from sgctl.store import Store, StoreError

    remote = context.find_root().params.get("db") or Settings.from_environment().policy_remote
    try:
        store = Store.connect(remote, _SECONDS)
    except (StoreError, OSError):
        return []
    try:
        root = context.find_root().params
        project = root.get("project") or Settings.from_environment().project
        draft = Draft(store.objects, project)
        reported = {kinds.HOSTS: store.hosts, kinds.SWITCHES: store.switches}
        found = [key for kind in wanted for key in reported.get(kind, ())]
        for each in (NAMED[kind] for kind in wanted if kind.policy):
            found += [reference_to(draft, each, obj.id, project) for obj in all_of(draft, each)]
        return sorted(name for name in found if name.isprintable())  # what is not could end the shell's line
    finally:
        store.close()


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash: `eval "$(sgctl completion bash)"` in ~/.bashrc; it completes commands, options, and the names of
    objects.
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells of the choice"
    click.echo(kind(context.find_root().command, {}, "sgctl", "_SGCTL_COMPLETE").source())
