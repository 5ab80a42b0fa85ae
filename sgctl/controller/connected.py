"""What the control loop knows of the switches that are connected, and of how they connect."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Protocol

from flows.flow import Flow, FlowDiff, FlowKey
from sgctl.store.local import Bridge
from sgctl.switch.listener import Listener


class SessionHandle(Protocol):
    """What the loop needs of a switch session."""

    def begin(self, part: FlowDiff) -> None:
        """The beginning of a change that `submit` completes."""

    def submit(self, diff: FlowDiff | None, generation: int) -> None:
        """Ask for a change."""

    def close(self) -> None:
        """Stop."""


class Pulse(Protocol):
    """Whether a switch answers; see `sgctl.switch.pulse`."""

    @property
    def silent(self) -> bool:
        """Whether the switch hangs, as far as is known."""

    @property
    def pending(self) -> bool:
        """Whether it has been asked and the result is not there yet."""

    def ask(self) -> None:
        """Begin to find out."""

    def close(self) -> None:
        """The connection has ended."""


class Lines(Protocol):
    """How bridges and this controller come together."""

    @property
    def listener(self) -> Listener:
        """Where bridges reach this controller."""

    def reach(self, bridges: Iterable[Bridge], connected: Container[int]) -> None:
        """Connect to those bridges that are not `connected`, by datapath id."""


Expected = Callable[[], Mapping[FlowKey, Flow]]
Report = Callable[[int, str], None]
OpenSession = Callable[[int, Expected, Report], SessionHandle]
"""Makes the session of a connected switch: from a generation, what is expected, whom to tell."""


TakePulse = Callable[[Callable[[bool], None]], Pulse]
"""Makes the pulse of a connected switch, which calls what is given with each result: whether it is news."""


class Connection:
    """A switch that is connected: how to open its session, and the session once it is open."""

    def __init__(self, dpid: int, open_session: OpenSession, pulse: Pulse) -> None:
        self.dpid = dpid
        self.open_session = open_session
        self.pulse = pulse
        self.session: SessionHandle | None = None
        self.applied = -1
        self.error = ""
        self.out_of_band: frozenset[str] | None = None
        self.tuned: frozenset[str] | None = None
        self.tracks_prefixes = False

    def stand_by(self) -> None:
        """Leave the switch alone."""
        if self.session is not None:
            self.session.close()
        self.session = None
        self.applied, self.error = -1, ""
