"""Requests to a switch and their replies, one exchange at a time on a connection."""

from __future__ import annotations

import logging
from collections import defaultdict

from flows.openflow.wire import Installed
from sgctl.runtime import Event
from sgctl.switch.error_names import error_text
from sgctl.switch.messages import Reply, SwitchError
from sgctl.switch.rate_limited_log import RateLimitedLog

LOG = logging.getLogger(__name__)
_RATE_LIMITED = RateLimitedLog(LOG)
"""Limits the log, because a peer can send errors without a request at any rate."""

REPLY_SECONDS = 60.0


class SwitchRefused(Exception):
    """The switch answered with an error, or not at all; the text names the request."""


class Exchange:
    """Requests with consecutive transaction ids from `first` on, each with its subject for error messages.

    Replies with other transaction ids belong to earlier, abandoned exchanges and are ignored; errors among
    them are logged.
    """

    def __init__(self, first: int = 0) -> None:
        self.flows: list[Installed] = []
        self.counts: dict[int, int] = {}
        self._first = first
        self._subjects: list[object] = []
        self._expected: dict[int, SwitchError] = {}
        self._errors: dict[int, str] = {}
        self._answers: dict[int, Reply] = {}
        self._answered: defaultdict[int, Event] = defaultdict(Event)

    def ask(self, subject: object, expected: SwitchError | None = None) -> int:
        """Add a request; returns its transaction id. The error `expected` counts as success."""
        if expected is not None:
            self._expected[len(self._subjects)] = expected
        self._subjects.append(subject)
        return self._first + len(self._subjects) - 1

    def take(self, reply: Reply) -> None:
        """Process a reply or an error."""
        position = reply.xid - self._first
        if not 0 <= position < len(self._subjects):
            if reply.refusal:
                text = f"a switch refused an earlier request: {error_text(reply.refusal)}"
                _RATE_LIMITED.warn("late", text)
            return
        if reply.refusal and reply.refusal != self._expected.get(position):
            self._errors.setdefault(position, error_text(reply.refusal))
        self.flows.extend(reply.flows)
        self.counts.update(reply.counts)
        if not reply.more:
            self._answers.setdefault(position, reply)
            self._answered[position].set()

    def answer(self) -> Reply:
        """Wait for the reply to the latest request. Raises SwitchRefused for any error so far."""
        position = len(self._subjects) - 1
        if not self._answered[position].wait(REPLY_SECONDS):
            raise SwitchRefused(f"no answer to {self._subjects[position]} within {REPLY_SECONDS:.0f} s")
        self.check()
        return self._answers[position]

    def check(self) -> None:
        """Raise SwitchRefused if there has been an error."""
        for position, text in sorted(self._errors.items()):
            raise SwitchRefused(f"{text}: {self._subjects[position]}")
