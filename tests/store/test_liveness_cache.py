"""Which controllers respond: asked at most once a second, and clients do not wait twice for a silent one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sgctl.rest.liveness import FRESH_SECONDS, HostLiveness
from sgctl.store import Store, SwitchStatus
from sgctl.store.server import PolicyServer
from tests.store.waiting import changes_until

Connect = Callable[[], Store]
HOST = "host1"
SWITCH = SwitchStatus(HOST, "br0", "0" * 16, connected=True)


class Clock:
    """A clock that stands still until a test advances it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def controller(connect: Connect) -> Store:
    """The store of a controller that hangs: it has reported and holds its lock, but no longer answers."""
    controller = connect()
    controller.compete(HOST)
    changes_until(controller, lambda: controller.has_lock)
    controller.report([SWITCH], [])
    return controller


@pytest.fixture
def reader(connect: Connect, controller: Store) -> Store:
    reader = connect()
    assert reader.wait_until(lambda: bool(reader.switches), 10)
    return reader


def outcome(liveness: HostLiveness, reader: Store) -> frozenset[str]:
    """The answer for a client that waits for it."""
    promise = liveness.ask()
    while not promise.done():
        liveness.step(reader)
        reader.wait_until(promise.done, 0.05)
    return promise.result()


def finish(liveness: HostLiveness, reader: Store) -> None:
    while liveness.is_wanted:
        liveness.step(reader)
        reader.wait_until(lambda: False, 0.05)


def asked(reader: Store) -> int:
    reader.wait_until(lambda: False, 0.05)
    return reader.asked


def test_a_silent_controller_is_waited_for_only_once(reader: Store, controller: Store) -> None:
    clock = Clock()
    liveness = HostLiveness(clock)
    assert liveness.known() is None
    assert outcome(liveness, reader) == {HOST}
    assert liveness.known() == frozenset({HOST})
    clock.now += FRESH_SECONDS
    assert liveness.known() is None
    promise = liveness.ask()
    liveness.step(reader)
    assert promise.result(0) == {HOST}, "the result is cached"
    assert liveness.is_wanted, "an answer would still be accepted"
    controller.run()
    controller.answer(HOST, asked(reader))
    assert reader.wait_until(lambda: reader.switches[SWITCH.key].answered > 0, 10)
    finish(liveness, reader)
    assert liveness.known() == frozenset()


def test_concurrent_checks_are_combined(reader: Store, controller: Store) -> None:
    liveness = HostLiveness(Clock())
    promises = [liveness.ask() for _ in range(100)]
    liveness.step(reader)
    controller.wait_until(lambda: controller.asked == 1, 10)
    controller.answer(HOST, 1)
    finish(liveness, reader)
    assert all(promise.result(0) == frozenset() for promise in promises)
    assert asked(reader) == 1


def test_without_a_database_no_controller_counts_as_working(reader: Store, server: PolicyServer) -> None:
    server.stop()
    assert reader.wait_until(lambda: not reader.connected, 10)
    liveness = HostLiveness(Clock())
    promise = liveness.ask()
    liveness.step(reader)
    assert promise.result(0) == {HOST}
