"""A hanging switch is distinguished from a busy one, and is not reported too early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.process import wait_until
from sgctl.controller.liveness_answer import LivenessAnswer
from sgctl.switch import echo_probe
from sgctl.switch.echo_probe import EchoProbe
from sgctl.switch.main_thread import MainThread, ThreadSample

IDLE = ThreadSample(runs=False, ticks=7)


class Thread(MainThread):
    """Returns the given samples in order, and then the last one again."""

    def __init__(self, *samples: ThreadSample | None) -> None:
        super().__init__("")
        self._samples = list(samples)

    def sample(self) -> ThreadSample | None:
        return self._samples.pop(0) if len(self._samples) > 1 else self._samples[0]


def at_once(work: Callable[[], None]) -> None:
    """A green thread that runs when it is made."""
    work()


def results(thread: Thread, answers: Sequence[bool]) -> list[bool]:
    """Whether the switch counted as silent, after each probe, answered or not."""
    told: list[bool] = []
    coming: Iterator[bool] = iter(answers)
    taken = EchoProbe(lambda _: next(coming), thread, at_once, lambda _: told.append(taken.silent))
    taken.ask()
    assert not taken.pending
    return told


@pytest.mark.parametrize(
    ("samples", "silent"),
    [
        ((IDLE, IDLE), True),
        ((IDLE, IDLE._replace(ticks=8)), False),
        ((IDLE, IDLE._replace(runs=True)), False),
        ((None,), False),  # it may be busy, for all that can be seen
    ],
    ids=["hangs", "has worked", "wants a processor", "cannot be seen"],
)
def test_an_idle_switch_that_does_not_answer_hangs(
    samples: tuple[ThreadSample | None, ...], silent: bool
) -> None:
    assert results(Thread(*samples), [False, True]) == [silent, False]


def test_an_unobservable_switch_may_be_busy_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo_probe, "UNSEEN_SECONDS", 0.0)
    assert results(Thread(None), [False, True]) == [True, False]


def test_a_busy_switch_that_is_stopped_then_hangs() -> None:
    works = [IDLE._replace(ticks=ticks) for ticks in (1, 2, 3)]
    assert results(Thread(*works), [False, False, False, True]) == [False, False, True, False]


class Slow:
    """A switch whose answer takes a while."""

    silent = pending = False

    def ask(self) -> None:
        self.pending = True

    def close(self) -> None:
        """There is nothing to close."""


def test_a_liveness_question_is_answered_after_the_switches_answered() -> None:
    inquiry, switch = LivenessAnswer(), Slow()
    assert inquiry.settled(4, 4, [switch]) is None
    assert not switch.pending, "there was no question"
    assert inquiry.settled(5, 4, [switch]) is None
    assert inquiry.settled(6, 4, [switch]) is None
    switch.pending = False
    assert inquiry.settled(6, 4, [switch]) == 5, "the switch was asked before the sixth question came"
    assert inquiry.settled(6, 5, [switch]) is None
    assert switch.pending
    assert inquiry.settled(6, 5, []) == 6, "a disconnected switch is not waited for"


def test_the_work_of_a_main_thread_is_observed(tmp_path: Path) -> None:
    remote = f"unix:{tmp_path}/db.sock"
    assert MainThread(remote).sample() is None
    assert MainThread("tcp:127.0.0.1:6640").sample() is None
    with busy_process() as pid:
        (tmp_path / "ovs-vswitchd.pid").write_text(f"{pid}\n")
        thread = MainThread(remote)
        before = seen(thread)
        wait_until(lambda: seen(thread).ticks > before.ticks, "observed work")
        assert seen(thread).worked_since(before)
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: not seen(thread).runs, "the process has stopped")
        assert not seen(thread).worked_since(seen(thread))


@contextmanager
def busy_process() -> Iterator[int]:
    """The process id of a process that never pauses."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            yield busy.pid
        finally:
            busy.kill()


def seen(thread: MainThread) -> ThreadSample:
    """The current sample of the thread."""
    sample = thread.sample()
    assert sample is not None
    return sample
