"""Which users of this machine may use the API without a token."""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Callable

GROUP = "sgctl"
EVERYBODY = "*"
KNOWN_SECONDS = 10.0
"""So long an answer of the user database holds; it may be slow, for example on another machine."""


class LocalUsers:
    """Root, the user of the controller, members of the group `sgctl`, and whom a setting names.

    `named` are user names separated by commas, or `*` for every user of this machine.
    """

    def __init__(self, named: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._named = frozenset(filter(None, map(str.strip, named.split(","))))
        self._clock = clock
        self._known: dict[int, tuple[float, str]] = {}

    def refusal(self, uid: int | None) -> str:
        """Why the user with this id may not, empty when they may; None is a peer that is no local process."""
        if EVERYBODY in self._named or uid in (0, os.geteuid()):
            return ""
        if uid is None:
            return "it is not known which user of this machine asks"
        due, text = self._known.get(uid, (0.0, ""))
        if self._clock() >= due:
            text = self._look_up(uid)
            self._known[uid] = self._clock() + KNOWN_SECONDS, text
        return text

    def _look_up(self, uid: int) -> str:
        try:
            user = pwd.getpwuid(uid)
        except KeyError:
            return f"uid {uid} is no user of this machine"
        if user.pw_name in self._named or _is_member(user):
            return ""
        return f"user {user.pw_name} is not in the group {GROUP}"


def _is_member(user: pwd.struct_passwd) -> bool:
    try:
        group = grp.getgrnam(GROUP)
    except KeyError:
        return False
    return group.gr_gid == user.pw_gid or user.pw_name in group.gr_mem
