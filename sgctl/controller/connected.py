"""The control loop's state of each connected switch, and the interfaces of what it uses."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Protocol

from flows.openflow.flow import Flow, FlowDiff, FlowKey
from sgctl.switch.listen_address import ListenAddress
from sgctl.vswitch.local_switches import Bridge


class SessionHandle(Protocol):
    """The part of a switch session that the control loop uses."""

    def begin(self, part: FlowDiff) -> None:
        """Submit the first part of a change; `submit` completes the change."""

    def submit(self, diff: FlowDiff | None, generation: int) -> None:
        """Request a change, or complete one."""

    def close(self) -> None:
        """End the session; the switch keeps its flows."""


class SwitchProbe(Protocol):
    """Whether a switch answers; see `sgctl.switch.echo_probe`."""

    @property
    def silent(self) -> bool:
        """Whether the switch hangs, according to the latest result."""

    @property
    def pending(self) -> bool:
        """Whether the switch has been asked and the result is not known yet."""

    def ask(self) -> None:
        """Start to check whether the switch answers."""

    def close(self) -> None:
        """Stop, because the connection has ended."""


class BridgeConnector(Protocol):
    """How bridges and this controller connect to each other."""

    @property
    def address(self) -> ListenAddress:
        """The address at which bridges reach this controller."""

    def reach(self, bridges: Iterable[Bridge], connected: Container[int]) -> None:
        """Connect to the bridges that are not in `connected` (datapath ids)."""


Expected = Callable[[], Mapping[FlowKey, Flow]]
Report = Callable[[int, str], None]
OpenSession = Callable[[int, Expected, Report], SessionHandle]
"""Opens the session of a connected switch, from generation, expected flows and report function."""


MakeProbe = Callable[[Callable[[bool], None]], SwitchProbe]
"""Creates the probe of a connected switch, which calls the argument with each result: whether it changed."""


class ConnectedSwitch:
    """A connected switch, with its session once that is open.

    `applied` is the confirmed generation, -1 for none; `error` is what the switch refused. `out_of_band` and
    `tuned` are the Controller rows for which those settings were written.
    """

    def __init__(self, dpid: int, open_session: OpenSession, probe: SwitchProbe) -> None:
        self.dpid = dpid
        self.open_session = open_session
        self.probe = probe
        self.session: SessionHandle | None = None
        self.applied = -1
        self.error = ""
        self.out_of_band: frozenset[str] | None = None
        self.tuned: frozenset[str] | None = None
        self.tracks_prefixes = False

    def stand_by(self) -> None:
        """Close the session and leave the switch as it is."""
        if self.session is not None:
            self.session.close()
        self.session = None
        self.applied, self.error = -1, ""
