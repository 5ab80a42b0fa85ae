"""`sgctl edit`: an object's manifest in an editor."""

# ruff: noqa: PLC0415  # what reads manifests is loaded when there are some

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sgctl.cli import kinds
from sgctl.cli.completion import complete_words
from sgctl.cli.options import output_option, wait_options
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from flows.model import PolicyObject
    from sgctl.service.draft import Objects
    from sgctl.service.plan import Plan

_NOTE = "# Save and leave to apply, leave without a change to cancel.\n"


@click.command(short_help="Edit the manifest of one object with $EDITOR.")
@click.argument("words", metavar="KIND NAME | KIND/NAME", nargs=-1, shell_complete=complete_words)
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def edit(session: Session, /, words: tuple[str, ...], **options: Any) -> None:
    """Edit the manifest of one object with $EDITOR, and apply it.

    What is wrong with it is written at its top, and the editor opened again. When somebody else changes the
    object meanwhile, nothing is applied, and the text is kept in a file.
    """
    kind, name = _read_one(words)
    from sgctl.cli.records import CLASSES

    editing = _Editing(session, session.find(CLASSES[kind], name))
    editing.run(options)


def _read_one(words: tuple[str, ...]) -> tuple[kinds.Kind, str]:
    pairs = kinds.split(words) if words else []
    if len(pairs) != 1:
        raise click.UsageError("give the kind and the name of one object")
    if pairs[0][0] not in kinds.WITH_MANIFEST:
        raise click.UsageError(f"{pairs[0][0].name} have no manifests of their own")
    return pairs[0]


class _Over(Failure):
    """Failed, and editing on would not help."""


class _Editing:
    """One object in an editor, until it can be applied or is given up."""

    def __init__(self, session: Session, obj: PolicyObject) -> None:
        self._session = session
        self._obj = obj
        self._stated = self._text(session.store.objects)

    def run(self, options: Mapping[str, Any]) -> None:
        """Edit, apply, and begin again with what is wrong."""
        from sgctl.cli.render import print_outcomes

        text, problems = self._stated, list[str]()
        while True:
            edited = self._ask(text, problems)
            if (
                edited == text or not edited.strip()
            ):  # left without a change: of the object, or of what was wrong with it
                self._give_up(edited, problems)
            text = edited
            try:
                committed = self._session.transact(self._planner(edited))
            except _Over:
                raise
            except Failure as failure:
                problems = list(failure.lines)
                continue
            print_outcomes(committed.plan.outcomes, options["output"])
            self._session.finish(committed, options)
            return

    def _ask(self, text: str, problems: list[str]) -> str:
        shown = "".join(f"# {problem}\n" for problem in problems) + _NOTE + text
        try:
            edited = click.edit(shown, extension=".yaml", require_save=False)
        except click.ClickException as error:
            raise self._kept(text, error.format_message()) from error
        lines = (edited or "").splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("#"))

    def _give_up(self, text: str, problems: list[str]) -> None:
        if problems and text.strip():
            raise self._kept(text, *problems)
        raise Failure("nothing was changed")

    def _planner(self, text: str) -> Callable[[Objects], Plan]:
        from sgctl.service.errors import PolicyError
        from sgctl.service.manifests import documents, plan

        try:
            found = documents(text.encode(), "")
        except PolicyError as error:
            raise Failure(*map(str, error.findings)) from error
        if len(found) != 1 or found[0].metadata.get("id") != self._obj.id:
            raise Failure("one document is edited here, and its metadata.id stays")

        def decide(objects: Objects) -> Plan:
            if self._text(objects) != self._stated:
                raise self._kept(text, "somebody else has changed it meanwhile")
            return plan(objects, found)

        return decide

    def _text(self, objects: Objects) -> str:
        """The manifest as it is, with its id, so that it can be renamed."""
        from sgctl.service.draft import Draft
        from sgctl.service.manifests import manifest, to_yaml

        draft = Draft(objects)
        obj = draft.get(type(self._obj), self._obj.id)
        if obj is None:
            return ""
        return to_yaml([manifest(draft, obj, with_id=True)])

    def _kept(self, text: str, *reasons: str) -> _Over:
        if text == self._stated:
            return _Over(*reasons)
        with tempfile.NamedTemporaryFile(
            "w", prefix="sgctl-edit-", suffix=".yaml", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
        return _Over(*reasons, f"nothing was changed; what was written is in {file.name}")
