"""Checks whether a switch answers, each time a client asks whether the controllers work (`Store.ask`)."""

from __future__ import annotations

import time
from collections.abc import Callable

from sgctl.switch.main_thread import MainThread

ANSWER_SECONDS = 0.4
"""A switch that neither answers nor works for this long hangs. The client that asks waits 0.7 s."""
UNSEEN_SECONDS = 5.0
"""The same for a switch whose main thread cannot be observed, because it may be busy."""


class EchoProbe:
    """Checks whether one switch answers.

    A switch that processes a large change does not answer for seconds, but its main thread runs; the thread
    of a switch that hangs does not run.
    """

    def __init__(
        self,
        answers: Callable[[float], bool],
        thread: MainThread,
        spawn: Callable[[Callable[[], None]], object],
        heard: Callable[[bool], None],
    ) -> None:
        """`answers` tells whether the switch sends anything within some seconds.

        `spawn` runs a function in its own green thread, which ends when the switch answers. `heard` is called
        with each result: whether `silent` has changed.
        """
        self.silent = False
        """Whether the switch hangs, according to the latest result."""
        self.pending = False
        """Whether the switch has been asked and the result is not known yet."""
        self._answers = answers
        self._thread = thread
        self._heard = heard
        self._spawn = spawn
        self._is_asking = False
        self._ended = False

    def ask(self) -> None:
        """Start to check. For a switch that is already silent nothing is pending until it answers."""
        self.pending = not self.silent
        if not self._is_asking:
            self._is_asking = True
            self._spawn(self._ask)

    def close(self) -> None:
        """Stop, because the connection has ended."""
        self._ended = True

    def _ask(self) -> None:
        """Check again and again until the switch answers or the connection ends."""
        before, begin = self._thread.sample(), time.monotonic()
        while not self._answers(ANSWER_SECONDS):
            if self._ended:
                return
            now = self._thread.sample()
            if now is None or before is None:
                hangs = time.monotonic() - begin >= UNSEEN_SECONDS
            else:
                hangs = not now.worked_since(before)
            before = now
            self._conclude(hangs)
        self._is_asking = False
        self._conclude(False)

    def _conclude(self, silent: bool) -> None:
        is_news = silent != self.silent
        self.silent, self.pending = silent, False
        self._heard(is_news)
