"""Connection limits of conntrack zones, which Open vSwitch takes by its control socket only.

Source: ovs-vswitchd(8), `dpctl/ct-set-limits` and `dpctl/ct-del-limits`.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

LOG = logging.getLogger(__name__)

_UNIX = "unix:"
_COMMAND_SECONDS = 10


class ZoneLimits:
    """Keeps the limits of one Open vSwitch as wanted; `ovsdb` is the remote of its database.

    Its control socket is looked for beside a local database. Where that fails, limits are not enforced;
    `problems` says why, by datapath and zone, and so does the log.
    """

    def __init__(self, ovsdb: str) -> None:
        self._directory = Path(ovsdb.removeprefix(_UNIX)).parent if ovsdb.startswith(_UNIX) else None
        self._applied: dict[tuple[str, int], int] = {}
        self.problems: dict[tuple[str, int], str] = {}

    def forget(self) -> None:
        """Nothing is known of the switch any more, for example because it was started again."""
        self._applied.clear()

    def apply(self, wanted: Mapping[tuple[str, int], int]) -> None:
        """Make exactly these limits hold, by datapath (such as `netdev@ovs-netdev`) and zone."""
        for datapath, zone in self._applied.keys() - wanted.keys():
            self._call("dpctl/ct-del-limits", datapath, f"zone={zone}")
            del self._applied[datapath, zone]
            self.problems.pop((datapath, zone), None)
        for (datapath, zone), limit in wanted.items():
            if self._applied.get((datapath, zone)) != limit:
                problem = self._call("dpctl/ct-set-limits", datapath, f"zone={zone},limit={limit}")
                self._applied[datapath, zone] = limit
                self.problems.pop((datapath, zone), None)
                if problem:
                    self.problems[datapath, zone] = problem

    def _call(self, *command: str) -> str:
        """What went wrong; such a command is not tried again before something changes."""
        problem = self._run(command)
        if problem:
            LOG.warning("%s: %s", " ".join(command), problem)
        return problem

    def _run(self, command: Iterable[str]) -> str:
        try:
            target = ("--target", str(self._control_socket()))
            arguments: Iterable[str] = ("ovs-appctl", f"--timeout={_COMMAND_SECONDS}", *target, *command)
            done = subprocess.run(list(arguments), capture_output=True, text=True, check=False)
        except (OSError, ValueError) as error:
            return str(error)
        return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""

    def _control_socket(self) -> Path:
        """Raises OSError or ValueError when the switch cannot be found."""
        if self._directory is None:
            raise ValueError("connection limits need the control socket of an Open vSwitch on this machine")
        pid = int((self._directory / "ovs-vswitchd.pid").read_text(encoding="ascii"))
        return self._directory / f"ovs-vswitchd.{pid}.ctl"
