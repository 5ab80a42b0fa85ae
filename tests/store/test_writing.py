"""A writer that plans is not overtaken by constant writers, and no writer can block the others for long."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from flows.policy.objects import SecurityGroup
from sgctl.service.draft import Draft
from sgctl.service.plan import Plan
from sgctl.service.policy_edit import PolicyEdit
from sgctl.service.transaction import transact
from sgctl.store import Store, writing
from sgctl.store.snapshot import PolicySnapshot
from tests.store.samples import create, group

Connect = Callable[[], Store]
MANY = 50


def new_group(objects: PolicySnapshot) -> Plan:
    draft = Draft(objects)
    draft.put(group())
    return PolicyEdit(draft).plan()


def test_a_plan_is_made_once_despite_constant_writers(store: Store, connect: Connect) -> None:
    other, asked, seen = connect(), threading.Event(), []

    def decide(objects: PolicySnapshot) -> Plan:
        seen.append(len(objects[SecurityGroup]))
        return new_group(objects)

    def write() -> None:
        asked.set()
        transact(other, decide)

    writer = threading.Thread(target=write)
    with store.writing():
        writer.start()
        assert asked.wait(20)
        for _ in range(MANY):
            store.commit(create(group()))
    writer.join(20)
    assert seen == [MANY]


def test_writers_take_turns_in_the_order_of_their_requests(store: Store, connect: Connect) -> None:
    """Each of several constant writers makes each of its plans once."""
    calls = []

    def write(one: Store) -> None:
        def decide(objects: PolicySnapshot) -> Plan:
            calls.append(1)
            return new_group(objects)

        for _ in range(MANY):
            transact(one, decide)

    writers = [threading.Thread(target=write, args=(connect(),)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(calls) == 3 * MANY
    assert store.wait_until(lambda: len(store.objects[SecurityGroup]) == 3 * MANY, 20)


def test_a_writer_that_keeps_its_turn_does_not_block_others_for_long(
    store: Store, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PATIENCE_SECONDS", 0.01)
    other = connect()
    with store.writing():
        for count in (1, 2):
            transact(other, new_group)
            assert len(other.objects[SecurityGroup]) == count
    store.commit(create(group()))
    transact(other, new_group)
    assert len(other.objects[SecurityGroup]) == 4
