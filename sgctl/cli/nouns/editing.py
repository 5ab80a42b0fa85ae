"""`create`, `set` and `unset` of objects that are edited by their manifests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import click

from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.lookup import CLASSES
from sgctl.cli.nouns import declared
from sgctl.cli.nouns.noun import (
    Data,
    Editor,
    Noun,
    Options,
    assign,
    discard,
    extend,
    make_command,
    naming_object,
    option,
    reference_argument,
)
from sgctl.cli.nouns.showing import present
from sgctl.cli.options import output_option, wait_options
from sgctl.service.draft import Draft
from sgctl.service.edit.objects import plan_amendment, plan_creation

_METADATA = (
    option("--description", help="A description."),
    option("--project", help="The project it belongs to."),
    option("--tag", multiple=True, help="A tag. May be repeated."),
)


def create_command(noun: Noun) -> click.Command:
    """`NOUN create`."""

    @wait_options
    @output_option("table", "json", "yaml", "name")
    @pass_session
    def create(session: CommandSession, /, name: str, **options: Any) -> None:
        identifier, kind = str(uuid4()), CLASSES[noun.kind]
        project = session.project if options["project"] is None else options["project"]
        edit = _editor(noun, _fill(noun), name, options)
        committed = session.transact(
            lambda objects: plan_creation(objects, kind, name, identifier, project, edit)
        )
        present(session, noun.kind, identifier, committed, options)

    parameters = [click.Argument(["name"]), *_METADATA, *noun.create_options, *_edit_options(noun)]
    return make_command("create", create, f"Create {noun.kind.one}.", parameters)


def set_command(noun: Noun) -> click.Command:
    """`NOUN set`."""
    parameters = [
        option("--name", help="The new name."),
        option("--no-tag", is_flag=True, help="First remove all tags."),
        *_METADATA,
        *noun.set_options,
        *_edit_options(noun),
    ]
    text = f"Change {noun.kind.one}. Options that may be repeated add to the values that it has."
    return _amending_command("set", text, noun, _fill(noun), parameters)


def unset_command(noun: Noun) -> click.Command:
    """`NOUN unset`."""
    parameters = [
        option("--tag", multiple=True, help="Remove this tag. May be repeated."),
        option("--all-tag", is_flag=True, help="Remove all tags."),
        *noun.unset_options,
        *declared.unset_options(CLASSES[noun.kind]),
    ]
    return _amending_command(
        "unset", f"Remove attributes from {noun.kind.one}.", noun, _clear(noun), parameters
    )


def _amending_command(
    verb: str, text: str, noun: Noun, editor: Editor, parameters: Sequence[click.Option]
) -> click.Command:
    @wait_options
    @output_option("table", "json", "yaml", "name")
    @pass_session
    def amend(session: CommandSession, /, reference: str, **options: Any) -> None:
        kind = CLASSES[noun.kind]
        identifier = session.find(kind, reference).id
        edit = _editor(noun, editor, reference, options)
        committed = session.transact(lambda objects: plan_amendment(objects, kind, identifier, edit))
        present(session, noun.kind, identifier, committed, options)

    return make_command(verb, amend, text, [reference_argument(noun.kind), *parameters])


def _editor(noun: Noun, editor: Editor, label: str, options: Options) -> Callable[[Draft, Data], None]:
    def edit(draft: Draft, data: Data) -> None:
        with naming_object(noun.kind, label):
            editor(draft, data, options)

    return edit


def _edit_options(noun: Noun) -> list[click.Option]:
    return [*noun.edit_options, *declared.edit_options(CLASSES[noun.kind])]


def _fill(noun: Noun) -> Editor:
    def fill(draft: Draft, data: Data, options: Options) -> None:
        noun.fill(draft, data, options)
        declared.state(CLASSES[noun.kind], data["spec"], options)
        metadata = data["metadata"]
        assign(metadata, options, name="name", description="description", project_id="project")
        if options.get("no_tag"):
            metadata["tags"] = []
        extend(metadata, "tags", options["tag"])

    return fill


def _clear(noun: Noun) -> Editor:
    def clear(draft: Draft, data: Data, options: Options) -> None:
        metadata = data["metadata"]
        if options["all_tag"]:
            metadata["tags"] = []
        discard(metadata, "tags", options["tag"])
        noun.clear(draft, data, options)
        declared.remove(CLASSES[noun.kind], data["spec"], options)

    return clear
