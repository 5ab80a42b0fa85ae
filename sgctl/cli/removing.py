"""Deleting objects, for all commands that do."""

from __future__ import annotations

from collections.abc import Mapping

from sgctl.cli.command_session import CommandSession
from sgctl.cli.output.render import print_outcomes
from sgctl.cli.waiting import finish
from sgctl.service.delete import Target, plan_removal


def remove(
    session: CommandSession, targets: list[Target], output: str, options: Mapping[str, object]
) -> None:
    """Delete objects, with the options `--ignore-missing`, `--wait` and `--timeout`. Raises Failure."""
    missing = bool(options["ignore_missing"])
    committed = session.transact(lambda objects: plan_removal(objects, targets, missing))
    print_outcomes(committed.plan.outcomes, output)
    finish(session, committed, options)
