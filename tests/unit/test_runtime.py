"""The controller's interface to green threads."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sgctl import runtime
from sgctl.runtime import Event


def test_an_event_wakes_everybody_who_waits_and_can_be_used_again() -> None:
    event, woken = Event(), []
    for name in "ab":
        runtime.spawn(lambda name=name: woken.append((name, event.wait(5))))
    runtime.sleep(0)
    assert not woken
    event.set()
    event.set()  # is no error
    event.clear()
    runtime.sleep(0)
    assert sorted(woken) == [("a", True), ("b", True)]
    assert not event.is_set()
    assert not event.wait(0.01)


def test_an_error_in_a_thread_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("wrong")

    with caplog.at_level(logging.ERROR):
        runtime.spawn(fail)
        runtime.spawn_after(0.0, fail)
        runtime.sleep(0.05)
    assert caplog.text.count("ValueError: wrong") == 2


def test_a_killed_thread_stops() -> None:
    done: list[bool] = []
    thread = runtime.spawn(lambda: done.append(Event().wait(5)))
    runtime.sleep(0)
    thread.kill()
    runtime.sleep(0.01)
    assert not done


def test_a_timeout_raises_where_the_block_waits() -> None:
    with pytest.raises(OSError, match="late"), runtime.timeout(0.01, OSError("late")):
        Event().wait(5)
    with runtime.timeout(0.01, OSError("late")):
        pass
    runtime.sleep(0.02)  # nothing comes afterwards


def test_a_queue_waits_for_room() -> None:
    queue = runtime.queue(1)
    queue.put(b"first")
    assert queue.full()
    runtime.spawn(queue.put, b"second")
    runtime.sleep(0)
    assert (queue.get(), queue.get()) == (b"first", b"second")


def test_a_socket_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        runtime.connect_unix(tmp_path / "nobody")
