"""Several concurrent writers, and a server that is killed: no write is lost, no rule number reused."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from flows.policy.objects import Change, PolicyObject, Rule, SecurityGroup
from sgctl.store import Store, StoreError, codec
from sgctl.store.server import PolicyServer
from tests.store.samples import create, group, rule
from tests.store.waiting import changes_until

Connect = Callable[[], Store]


def start_writer(server: PolicyServer, target: SecurityGroup, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store.writer", server.remote, target.id, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def acknowledged(writer: subprocess.Popen[str]) -> list[str]:
    output, errors = writer.communicate(timeout=60)
    assert writer.returncode == 0, errors
    return [line for line in output.splitlines() if not line.startswith("#")]


def kill_server(server: PolicyServer) -> None:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while server.pid is not None:
        time.sleep(0.001)


def rules(store: Store) -> dict[str, Rule]:
    return dict(store.objects[Rule])


def assert_numbers_unique(store: Store) -> None:
    numbers = [one.number for one in rules(store).values()]
    assert len(set(numbers)) == len(numbers)


def test_two_processes_at_once_lose_nothing(server: PolicyServer, store: Store, connect: Connect) -> None:
    web = group()
    store.commit(create(web))
    writers = [start_writer(server, web, 200) for _ in range(2)]
    written = [identifier for writer in writers for identifier in acknowledged(writer)]
    final = connect()
    assert set(rules(final)) == set(written)
    assert len(written) == 400
    assert_numbers_unique(final)
    assert final.generation == 401


def test_processes_that_write_while_the_server_is_killed_lose_nothing(
    server: PolicyServer, store: Store, connect: Connect
) -> None:
    web = group()
    store.commit(create(web))
    writers = [start_writer(server, web, 400) for _ in range(2)]
    kills = 0
    while any(writer.poll() is None for writer in writers) and kills < 50:
        time.sleep(random.uniform(0.01, 0.1))
        kill_server(server)
        kills += 1
        assert server.ensure()
    written = [identifier for writer in writers for identifier in acknowledged(writer)]
    assert kills > 3
    final = connect()
    assert set(rules(final)) == set(written)
    assert len(written) == 800
    assert_numbers_unique(final)


def test_a_commit_survives_the_death_of_the_server_before_it(server: PolicyServer, store: Store) -> None:
    kill_server(server)
    server.ensure()
    web = group()
    store.commit(create(web))
    assert store.run() == create(web)


def test_a_commit_whose_reply_was_lost_is_recognised_as_done(
    server: PolicyServer, store: Store, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = group()
    store.commit(create(web))
    mine = rule(web)
    real = store._replica.transact
    calls = []

    def lose_the_answer(*arguments: Any) -> None:
        monkeypatch.setattr(store._replica, "transact", real)
        calls.append(real(*arguments))
        kill_server(server)
        server.ensure()

    monkeypatch.setattr(store._replica, "transact", lose_the_answer)
    assert store.commit(create(mine)) == 2
    assert len(calls) == 1
    assert set(rules(connect())) == {mine.id}


def test_a_commit_that_never_arrived_is_sent_again(
    server: PolicyServer, store: Store, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store._replica.transact

    def lose_the_request(*arguments: Any) -> None:
        monkeypatch.setattr(store._replica, "transact", real)
        kill_server(server)
        server.ensure()

    monkeypatch.setattr(store._replica, "transact", lose_the_request)
    web = group()
    assert store.commit(create(web)) == 1
    assert list(connect().objects[SecurityGroup].values()) == [web]


def test_without_a_server_a_commit_fails_in_time_with_its_state(server: PolicyServer, store: Store) -> None:
    kill_server(server)
    changes_until(store, lambda: not store.connected)
    store.timeout = 0.5
    started = time.monotonic()
    with pytest.raises(StoreError, match="no connection; nothing was written"):
        store.commit(create(group()))
    assert 0.4 < time.monotonic() - started < 2
    server.ensure()
    changes_until(store, lambda: store.connected)
    assert not store.objects[SecurityGroup]


def test_after_a_restart_only_differences_are_read(
    server: PolicyServer, store: Store, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone, edited = (group(name) for name in ("kept", "gone", "edited"))
    store.commit(create(kept, gone, edited))
    store.run()
    kill_server(server)
    store.run()
    server.ensure()
    other = connect()
    new = group("new")
    after = SecurityGroup(edited.id, "after")
    other.commit([Change(gone, None), Change(edited, after), Change(None, new)])

    decode = Mock(side_effect=codec.decode)
    monkeypatch.setattr(codec, "decode", decode)
    changes = changes_until(store, lambda: store.generation == other.generation)
    assert {call.args[1] for call in decode.call_args_list} == {edited.id, new.id}
    expected: set[tuple[PolicyObject | None, PolicyObject | None]] = {
        (gone, None),
        (edited, after),
        (None, new),
    }
    assert set(changes) == expected


def test_unprocessed_updates_survive_the_end_of_the_server(
    server: PolicyServer, store: Store, connect: Connect
) -> None:
    web = group()
    connect().commit(create(web))
    replica = store._replica
    assert replica.pump_until(lambda: web.id in replica.rows["Security_Group"], time.monotonic() + 5)
    kill_server(server)
    server.ensure()
    assert replica.pump_until(lambda: not replica.connected, time.monotonic() + 5)
    assert replica.pump_until(lambda: replica.connected, time.monotonic() + 5)
    assert store.run() == create(web)


def test_the_policy_stays_known_without_the_server(server: PolicyServer, store: Store) -> None:
    web = group()
    store.commit(create(web))
    store.run()
    kill_server(server)
    assert changes_until(store, lambda: not store.connected) == []
    assert store.objects[SecurityGroup] == {web.id: web}
