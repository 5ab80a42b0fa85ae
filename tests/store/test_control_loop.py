"""The control loop between real databases, step by step: which flows sessions get, and when they have all."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from flows.openflow.flow import Flow, FlowDiff, FlowKey
from flows.policy.objects import Change, Network, Port, Prefix
from lab import process
from lab.ovs import PrivateOvs
from sgctl.controller import loop
from sgctl.controller.connected import Expected, Report
from sgctl.controller.loop import ControlLoop
from sgctl.store import Store
from sgctl.store.server import PolicyServer
from sgctl.switch.listen_address import ListenAddress
from sgctl.switch.zone_limits import ZoneLimits
from sgctl.vswitch.local_switches import LocalSwitches

DPID = 1
PORTS = 40
BLUE = Network(str(uuid.uuid4()), "blue")


class Recorder:
    """Replaces a session; records the flows that an obedient switch would hold."""

    def __init__(self, _generation: int, expected: Expected, _report: Report) -> None:
        self.expected = expected
        self.table: dict[FlowKey, Flow] = {}
        self.parts = 0
        self.complete = True

    def begin(self, part: FlowDiff) -> None:
        self._take(part)
        self.parts += 1
        self.complete = False

    def submit(self, diff: FlowDiff | None, _generation: int) -> None:
        self._take(diff or FlowDiff([], []))
        self.complete = True

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _take(self, diff: FlowDiff) -> None:
        for flow in diff.removed:
            del self.table[flow.key]
        self.table.update({flow.key: flow for flow in diff.added})


class NoConnector:
    """Replaces direct connections; connects to no bridge."""

    address = ListenAddress("tcp", "127.0.0.1", 1)

    def reach(self, bridges: object, connected: object) -> None:
        """Do nothing: the bridges connect by themselves."""


class Alive:
    """A switch that answers at once."""

    silent = pending = False

    def ask(self) -> None:
        """Do nothing: the switch always answers."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class Clock:
    """Replaces `time`: runs what other threads do while the loop sleeps."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, _seconds: float) -> None:
        self.meanwhile()


class Bench:
    """A control loop, a store that writes the policy, and the recorder of the only switch."""

    def __init__(self, running: ControlLoop, author: Store) -> None:
        self.loop = running
        self.author = author
        opened: list[Recorder] = []

        def open_session(generation: int, expected: Expected, report: Report) -> Recorder:
            opened.append(Recorder(generation, expected, report))
            return opened[0]

        running.connect(DPID, open_session, lambda _: Alive())
        self.until(lambda: bool(opened))
        self.session = opened[0]
        self.session.table.update(self.session.expected())

    def until(self, condition: Callable[[], bool]) -> None:
        def step() -> bool:
            self.loop.step()
            return condition()

        process.wait_until(step, "the loop")


def ports() -> list[Change]:
    return [Change(None, port(number)) for number in range(1, PORTS + 1)]


def port(number: int) -> Port:
    address = Prefix.parse(f"10.0.0.{number}")
    mac = f"02:00:00:00:00:{number:02x}"
    return Port(str(uuid.uuid4()), f"w{number}", BLUE.id, mac, f"w{number}", (address,))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(loop, "time", made)
    return made


@pytest.fixture
def bench(dummy_ovs: PrivateOvs, tmp_path: Path) -> Iterator[Bench]:
    dummy_ovs.add_bridge("br0", f"other_config:datapath-id={DPID:016x}")
    for number in range(1, PORTS + 1):
        dummy_ovs.add_port("br0", f"w{number}", f"external_ids:iface-id=w{number}")
    dummy_ovs.vsctl("set-controller", "br0", "tcp:127.0.0.1:1")
    server = PolicyServer(tmp_path / "policy.db", tmp_path / "policy.sock")
    server.start()
    with (
        ExitStack() as at_the_end,
        closing(Store.connect(server.remote)) as store,
        closing(Store.connect(server.remote)) as author,
        closing(LocalSwitches.connect(dummy_ovs.remote)) as local,
    ):
        limits = ZoneLimits(dummy_ovs.remote)
        running = ControlLoop(store, local, limits, lambda: None, lambda: None, NoConnector())
        at_the_end.callback(server.stop)
        at_the_end.callback(running.close)
        yield Bench(running, author)


def test_a_large_change_is_submitted_in_parts(bench: Bench, clock: Clock) -> None:
    session = bench.session
    complete: list[bool] = []
    clock.meanwhile = lambda: complete.append(session.complete)
    bench.author.commit([Change(None, BLUE), *ports()])
    bench.until(lambda: session.parts > 0)
    assert session.parts > 1
    assert complete == [False] * session.parts
    assert session.complete
    assert session.table == session.expected()


def test_expected_flows_are_complete_in_the_middle_of_a_change(bench: Bench, clock: Clock) -> None:
    session = bench.session
    asked: list[dict[FlowKey, Flow]] = []
    clock.meanwhile = lambda: asked.append(dict(session.expected()))
    bench.author.commit([Change(None, BLUE), *ports()])
    bench.until(lambda: bool(asked))
    clock.meanwhile = lambda: None
    assert session.complete
    assert asked[0] == session.table == session.expected()
