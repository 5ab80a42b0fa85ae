"""The order of the API's work: admins first, projects in turn by past use, large work in pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from lab.process import wait_until
from sgctl.rest.turns import PIECE, FairQueue, Owner, Rank, Turn, Turns, in_pieces

ADMIN = Owner(Rank.ADMIN_WRITES, "ops")
ADMIN_READER = Owner(Rank.ADMIN_READS, "ops")
BLUE, GREEN, RED = (Owner(Rank.OTHERS, name) for name in ("blue", "green", "red"))


def order(queue: FairQueue[int]) -> list[str]:
    """The projects in the order in which their work is taken; the numbers are objects."""
    return order_of(queue, len(queue))


def order_of(queue: FairQueue[int], count: int) -> list[str]:
    """The same for the next few."""
    found = []
    for _ in range(count):
        owner, objects = queue.take()
        queue.charge(owner, objects)
        found.append(owner.project if owner.rank is Rank.OTHERS else owner.rank.name)
    return found


def test_an_admin_comes_before_all_others() -> None:
    queue: FairQueue[int] = FairQueue()
    for owner in (BLUE, GREEN, RED) * 50:
        queue.put(owner, 1000)
    for _ in range(3):
        owner, objects = queue.take()
        queue.charge(owner, objects)
    queue.put(ADMIN_READER, 1)
    queue.put(ADMIN, 1)
    assert order(queue)[:3] == ["ADMIN_WRITES", "ADMIN_READS", "blue"]


def test_projects_have_turns_by_objects_and_not_by_requests() -> None:
    queue: FairQueue[int] = FairQueue()
    for _ in range(3):
        queue.put(BLUE, 200)
    for _ in range(400):
        queue.put(GREEN, 1)
    taken = order(queue)
    assert taken[0] == "blue"
    assert [taken[:402].count(name) for name in ("blue", "green")] == [2, 400]
    assert taken.index("blue", 1) == 201


def test_an_idle_project_does_not_accumulate_turns() -> None:
    queue: FairQueue[int] = FairQueue()
    for _ in range(20):
        queue.put(BLUE, 100)
    assert order_of(queue, 10) == ["blue"] * 10
    for _ in range(20):
        queue.put(GREEN, 100)
    assert order_of(queue, 6) == ["green", "blue"] * 3


def test_work_of_one_owner_stays_in_its_order() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(5):
        queue.put(BLUE, number)
    assert [queue.take()[1] for _ in range(5)] == [0, 1, 2, 3, 4]


class Crowd:
    """Requests in threads; only the one with the turn runs. `done` has the owner of each processed object."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.done: list[Owner] = []
        self._threads: list[threading.Thread] = []
        self._go = threading.Event()
        self._start(self._hold, 0)

    def ask(self, owner: Owner, objects: int) -> None:
        """A request that waits for its turn."""
        self._start(lambda: self._work(owner, objects), len(self._threads))

    def finish(self) -> list[Owner]:
        """Let the requests work; returns the owners of the processed objects, in order."""
        self._go.set()
        for thread in self._threads:
            thread.join(20)
        return self.done

    def _start(self, work: Callable[[], None], waiting: int) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()
        wait_until(lambda: self.turns.busy and self.turns.waiting == waiting, "a request that waits")

    def _hold(self) -> None:
        with self.turns.turn(RED):
            self._go.wait(20)

    def _work(self, owner: Owner, objects: int) -> None:
        with self.turns.turn(owner) as turn:
            for _ in range(objects):
                self.done.append(owner)
                turn.pause()


def test_a_large_list_is_interrupted_and_an_admin_is_not() -> None:
    crowd = Crowd()
    crowd.ask(BLUE, 50 * PIECE)
    crowd.ask(GREEN, 10 * PIECE)
    crowd.ask(ADMIN_READER, 3 * PIECE)
    crowd.ask(ADMIN, 3 * PIECE)
    done = crowd.finish()
    assert done[: 6 * PIECE] == [ADMIN] * 3 * PIECE + [ADMIN_READER] * 3 * PIECE
    others = done[6 * PIECE : 26 * PIECE]
    assert [others[start] for start in range(0, len(others), PIECE)] == [BLUE, GREEN] * 10
    assert done[26 * PIECE :] == [BLUE] * 40 * PIECE


def test_a_request_that_waits_for_the_database_lets_others_work() -> None:
    shared = Turns()
    with shared.turn(BLUE) as turn, turn.aside():
        with shared.turn(GREEN):
            assert shared.busy
        assert not shared.busy


def test_a_turn_works_without_other_requests() -> None:
    turn = Turn()
    for _ in range(3 * PIECE):
        turn.pause()
    with turn.aside():
        turn.settle()


def test_others_run_between_the_pieces_of_a_large_write(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    done_at_each_pause: list[int] = []
    monkeypatch.setattr("time.sleep", lambda _: done_at_each_pause.append(len(done)))
    done.extend(in_pieces(range(3 * PIECE + 1)))
    assert done == list(range(3 * PIECE + 1))
    assert done_at_each_pause == [PIECE, 2 * PIECE, 3 * PIECE]
