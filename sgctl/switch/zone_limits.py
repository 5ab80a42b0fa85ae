"""Connection limits of conntrack zones, which Open vSwitch takes by its control socket only.

Source: ovs-vswitchd(8), `dpctl/ct-set-limits` and `dpctl/ct-del-limits`.
"""

from __future__ import annotations

import logging
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

LOG = logging.getLogger(__name__)

Zone = tuple[str, int]
"""A datapath, such as `netdev@ovs-netdev`, and a conntrack zone."""
KERNEL_SIZE = Path("/proc/sys/net/netfilter/nf_conntrack_max")
LEAST_SHARE = 16
"""No network gets less than this part of the tracker, however many there are."""

_UNIX = "unix:"
_COMMAND_SECONDS = 10
_AT_ONCE = 500


def share(size: int, networks: int) -> int:
    """The connections that each of several networks may have in a tracker of this size.

    One part for each, and one that nobody can take: up to 15 networks together cannot fill it. With more of
    them the parts are a 16th all the same, since a busy network needs room.
    """
    return size // min(networks + 1, LEAST_SHARE)


class ZoneLimits:
    """Keeps the limits of one Open vSwitch as wanted; `ovsdb` is the remote of its database.

    A zone without a limit of its own gets `connections`, 0 for no limit; None stands for a share of the
    tracker (`share`). Its control socket is looked for beside a local database. Where that fails, limits are
    not enforced; `problems` says why, by datapath and zone, where somebody has asked for a limit. So does the
    log.
    """

    def __init__(self, ovsdb: str, connections: int | None = None) -> None:
        self._directory = Path(ovsdb.removeprefix(_UNIX)).parent if ovsdb.startswith(_UNIX) else None
        self._connections = connections
        self._applied: dict[Zone, int] = {}
        self._sizes: dict[str, int] = {}
        self.problems: dict[Zone, str] = {}

    def forget(self) -> None:
        """Nothing is known of the switch any more, for example because it was started again."""
        self._applied.clear()
        self._sizes.clear()

    def apply(self, asked: Mapping[Zone, int | None]) -> None:
        """Make exactly these limits hold, by datapath (such as `netdev@ovs-netdev`) and zone."""
        wanted = self._wanted(asked)
        gone = self._applied.keys() - wanted.keys()
        for datapath, numbers in _by_datapath(gone):
            self._call("dpctl/ct-del-limits", datapath, f"zone={','.join(map(str, numbers))}")
        for zone in gone:
            del self._applied[zone]
            self.problems.pop(zone, None)
        changed = {zone: limit for zone, limit in wanted.items() if self._applied.get(zone) != limit}
        for datapath, numbers in _by_datapath(changed):
            limits = [f"zone={number},limit={changed[datapath, number]}" for number in numbers]
            problem = self._call("dpctl/ct-set-limits", datapath, *limits)
            self._note_problem(problem, ((datapath, number) for number in numbers), asked)
        self._applied.update(changed)

    def _note_problem(self, problem: str, zones: Iterable[Zone], asked: Mapping[Zone, int | None]) -> None:
        for zone in zones:
            self.problems.pop(zone, None)
            if problem and asked[zone] is not None:
                self.problems[zone] = problem

    def _wanted(self, asked: Mapping[Zone, int | None]) -> dict[Zone, int]:
        networks = Counter(datapath for datapath, _ in asked)
        found = {zone: limit for zone, limit in asked.items() if limit is not None}
        for zone in asked.keys() - found.keys():
            if limit := self._default(zone[0], networks[zone[0]]):
                found[zone] = limit
        return found

    def _default(self, datapath: str, networks: int) -> int:
        """The limit of a zone that has none of its own; 0 for no limit."""
        if self._connections is not None:
            return self._connections
        if networks < 2:  # there is nobody else
            return 0
        if datapath not in self._sizes:
            self._sizes[datapath] = self._tracker_size(datapath)
        return share(self._sizes[datapath], networks)

    def _tracker_size(self, datapath: str) -> int:
        """How many connections the tracker of a datapath holds; 0 when nobody says."""
        try:
            if datapath.startswith("system@"):
                return int(KERNEL_SIZE.read_text(encoding="ascii"))
            return int(self._ask("dpctl/ct-get-maxconns", datapath))
        except (OSError, ValueError) as error:
            LOG.warning("connections of %s are shared out to nobody: %s", datapath, error)
            return 0

    def _call(self, *command: str) -> str:
        """What went wrong; such a command is not tried again before something changes."""
        try:
            self._ask(*command)
        except (OSError, ValueError) as error:
            LOG.warning("%s: %s", " ".join(command), error)
            return str(error)
        return ""

    def _ask(self, *command: str) -> str:
        """What Open vSwitch answers. Raises OSError or ValueError when it cannot be reached or refuses."""
        target = ("--target", str(self._control_socket()))
        arguments = ("ovs-appctl", f"--timeout={_COMMAND_SECONDS}", *target, *command)
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr.strip() or f"exit code {done.returncode}")
        return done.stdout

    def _control_socket(self) -> Path:
        """Raises OSError or ValueError when the switch cannot be found."""
        if self._directory is None:
            raise ValueError("connection limits need the control socket of an Open vSwitch on this machine")
        pid = int((self._directory / "ovs-vswitchd.pid").read_text(encoding="ascii"))
        return self._directory / f"ovs-vswitchd.{pid}.ctl"


def _by_datapath(zones: Iterable[Zone]) -> Iterator[tuple[str, list[int]]]:
    """As many as fit one command."""
    ordered = sorted(zones)
    for datapath, group in groupby(ordered, key=lambda zone: zone[0]):
        numbers = [number for _, number in group]
        for start in range(0, len(numbers), _AT_ONCE):
            yield datapath, numbers[start : start + _AT_ONCE]
