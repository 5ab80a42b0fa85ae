"""How much of the processors the API's process gets while others want them, too (setpriority(2))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

FOR_ADMINS, FOR_OTHERS = 1, 10
"""Added to the niceness with which the process starts, which is the controller's."""


class Niceness:
    """The niceness of this process: `FOR_OTHERS`, and `FOR_ADMINS` while an admin's change is being made.

    Lists for members may thus take the time that is left, but none that the controller needs to bring changes
    to the switches. Without the right to lower its niceness again, the process keeps that for admins.
    """

    def __init__(self) -> None:
        self._start = os.getpriority(os.PRIO_PROCESS, 0)
        self._may_change = _may_lower(self._start)
        self._admins = 0
        self._add(FOR_OTHERS if self._may_change else FOR_ADMINS)

    @contextmanager
    def for_admin(self) -> Iterator[None]:
        """Be less nice for a block; blocks of several green threads may overlap."""
        self._admins += 1
        if self._may_change and self._admins == 1:
            self._add(FOR_ADMINS)
        try:
            yield
        finally:
            self._admins -= 1
            if self._may_change and not self._admins:
                self._add(FOR_OTHERS)

    def _add(self, nicer: int) -> None:
        os.setpriority(os.PRIO_PROCESS, 0, self._start + nicer)


def _may_lower(niceness: int) -> bool:
    """Whether this process may lower its niceness below its present one (CAP_SYS_NICE, RLIMIT_NICE)."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness - 1)
    except PermissionError:
        return False
    return True
