"""Limits the rate of log lines that remote peers can cause."""

from __future__ import annotations

import logging
import time

SECONDS = 60.0
MOST_SUBJECTS = 1000


class RateLimitedLog:
    """Logs a warning per subject at most once a minute, with the number of warnings left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._due: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warn(self, subject: str, text: str) -> None:
        """Log the warning `text`, unless there was one on `subject` within the last minute."""
        now = time.monotonic()
        if now < self._due.get(subject, 0.0):
            self._left_out[subject] = self._left_out.get(subject, 0) + 1
            return
        left_out = self._left_out.pop(subject, 0)
        more = f" ({left_out} more since the last such line)" if left_out else ""
        if len(self._due) >= MOST_SUBJECTS:
            self._due.clear()
        self._due[subject] = now + SECONDS
        self._log.warning("%s%s", text, more)
