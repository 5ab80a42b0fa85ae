"""What the nouns have in common: create, set, unset, delete, list and show of one kind of object."""

# ruff: noqa: PLC0415  # the policy's classes are loaded when a command runs

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from sgctl.cli.completion import names_of
from sgctl.cli.delete import remove
from sgctl.cli.get import Selection, print_selections, select
from sgctl.cli.kinds import Kind
from sgctl.cli.options import output_option, wait_options
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from sgctl.service.draft import Draft
    from sgctl.service.transaction import Committed

Options = Mapping[str, Any]
Data = dict[str, Any]
Editor = Callable[["Draft", Data, Options], None]
"""Brings what the options say into a manifest, in place."""
Filter = Callable[["Draft", Options], Callable[[Mapping[str, Any]], bool]]
"""Whether `list` shows a record."""


def option(*names: str, **settings: Any) -> click.Option:
    """An option of a noun's command."""
    if "type" not in settings and not settings.get("is_flag") and "/" not in names[-1]:
        settings.setdefault("metavar", names[-1].lstrip("-").rpartition("-")[2].upper())
    return click.Option(names, **settings)


@dataclass(frozen=True)
class Noun:
    """One kind of object, its options, and what they do to its manifest.

    `fill` is what `create` and `set` do, `clear` what `unset` does. `adds` are the options of create and set,
    `sets` those of set alone, `takes` those of unset, `filters` those of list.
    """

    kind: Kind
    fill: Editor
    clear: Editor
    keep: Filter
    adds: Sequence[click.Option] = ()
    creates: Sequence[click.Option] = ()
    sets: Sequence[click.Option] = ()
    takes: Sequence[click.Option] = ()
    filters: Sequence[click.Option] = ()

    @property
    def words(self) -> str:
        """`security group`."""
        return self.kind.singular.replace("-", " ")

    def commands(self, group: click.Group) -> None:
        """Add all verbs to a group of commands."""
        for command in (self._create(), self._set(), self._unset()):
            group.add_command(command)
        for command in (delete_command(self.kind), show_command(self.kind), list_command(self)):
            group.add_command(command)

    def _create(self) -> click.Command:
        @wait_options
        @output_option("table", "json", "yaml", "name")
        @pass_session
        def create(session: Session, /, name: str, **options: Any) -> None:
            from sgctl.cli.records import CLASSES
            from sgctl.service.manifests.amend import plan_creation

            identifier, kind = str(uuid4()), CLASSES[self.kind]
            project = session.project if options["project"] is None else options["project"]
            committed = session.transact(
                lambda objects: plan_creation(
                    objects, kind, name, identifier, project, self._editor(self._fill, name, options)
                )
            )
            present(session, self.kind, identifier, committed, options)

        parameters = [*_META, *self.creates, *self.adds]
        return _command("create", create, f"Make {_a(self.words)}.", [click.Argument(["name"]), *parameters])

    def _set(self) -> click.Command:
        names = option("--name", help="Its new name.")
        no_tag = option("--no-tag", is_flag=True, help="Take all tags off first.")
        parameters = [names, no_tag, *_META, *self.sets, *self.adds]
        text = f"Change {_a(self.words)}; what may be there several times is added."
        return self._amend("set", text, self._fill, parameters)

    def _unset(self) -> click.Command:
        text = f"Take something off {_a(self.words)}."
        return self._amend("unset", text, self._clear, [*_UNSET, *self.takes])

    def _amend(
        self, verb: str, text: str, editor: Editor, parameters: Sequence[click.Option]
    ) -> click.Command:
        @wait_options
        @output_option("table", "json", "yaml", "name")
        @pass_session
        def amend(session: Session, /, reference: str, **options: Any) -> None:
            from sgctl.cli.records import CLASSES
            from sgctl.service.manifests.amend import plan_amendment

            kind = CLASSES[self.kind]
            identifier = session.find(kind, reference).id
            committed = session.transact(
                lambda objects: plan_amendment(
                    objects, kind, identifier, self._editor(editor, reference, options)
                )
            )
            present(session, self.kind, identifier, committed, options)

        return _command(verb, amend, text, [reference_argument(self.kind), *parameters])

    def _editor(self, editor: Editor, label: str, options: Options) -> Callable[[Draft, Data], None]:
        def edit(draft: Draft, data: Data) -> None:
            with blaming(self.kind, label):
                editor(draft, data, options)

        return edit

    def _fill(self, draft: Draft, data: Data, options: Options) -> None:
        self.fill(draft, data, options)
        metadata = data["metadata"]
        assign(metadata, options, name="name", description="description", project_id="project")
        if options.get("no_tag"):
            metadata["tags"] = []
        extend(metadata, "tags", options["tag"])

    def _clear(self, draft: Draft, data: Data, options: Options) -> None:
        metadata = data["metadata"]
        if options["all_tag"]:
            metadata["tags"] = []
        discard(metadata, "tags", options["tag"])
        self.clear(draft, data, options)


_META = (
    option("--description", help="What it is for."),
    option("--project", help="The project it belongs to."),
    option("--tag", multiple=True, help="A tag. May be repeated."),
)
_UNSET = (
    option("--tag", multiple=True, help="Take off this tag. May be repeated."),
    option("--all-tag", is_flag=True, help="Take off all tags."),
)
_COMMON_FILTERS = (
    option("--name", help="Only those with this name."),
    option("--project", help="Only those of this project."),
    option("--tags", metavar="TAG[,TAG...]", help="Only those with all these tags."),
    option("--long", is_flag=True, help="More columns, as -o wide."),
)


def _command(
    name: str, callback: Callable[..., Any], text: str, parameters: Sequence[click.Parameter]
) -> click.Command:
    decorated: list[click.Parameter] = list(reversed(getattr(callback, "__click_params__", [])))
    return click.Command(name, callback=callback, params=[*parameters, *decorated], help=text)


def _a(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def reference_argument(kind: Kind, many: bool = False) -> click.Argument:
    """The name or id of an object, or of several."""
    metavar = kind.singular.rpartition("-")[2].upper() + ("..." if many else "")
    return click.Argument(
        ["references" if many else "reference"],
        metavar=metavar,
        nargs=-1 if many else 1,
        required=True,
        shell_complete=names_of(kind),
    )


def delete_command(kind: Kind) -> click.Command:
    """`NOUN delete`."""

    @wait_options
    @output_option("table", "json", "yaml", "name")
    @pass_session
    def delete(session: Session, /, references: tuple[str, ...], output: str, **options: Any) -> None:
        from sgctl.cli.records import NAMED
        from sgctl.service.removal import Target

        targets = [Target(NAMED[kind], reference, project=session.project) for reference in references]
        remove(session, targets, output, options)

    missing = option("--ignore-missing", is_flag=True, help="Objects that do not exist are no error.")
    text = f"Delete {kind.name.replace('-', ' ')}, together or not at all."
    return _command("delete", delete, text, [reference_argument(kind, many=True), missing])


def show_command(kind: Kind) -> click.Command:
    """`NOUN show`."""

    @output_option("table", "json", "yaml", "name")
    @pass_session
    def show(session: Session, /, reference: str, output: str) -> None:
        from sgctl.cli.records import NAMED

        show_object(session, kind, session.find(NAMED[kind], reference).id, output)

    words = kind.singular.replace("-", " ")
    return _command("show", show, f"Show every field of {_a(words)}.", [reference_argument(kind)])


def list_command(noun: Noun, *arguments: click.Argument) -> click.Command:
    """`NOUN list`."""

    @output_option("table", "wide", "json", "yaml", "name")
    @pass_session
    def list_(session: Session, /, output: str, long: bool, **options: Any) -> None:
        from sgctl.cli.records import RECORDS, Snapshot

        snapshot = Snapshot(session.store, session.silent_hosts([noun.kind]), session.project)
        common, own = _common_filter(options), noun.keep(snapshot.draft, options)
        records = [record for record in RECORDS[noun.kind](snapshot) if common(record) and own(record)]
        kept = Selection(noun.kind, records, single=False)
        print_selections(snapshot, [kept], "wide" if long and output == "table" else output)

    text = f"List {noun.kind.name.replace('-', ' ')}; several filters must all fit."
    return _command("list", list_, text, [*arguments, *noun.filters, *_COMMON_FILTERS])


def _common_filter(options: Options) -> Callable[[Mapping[str, Any]], bool]:
    wanted = {"name": options["name"], "project_id": options["project"]}
    tags = set(options["tags"].split(",")) if options["tags"] else set()
    return lambda record: (
        tags <= set(record["tags"])
        and all(value is None or record[field] == value for field, value in wanted.items())
    )


@contextmanager
def blaming(kind: Kind, label: str) -> Iterator[None]:
    """Name the object that is edited in what cannot be done to it."""
    from sgctl.cli.records import NAMED
    from sgctl.service.kinds import MANIFEST_KINDS

    try:
        yield
    except Failure as failure:
        raise Failure(*(f"{MANIFEST_KINDS[NAMED[kind]]} {label}: {line}" for line in failure.lines)) from None


def present(session: Session, kind: Kind, identifier: str, committed: Committed, options: Options) -> None:
    """Show what an object has become, and wait for the switches where that is asked for."""
    session.catch_up(committed)
    show_object(session, kind, identifier, options["output"])
    session.finish(committed, options)


def show_object(session: Session, kind: Kind, identifier: str, output: str) -> None:
    """Every field of one object."""
    from sgctl.cli.records import RECORDS, Snapshot
    from sgctl.cli.render import print_fields

    snapshot = Snapshot(session.store, session.silent_hosts([kind]), session.project)
    selection = select(snapshot, kind, [identifier], list(RECORDS[kind](snapshot)))
    if output == "table":
        print_fields(selection.records[0])
    else:
        print_selections(snapshot, [selection], output)


def assign(target: Data, options: Options, **fields: str) -> None:
    """Set each field to what its option says, where it says something."""
    for field, name in fields.items():
        if options.get(name) is not None:
            target[field] = options[name]


def extend(target: Data, field: str, values: Sequence[Any]) -> None:
    """Add to a list what is not in it yet."""
    if values:
        held = target.setdefault(field, [])
        for value in values:
            if value not in held:
                held.append(value)


def discard(target: Data, field: str, values: Sequence[Any]) -> None:
    """Take values off a list; those that are not on it are refused with Failure."""
    held = target.get(field, [])
    from sgctl.cli.render import show

    missing = [value for value in values if value not in held]
    if missing:
        raise Failure(f"{show(missing)} is not among its {field.replace('_', ' ')}")
    if values:
        target[field] = [value for value in held if value not in values]
