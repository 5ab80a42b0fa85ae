"""A Ryu application that uses sgctl's OpenFlow channel, causes many faults and records the outcomes.

`ryu-manager` runs it. SWITCH_PID is the process id of ovs-vswitchd, OUTCOMES the file to write at the end.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ryu.base.app_manager import RyuApp
from ryu.lib import hub

from flows.openflow import actions as a
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow import wire
from flows.openflow.flow import Flow, FlowDiff, FlowError, FlowKey
from sgctl.switch import exchange
from sgctl.switch.admission import Admission
from sgctl.switch.channel import Channel
from sgctl.switch.connections import SwitchConnections
from sgctl.switch.exchange import SwitchRefused
from sgctl.switch.listen_address import ListenAddress
from sgctl.switch.openflow_listener import OpenFlowListener
from sgctl.switch.session import SwitchSession

Outcome = dict[str, Any]

UNREADABLE = Flow(p.FORWARD, 100, (r.ZONE(2),), (a.Output(0xFFFFFFF0),))
MIXED = Flow(p.EGRESS_RULES, 100, (r.LOCAL(2),), (a.Conjunction(16, 1, 2), a.Output(1)))
TOO_LARGE_A_NUMBER = Flow(p.FORWARD, 100, (r.ZONE(4),), (a.SetField(r.OUT, 1 << 32),))
TOO_LONG = Flow(p.FORWARD, 100, (r.ZONE(3),), tuple(a.Output(port) for port in range(1, 5000)))


def good(count: int, first: int = 100) -> list[Flow]:
    """Flows that every switch accepts."""
    return [Flow(p.FORWARD, 100, (r.ZONE(zone),), ()) for zone in range(first, first + count)]


MANY = good(2000)
"""More than is sent at once."""
SENDING_SECONDS = 0.2


def error_of(push: Callable[[], None]) -> str:
    """The error of a failed change; empty if it succeeds."""
    try:
        push()
    except (SwitchRefused, FlowError) as error:
        return str(error)
    return ""


def attempt(channel: Channel, edits: Sequence[wire.Edit]) -> Outcome:
    """Push a change, read the switch's flows, and delete them."""
    error = error_of(lambda: channel.push(edits))
    held = channel.installed()
    channel.push([entry.cookie for entry in held])
    return {"error": error, "held": len(held)}


def same_bundle_again(channel: Channel) -> Outcome:
    """A bundle with the id of the one before: refused if that is still open."""
    channel._bundle -= 1
    return attempt(channel, good(1))


@contextmanager
def switch_stands_still() -> Iterator[None]:
    """The switch is stopped meanwhile."""
    pid = int(os.environ["SWITCH_PID"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def fails_in_the_middle(channel: Channel) -> Outcome:
    outcome = attempt(channel, [*MANY, TOO_LONG, *MANY])
    channel._bundle -= 1  # of `attempt`, which cleans up
    return {**outcome, "again": same_bundle_again(channel)}


def thread_ends_in_the_middle(channel: Channel) -> Outcome:
    with switch_stands_still():
        thread = hub.spawn(channel.push, MANY)
        hub.sleep(0.2)
        hub.kill(thread)
    return {"held": len(channel.installed()), "again": same_bundle_again(channel)}


def answers_late(channel: Channel) -> Outcome:
    """The error arrives while the next change is sent."""
    patience, exchange.REPLY_SECONDS = exchange.REPLY_SECONDS, 0.2
    with switch_stands_still():
        error = error_of(lambda: channel.push([UNREADABLE, *good(1)]))
        exchange.REPLY_SECONDS = patience
        waiting = hub.spawn(attempt, channel, good(2))
        hub.sleep(0.1)
    return {"error": error, "then": waiting.wait()}


def unreadable_but_its_like(channel: Channel) -> Outcome:
    channel.push([Flow(p.FORWARD, 100, (r.ZONE(1),), (a.Output(1),))])
    channel.push([entry.cookie for entry in channel.installed()])
    return attempt(channel, [*good(2), UNREADABLE])


def full_but_its_like(channel: Channel) -> Outcome:
    channel.push([Flow(p.FDB, 1, (), ())])
    channel.push([entry.cookie for entry in channel.installed()])
    return attempt(channel, [Flow(p.FDB, n, (), ()) for n in (1, 2)])


def answers_waited_for(channel: Channel) -> Outcome:
    """How often a change waits for the switch."""
    channel._readable = set()
    changes = {"first": good(2), "the like": good(2, 500), "another": [Flow(p.NEIGHBOUR, 1, (), ())]}
    counts: dict[str, int] = {}
    for name, edits in changes.items():
        channel.push(edits)
        counts[name] = len(channel._exchange._answers)
    channel.push([entry.cookie for entry in channel.installed()])
    return counts


def session(channel: Channel, bad: Flow) -> Outcome:
    """Expected flows with an invalid one, and then only the others."""
    reports: list[tuple[int, str]] = []
    expected = [*good(3), bad]

    def flows() -> Mapping[FlowKey, Flow]:
        return {flow.key: flow for flow in expected}

    running = SwitchSession(channel, 7, flows, lambda generation, error: reports.append((generation, error)))
    while not reports:
        hub.sleep(0.01)
    before = len(channel.installed())
    del expected[-1]
    while reports[-1][1]:
        hub.sleep(0.01)
    running.close()
    after = attempt(channel, [])
    return {"reports": [reports[0], reports[-1]], "before": before, "after": after["held"]}


class InParts:
    """A session that is given its changes in parts."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.reports: list[tuple[int, str]] = []
        self.flows: dict[FlowKey, Flow] = {}
        self.running = SwitchSession(channel, 1, self.expected, lambda *report: self.reports.append(report))
        self.wait(1)

    def expected(self) -> Mapping[FlowKey, Flow]:
        """As in the controller: an unfinished change is completed first."""
        if self.flows:
            self.running.submit(FlowDiff([], []), 2)
        return self.flows

    def wait(self, reports: int) -> None:
        while len(self.reports) < reports:
            hub.sleep(0.01)

    def end(self) -> Outcome:
        """The reports and the switch's flows, which are deleted."""
        self.running.close()
        hub.sleep(SENDING_SECONDS)
        return {"reports": self.reports, "held": attempt(self.channel, [])["held"]}


def completed_later(channel: Channel) -> Outcome:
    """The second part deletes some flows of the first, and replaces some."""
    session = InParts(channel)
    session.running.begin(FlowDiff(MANY, []))
    hub.sleep(SENDING_SECONDS)
    early = len(session.reports)
    session.running.begin(FlowDiff([], MANY[:500]))
    session.running.submit(FlowDiff([*good(10, 50000), *MANY[1000:1100]], []), 2)
    session.wait(2)
    return {"early": early, **session.end()}


def ends_unfinished(channel: Channel) -> Outcome:
    """The session is closed after the first part of a change."""
    session = InParts(channel)
    session.running.begin(FlowDiff(MANY, []))
    hub.sleep(SENDING_SECONDS)
    return session.end()


def starts_over_unfinished(channel: Channel) -> Outcome:
    """The first part is refused. Then all flows are expected, and the switch gets them."""
    session = InParts(channel)
    session.running.begin(FlowDiff([UNREADABLE], []))
    session.running.begin(FlowDiff(MANY, []))
    hub.sleep(SENDING_SECONDS)
    session.running.begin(FlowDiff(MANY, []))
    session.wait(2)
    session.flows = {flow.key: flow for flow in MANY}
    session.wait(3)
    return session.end()


SCENARIOS: dict[str, Callable[[Channel], Outcome]] = {
    "good": lambda channel: attempt(channel, MANY),
    "unreadable": lambda channel: attempt(channel, [*good(2), UNREADABLE, *good(2, 200)]),
    "unreadable, its like not": unreadable_but_its_like,
    "unreadable among many": lambda channel: attempt(channel, [*MANY, UNREADABLE, *MANY]),
    "experimenter's error": lambda channel: attempt(channel, [*good(2), MIXED]),
    "full table": lambda channel: attempt(channel, [Flow(p.FDB, n, (), ()) for n in (1, 2)]),
    "full table, the like of it known": full_but_its_like,
    "answers waited for": answers_waited_for,
    "fails in the middle": fails_in_the_middle,
    "thread ends in the middle": thread_ends_in_the_middle,
    "answers late": answers_late,
    "session, unreadable flow": lambda channel: session(channel, UNREADABLE),
    "in parts, completed later": completed_later,
    "in parts, ends unfinished": ends_unfinished,
    "in parts, starts over": starts_over_unfinished,
    "session, flow that cannot be encoded": lambda channel: session(channel, TOO_LARGE_A_NUMBER),
}


class Trial(RyuApp):  # type: ignore[misc]  # Ryu has no types
    """Runs the scenarios with the first switch that connects."""

    def start(self) -> Any:
        """Ryu's hook."""
        super().start()
        connections = SwitchConnections(self._connected, lambda _: None)
        address = ListenAddress("tcp", "127.0.0.1", self.CONF.ofp_tcp_listen_port)
        return hub.spawn(
            OpenFlowListener(address, Admission("", "", lambda: ()), None, connections.attend).run
        )

    def _connected(self, channel: Channel) -> None:
        hub.spawn(self._run, channel)

    def _run(self, channel: Channel) -> None:
        outcomes = {name: scenario(channel) for name, scenario in SCENARIOS.items()}
        file = Path(os.environ["OUTCOMES"])
        file.with_suffix(".new").write_text(json.dumps(outcomes), encoding="utf-8")
        file.with_suffix(".new").rename(file)
