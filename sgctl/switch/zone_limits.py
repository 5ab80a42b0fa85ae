"""Limits of the connection tracker, which Open vSwitch accepts only through its control socket.

Source: ovs-vswitchd(8), `dpctl/ct-set-limits`, `dpctl/ct-del-limits` and `dpctl/ipf-set-max-nfrags`.
"""

from __future__ import annotations

import logging
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from sgctl.vswitch.remote import run_directory

LOG = logging.getLogger(__name__)

Zone = tuple[str, int]
"""A datapath, such as `netdev@ovs-netdev`, and a conntrack zone number."""
KERNEL_SIZE = Path("/proc/sys/net/netfilter/nf_conntrack_max")
LEAST_SHARE = 16
"""Every network gets at least a 16th of the connection tracker, however many networks there are."""

MOST_FRAGMENTS = 5000
"""The highest limit of waiting fragments that the userspace datapath accepts. Its default is 1,000."""

_USERSPACE = "netdev@"
_COMMAND_SECONDS = 10
_AT_ONCE = 500


def share(size: int, networks: int) -> int:
    """The connections that each of several networks may have in a connection tracker of this size.

    Each network gets an equal part, and one part stays free: up to 15 networks together cannot fill the
    tracker. With more networks each still gets a 16th, because a busy network needs room.
    """
    return size // min(networks + 1, LEAST_SHARE)


class ZoneLimits:
    """Sets the connection limits of one Open vSwitch; `ovsdb` is the remote of its database.

    A zone without its own limit gets `connections`: 0 is no limit, None a share of the tracker (`share`). The
    control socket of Open vSwitch is in the folder of the local database's socket. If setting a limit fails,
    the limit is not enforced, and the log says why. `problems` holds the reason for zones with their own
    limit, by datapath and zone.
    """

    def __init__(self, ovsdb: str, connections: int | None = None) -> None:
        self._directory = run_directory(ovsdb)
        self._connections = connections
        self._applied: dict[Zone, int] = {}
        self._sizes: dict[str, int] = {}
        self._raised: set[str] = set()
        self.problems: dict[Zone, str] = {}

    def forget(self) -> None:
        """Forget all applied limits, because the switch may have been restarted."""
        self._applied.clear()
        self._sizes.clear()
        self._raised.clear()

    def apply(self, asked: Mapping[Zone, int | None]) -> None:
        """Set exactly these limits, by datapath (such as `netdev@ovs-netdev`) and zone."""
        self._make_room({datapath for datapath, _ in asked})
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

    def _make_room(self, datapaths: set[str]) -> None:
        """Raise the limit of waiting fragments, once for each datapath."""
        for datapath in datapaths - self._raised:
            if datapath.startswith(_USERSPACE):
                self._call("dpctl/ipf-set-max-nfrags", datapath, str(MOST_FRAGMENTS))
        self._raised |= datapaths

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
        """The limit of a zone without its own limit; 0 for no limit."""
        if self._connections is not None:
            return self._connections
        if networks < 2:  # there is no other network to share with
            return 0
        if datapath not in self._sizes:
            self._sizes[datapath] = self._tracker_size(datapath)
        return share(self._sizes[datapath], networks)

    def _tracker_size(self, datapath: str) -> int:
        """How many connections the tracker of a datapath can hold; 0 if that is unknown."""
        try:
            if datapath.startswith("system@"):
                return int(KERNEL_SIZE.read_text(encoding="ascii"))
            return int(self._ask("dpctl/ct-get-maxconns", datapath))
        except (OSError, ValueError) as error:
            LOG.warning("connections of %s are not limited: %s", datapath, error)
            return 0

    def _call(self, *command: str) -> str:
        """Run a command; returns the error, which is also logged, or "". `apply` does not retry it."""
        try:
            self._ask(*command)
        except (OSError, ValueError) as error:
            LOG.warning("%s: %s", " ".join(command), error)
            return str(error)
        return ""

    def _ask(self, *command: str) -> str:
        """Run a command; returns Open vSwitch's answer. Raises OSError or ValueError if that fails."""
        target = ("--target", str(self._control_socket()))
        arguments = ("ovs-appctl", f"--timeout={_COMMAND_SECONDS}", *target, *command)
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr.strip() or f"exit code {done.returncode}")
        return done.stdout

    def _control_socket(self) -> Path:
        """The path of the control socket. Raises OSError or ValueError if it cannot be found."""
        if self._directory is None:
            raise ValueError("limits of the connection tracker need an Open vSwitch on this machine")
        pid = int((self._directory / "ovs-vswitchd.pid").read_text(encoding="ascii"))
        return self._directory / f"ovs-vswitchd.{pid}.ctl"


def _by_datapath(zones: Iterable[Zone]) -> Iterator[tuple[str, list[int]]]:
    """The zone numbers by datapath, at most _AT_ONCE at a time for one command."""
    ordered = sorted(zones)
    for datapath, group in groupby(ordered, key=lambda zone: zone[0]):
        numbers = [number for _, number in group]
        for start in range(0, len(numbers), _AT_ONCE):
            yield datapath, numbers[start : start + _AT_ONCE]
