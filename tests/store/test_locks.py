"""The lock of a host with any name, and errors when the server refuses it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgctl.ovsdb.identifiers import lock_name
from sgctl.ovsdb.replica import Replica
from sgctl.store import Store, StoreError, SwitchStatus, database_schema
from sgctl.store.server import PolicyServer
from tests.store.waiting import changes_until

Connect = Callable[[], Store]

NAMES = [
    "vm",
    "c8b29d5a-4c0c-4d1e-9a63-5d4ad7b8b1f0",
    "compute-1",
    "compute_2d1",
    "node1.example.org",
    "n" * 64,
    "höst-äöü-東京",
    "o'brien\"s",
    "-x",
    "1",
    " ",
    "../../etc",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_host_gets_its_lock_and_can_report(connect: Connect, name: str) -> None:
    store, other = connect(), connect()
    store.compete(name)
    changes_until(store, lambda: store.has_lock)
    switch = SwitchStatus(name, 'br"ü', f"{1:016x}", connected=True)
    store.report([switch], [])
    changes_until(other, lambda: other.switches.get(switch.key) == switch)
    other.compete(name)
    changes_until(other, lambda: other.lock_is_taken)
    assert not other.has_lock


def test_known_names_keep_their_lock() -> None:
    assert lock_name("vm") == "sgctl_vm"
    assert lock_name("compute-1") == "sgctl_compute_2d1"


@given(st.lists(st.text(), min_size=2, max_size=5, unique=True))
def test_different_names_have_different_locks(names: list[str]) -> None:
    locks = [lock_name(name) for name in {*names, *NAMES}]
    assert len(set(locks)) == len(locks)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", lock) for lock in locks)


def test_a_refused_lock_is_an_error(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgctl.store.store.lock_name", lambda chassis: chassis)
    store = connect()
    store.compete("compute-1")
    with pytest.raises(StoreError, match=r"refused the lock compute-1: .*syntax error"):
        changes_until(store, lambda: store.has_lock)
    with pytest.raises(StoreError, match="refused the lock"):
        store.report([SwitchStatus("compute-1", "br0", f"{1:016x}")], [])


def test_without_the_lock_nothing_is_written(connect: Connect) -> None:
    first, second = connect(), connect()
    first.compete("host1")
    changes_until(first, lambda: first.has_lock)
    second.compete("host1")
    changes_until(second, lambda: second.lock_is_taken)
    with pytest.raises(StoreError, match="has not given us the lock sgctl_host1; nothing was written"):
        second.report([SwitchStatus("host1", "br0", f"{1:016x}")], [])
    assert not second.switches


def test_a_refused_monitor_is_an_error_at_once(server: PolicyServer) -> None:
    tables = {"Nonsense": {"columns": {"name": {"type": "string"}}, "isRoot": True}}
    replica = Replica(server.remote, {**database_schema.shipped(), "tables": tables})
    started = time.monotonic()

    def answered() -> bool:
        replica.require_no_refusal()
        return replica.connected

    with pytest.raises(StoreError, match=r"refused to show the database sgctl: .*Nonsense"):
        replica.pump_until(answered, started + 5)
    replica.close()
