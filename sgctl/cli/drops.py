"""Drop counters of this machine's switches."""

from __future__ import annotations

from sgctl.cli.command_session import CommandSession
from sgctl.cli.explaining import expected_state, explained, switch_tools
from sgctl.cli.output.records import Record
from sgctl.explain.drops import drop_records


def read_drops(session: CommandSession) -> list[Record]:
    """A record for each port, direction and reason. Raises Failure."""
    with explained():
        return list(drop_records(expected_state(session), switch_tools(session)))
