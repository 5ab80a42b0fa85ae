"""`sgctl wait`: wait for the switches."""

from __future__ import annotations

import click

from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.options import timeout_option
from sgctl.cli.waiting import wait_for_everything


@click.command()
@timeout_option
@pass_session
def wait(session: CommandSession, timeout: float) -> None:
    """Wait until every connected switch has applied the policy as it is now.

    Covers everything that was applied, bound or declared before. Exit status 1 after the timeout, with the
    switches that are late or cannot connect; if no switch is connected; and within a second if a host has no
    controller at work.
    """
    wait_for_everything(session, timeout)
