"""The main thread of Open vSwitch, which speaks OpenFlow; a large change keeps it busy for seconds."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_UNIX = "unix:"
_RUNNING = "R"
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12
"""Places among the fields of proc_pid_stat(5) that follow the name."""


class Look(NamedTuple):
    """The thread at one moment: whether it runs or waits for a processor, and how long it ever ran."""

    runs: bool
    ticks: int

    def worked_since(self, before: Look) -> bool:
        """Whether the thread has done anything since, or would if it had a processor."""
        return self.runs or self.ticks != before.ticks


class MainThread:
    """The main thread of ovs-vswitchd; `ovsdb` is the remote of its database, on this machine."""

    def __init__(self, ovsdb: str) -> None:
        self._directory = Path(ovsdb.removeprefix(_UNIX)).parent if ovsdb.startswith(_UNIX) else None

    def look(self) -> Look | None:
        """What it does now; None when nothing of it can be seen."""
        if self._directory is None:
            return None
        try:
            pid = int((self._directory / "ovs-vswitchd.pid").read_text(encoding="ascii"))
            # The threads of a process are numbered, the main one as the process is.
            stat = Path(f"/proc/{pid}/task/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return None
        fields = stat.rpartition(")")[2].split()
        return Look(fields[_STATE] == _RUNNING, int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]))
