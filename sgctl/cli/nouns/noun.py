"""One kind of object as a noun of the command line: its options, and what they do to its manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from sgctl.cli.completers import names_of
from sgctl.cli.kinds import ObjectKind
from sgctl.cli.lookup import NAMED
from sgctl.cli.output.terminal import Failure
from sgctl.cli.output.text import show
from sgctl.service.draft import Draft
from sgctl.service.kinds import MANIFEST_KINDS

Options = Mapping[str, Any]
Data = dict[str, Any]
Editor = Callable[[Draft, Data, Options], None]
"""Changes a manifest in place, as the options say."""
Filter = Callable[[Draft, Options], Callable[[Mapping[str, Any]], bool]]
"""Makes the function that tells whether `list` shows a record."""


def option(*names: str, **settings: Any) -> click.Option:
    """An option of a noun's command."""
    if "type" not in settings and not settings.get("is_flag") and "/" not in names[-1]:
        settings.setdefault("metavar", names[-1].lstrip("-").rpartition("-")[2].upper())
    return click.Option(names, **settings)


def _no_edit(draft: Draft, data: Data, options: Options) -> None:
    """Leave the manifest as it is."""


def every_record(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    """Let `list` show every record."""
    del draft, options
    return lambda _: True


@dataclass(frozen=True)
class Noun:
    """One kind of object, and the options of its commands.

    `fill` carries out the options of `create` and `set`, `clear` those of `unset`, `keep` those of `list`.
    `create_options`, `set_options`, `unset_options` and `list_options` belong to one command each,
    `edit_options` to both `create` and `set`.
    """

    kind: ObjectKind
    fill: Editor = _no_edit
    clear: Editor = _no_edit
    keep: Filter = every_record
    edit_options: Sequence[click.Option] = ()
    create_options: Sequence[click.Option] = ()
    set_options: Sequence[click.Option] = ()
    unset_options: Sequence[click.Option] = ()
    list_arguments: Sequence[click.Argument] = ()
    list_options: Sequence[click.Option] = ()


def make_command(
    name: str, callback: Callable[..., Any], text: str, parameters: Sequence[click.Parameter]
) -> click.Command:
    """A command with these parameters, followed by those of the callback's decorators."""
    decorated: list[click.Parameter] = list(reversed(getattr(callback, "__click_params__", [])))
    return click.Command(name, callback=callback, params=[*parameters, *decorated], help=text)


def reference_argument(kind: ObjectKind, many: bool = False) -> click.Argument:
    """The name or id of an object, or of several."""
    metavar = kind.singular.rpartition("-")[2].upper() + ("..." if many else "")
    return click.Argument(
        ["references" if many else "reference"],
        metavar=metavar,
        nargs=-1 if many else 1,
        required=True,
        shell_complete=names_of(kind),
    )


@contextmanager
def naming_object(kind: ObjectKind, label: str) -> Iterator[None]:
    """Add the name of the edited object to each line of a Failure."""
    try:
        yield
    except Failure as failure:
        raise Failure(*(f"{MANIFEST_KINDS[NAMED[kind]]} {label}: {line}" for line in failure.lines)) from None


def assign(target: Data, options: Options, **fields: str) -> None:
    """Set each field to the value of its option, if the option is given."""
    for field, name in fields.items():
        if options.get(name) is not None:
            target[field] = options[name]


def extend(target: Data, field: str, values: Sequence[Any]) -> None:
    """Add values to a list, except those that it already has."""
    if values:
        held = target.setdefault(field, [])
        for value in values:
            if value not in held:
                held.append(value)


def discard(target: Data, field: str, values: Sequence[Any]) -> None:
    """Remove values from a list. Raises Failure if the list does not have one of them."""
    held = target.get(field, [])
    missing = [value for value in values if value not in held]
    if missing:
        raise Failure(f"{show(missing)} is not among its {field.replace('_', ' ')}")
    if values:
        target[field] = [value for value in held if value not in values]
