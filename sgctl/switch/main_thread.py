"""Observes ovs-vswitchd's main thread, which handles OpenFlow; a large change keeps it busy for seconds."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sgctl.vswitch.remote import run_directory

_RUNNING = "R"
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12
"""Positions in the fields of proc_pid_stat(5) that follow the name."""


class ThreadSample(NamedTuple):
    """The state of the thread: whether it is running or runnable, and its total CPU time in clock ticks."""

    runs: bool
    ticks: int

    def worked_since(self, before: ThreadSample) -> bool:
        """Whether the thread has used the CPU since `before`, or is waiting for a CPU."""
        return self.runs or self.ticks != before.ticks


class MainThread:
    """The main thread of ovs-vswitchd on this machine; `ovsdb` is the remote of its database."""

    def __init__(self, ovsdb: str) -> None:
        self._directory = run_directory(ovsdb)

    def sample(self) -> ThreadSample | None:
        """The thread's current state; None if it cannot be read."""
        if self._directory is None:
            return None
        try:
            pid = int((self._directory / "ovs-vswitchd.pid").read_text(encoding="ascii"))
            # The id of the main thread is the process id.
            stat = Path(f"/proc/{pid}/task/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return None
        fields = stat.rpartition(")")[2].split()
        return ThreadSample(fields[_STATE] == _RUNNING, int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]))
