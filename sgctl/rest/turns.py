"""Whose work comes next: first that of admins, then that of projects in turn, by the objects each has used.

See docs/decisions/fair-turns.md.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

PIECE = 20
"""Objects that are checked, rendered or written as text before others get a turn: about a millisecond."""


def in_pieces(items: Iterable[T]) -> Iterator[T]:
    """The same items; after every `PIECE` of them, other green threads run before the next one."""
    for number, item in enumerate(items, 1):
        yield item
        if not number % PIECE:
            time.sleep(0)


class Rank(IntEnum):
    """Work of a rank waits for all work of the ranks before it."""

    ADMIN_WRITES = 0
    ADMIN_READS = 1
    OTHERS = 2


class Owner(NamedTuple):
    """The rank and project of a piece of work."""

    rank: Rank
    project: str


NOBODY = Owner(Rank.OTHERS, "")
"""The owner of work before the caller is known."""


class FairQueue(Generic[T]):
    """Waiting work, in one queue for each owner. Within a rank, the owner that has used the least is next.

    An owner that comes back after a pause starts level with the others, so a pause saves up nothing.
    """

    def __init__(self) -> None:
        self._waiting: dict[Owner, deque[T]] = {}
        self._had: dict[Owner, int] = {}
        self._level: dict[Rank, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def rank(self) -> Rank | None:
        """The rank of what is next, None when nothing waits."""
        return min((owner.rank for owner in self._waiting), default=None)

    def put(self, owner: Owner, work: T) -> None:
        """Add work to the end of its owner's queue."""
        if owner not in self._waiting:
            self._waiting[owner] = deque()
            self._had[owner] = self._standing(owner)
        self._waiting[owner].append(work)

    def take(self) -> tuple[Owner, T]:
        """The next piece of work, of those that wait."""
        owner = min(self._waiting, key=lambda each: (each.rank, self._had[each]))
        self._level[owner.rank] = self._had[owner]
        work = self._waiting[owner].popleft()
        if not self._waiting[owner]:
            del self._waiting[owner]
        return owner, work

    def charge(self, owner: Owner, objects: int) -> None:
        """Count objects that were worked on for an owner."""
        self._had[owner] = self._standing(owner) + objects

    def _standing(self, owner: Owner) -> int:
        return max(self._had.get(owner, 0), self._level.get(owner.rank, 0))


class Turns:
    """Lets one request at a time use the processor, and lets others go first between pieces of its work."""

    def __init__(self) -> None:
        self._queue: FairQueue[threading.Event] = FairQueue()
        self._taken = False

    @property
    def busy(self) -> bool:
        """Whether a request has the turn."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many requests wait for the turn."""
        return len(self._queue)

    @contextmanager
    def turn(self, owner: Owner) -> Iterator[Turn]:
        """Wait for a turn, and release it at the end."""
        turn = Turn(self, owner)
        self.acquire(owner)
        try:
            yield turn
        finally:
            turn.settle()
            self.release()

    def acquire(self, owner: Owner) -> None:
        """Wait for the turn."""
        if self._taken:
            event = threading.Event()
            self._queue.put(owner, event)
            event.wait()
        self._taken = True

    def release(self) -> None:
        """Pass the turn to the next request."""
        if len(self._queue):
            self._queue.take()[1].set()
        else:
            self._taken = False

    def charge(self, owner: Owner, objects: int) -> None:
        """Count objects that an owner's request has processed."""
        self._queue.charge(owner, objects)

    def hand_on(self, owner: Owner) -> None:
        """Let requests arrive, and let the next one go first."""
        time.sleep(0)
        if len(self._queue):
            event = threading.Event()
            self._queue.put(owner, event)
            self.release()
            event.wait()


class Turn:
    """One request's turn."""

    def __init__(self, turns: Turns | None = None, owner: Owner = NOBODY) -> None:
        """Without `turns`, no other request needs one."""
        self._turns = turns
        self.owner = owner
        self._objects = 0

    def pause(self, objects: int = 1) -> None:
        """Count processed objects, and let other requests go first if it is their turn."""
        self._objects += objects
        if self._objects >= PIECE and self._turns is not None:
            self.settle()
            self._turns.hand_on(self.owner)

    def settle(self) -> None:
        """Count the objects since the last call."""
        if self._turns is not None:
            self._turns.charge(self.owner, self._objects)
        self._objects = 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Release the turn while this request waits for something."""
        if self._turns is None:
            yield
            return
        self._turns.release()
        try:
            yield
        finally:
            self._turns.acquire(self.owner)
