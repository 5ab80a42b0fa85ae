"""`delete` of every noun."""

from __future__ import annotations

from typing import Any

import click

from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.lookup import NAMED
from sgctl.cli.nouns.noun import Noun, make_command, reference_argument
from sgctl.cli.options import ignore_missing_option, output_option, wait_options
from sgctl.cli.removing import remove
from sgctl.service.delete import Target


def delete_command(noun: Noun) -> click.Command:
    """`NOUN delete`."""
    kind = noun.kind

    @ignore_missing_option
    @wait_options
    @output_option("table", "json", "yaml", "name")
    @pass_session
    def delete(session: CommandSession, /, references: tuple[str, ...], output: str, **options: Any) -> None:
        targets = [Target(NAMED[kind], reference, project=session.project) for reference in references]
        remove(session, targets, output, options)

    text = f"Delete {kind.many} in one transaction."
    return make_command("delete", delete, text, [reference_argument(kind, many=True)])
