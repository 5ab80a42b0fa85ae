"""Shell completion of names.

Names come from the database. If there is none, nothing is offered and nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from sgctl.cli import kinds
from sgctl.cli.kinds import ObjectKind
from sgctl.cli.lookup import NAMED
from sgctl.service.draft import Draft
from sgctl.service.names import all_of, reference_to
from sgctl.settings import Settings
from sgctl.store import Store, StoreError

_SECONDS = 1.0
"""How long to wait for the database."""

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def names_of(*wanted: ObjectKind) -> Completer:
    """Complete the names of objects of these kinds."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        del parameter
        return [name for name in _names(context, wanted) if name.startswith(incomplete)]

    return complete


def complete_words(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete `KIND NAME…` or `KIND/NAME…`: first kinds, then the names of that kind."""
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


def _names(context: click.Context, wanted: Sequence[ObjectKind]) -> list[str]:
    options, settings = context.find_root().params, Settings.from_environment()
    try:
        store = Store.connect(options.get("db") or settings.policy_remote, _SECONDS)
    except (StoreError, OSError):
        return []
    try:
        project = options.get("project") or settings.project
        draft = Draft(store.objects, project)
        reported = {kinds.HOSTS: store.hosts, kinds.SWITCHES: store.switches}
        found = [key for kind in wanted for key in reported.get(kind, ())]
        for each in (NAMED[kind] for kind in wanted if kind.policy):
            found += [reference_to(draft, each, obj.id, project) for obj in all_of(draft, each)]
        return sorted(name for name in found if name.isprintable())  # other names could end the shell's line
    finally:
        store.close()
