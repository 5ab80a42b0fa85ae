"""Whether the switches answer, found out when somebody asks whether the controllers are at work."""

from __future__ import annotations

import time
from collections.abc import Callable

from sgctl.switch.main_thread import MainThread

ANSWER_SECONDS = 0.4
"""A switch that does not answer for so long, and does nothing either, hangs. Whoever asks us waits 0.7 s."""
UNSEEN_SECONDS = 5.0
"""The same for a switch of which it cannot be seen what it does: so long it may be busy."""


class Pulse:
    """Asks one switch for signs of life.

    A switch at work on a large change answers nobody for seconds. It runs meanwhile, and one that hangs does
    not: that tells them apart.
    """

    def __init__(
        self,
        answers: Callable[[float], bool],
        thread: MainThread,
        spawn: Callable[[Callable[[], None]], object],
        heard: Callable[[bool], None],
    ) -> None:
        """`answers` tells whether the switch gives a sign of life within some seconds.

        `spawn` runs a function in a green thread of its own: it ends when the switch answers. `heard` is
        called with each result, and told whether it is news.
        """
        self.silent = False
        """Whether the switch hangs, as far as is known."""
        self.pending = False
        """Whether it has been asked and the result is not there yet."""
        self._answers = answers
        self._thread = thread
        self._heard = heard
        self._spawn = spawn
        self._is_asking = False
        self._ended = False

    def ask(self) -> None:
        """Begin to find out. Of a switch that is silent it is known, and told when it ends."""
        self.pending = not self.silent
        if not self._is_asking:
            self._is_asking = True
            self._spawn(self._ask)

    def close(self) -> None:
        """The connection has ended."""
        self._ended = True

    def _ask(self) -> None:
        """Go on until there is a sign of life."""
        before, begin = self._thread.look(), time.monotonic()
        while not self._answers(ANSWER_SECONDS):
            if self._ended:
                return
            now = self._thread.look()
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
