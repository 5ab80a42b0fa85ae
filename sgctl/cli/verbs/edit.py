"""`sgctl edit`: an object's manifest in an editor."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import click

from flows.policy.objects import PolicyObject
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session, plain_failures
from sgctl.cli.completers import complete_words
from sgctl.cli.lookup import CLASSES
from sgctl.cli.options import output_option, wait_options
from sgctl.cli.output.render import print_outcomes
from sgctl.cli.output.terminal import Failure
from sgctl.cli.waiting import finish
from sgctl.service.apply.planner import plan
from sgctl.service.draft import Draft
from sgctl.service.export import manifest, to_yaml
from sgctl.service.manifests.documents import documents
from sgctl.service.plan import Plan
from sgctl.store.snapshot import PolicySnapshot

_NOTE = "# Save and quit to apply. Quit without a change to cancel.\n"


@click.command()
@click.argument("words", metavar="KIND NAME | KIND/NAME", nargs=-1, shell_complete=complete_words)
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def edit(session: CommandSession, /, words: tuple[str, ...], **options: Any) -> None:
    """Edit the manifest of one object with $EDITOR, and apply it.

    If it has errors, the editor opens again with the errors at the top. If somebody else has changed the
    object meanwhile, nothing is applied, and the text is kept in a file.
    """
    kind, name = _read_one(words)
    editing = _Editing(session, session.find(CLASSES[kind], name))
    editing.run(options)


def _read_one(words: tuple[str, ...]) -> tuple[kinds.ObjectKind, str]:
    pairs = kinds.split(words) if words else []
    if len(pairs) != 1:
        raise click.UsageError("give the kind and the name of one object")
    if pairs[0][0] not in kinds.WITH_MANIFEST:
        raise click.UsageError(f"{pairs[0][0].name} have no manifests of their own")
    return pairs[0]


class _Over(Failure):
    """Editing has failed, and editing again would not help."""


class _Editing:
    """One object in an editor, until it is applied or given up."""

    def __init__(self, session: CommandSession, obj: PolicyObject) -> None:
        self._session = session
        self._obj = obj
        self._stated = self._text(session.store.objects)

    def run(self, options: Mapping[str, Any]) -> None:
        """Edit and apply; on errors, edit again. Raises Failure."""
        text, problems = self._stated, list[str]()
        while True:
            edited = self._ask(text, problems)
            if edited == text or not edited.strip():  # the user has quit without a change
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
            finish(self._session, committed, options)
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

    def _planner(self, text: str) -> Callable[[PolicySnapshot], Plan]:
        with plain_failures():
            found = documents(text.encode(), "")
        if len(found) != 1 or found[0].metadata.get("id") != self._obj.id:
            raise Failure("edit one document only, and keep its metadata.id")

        def decide(objects: PolicySnapshot) -> Plan:
            if self._text(objects) != self._stated:
                raise self._kept(text, "somebody else has changed the object meanwhile")
            return plan(objects, found)

        return decide

    def _text(self, objects: PolicySnapshot) -> str:
        """The stored manifest, with the id, so that the object can be renamed."""
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
        return _Over(*reasons, f"nothing was changed; the edited text is in {file.name}")
