"""Which connections are closed when the API has too many, and which local users need no token."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from sgctl.rest.connection_limits import ApiConnections
from sgctl.rest.http import Peer
from sgctl.rest.local_users import LocalUsers


def test_the_oldest_of_those_who_proved_nothing_goes() -> None:
    closed: list[Peer] = []
    connections = ApiConnections(closed.append, most=3, max_per_peer=2)
    proven = Peer("192.0.2.1", proven=True)
    old, other, new, another = (Peer(f"192.0.2.{number}") for number in (2, 3, 4, 5))
    assert all(map(connections.enter, (proven, old, other, new)))
    assert closed == [old]
    connections.leave(new)
    assert connections.enter(another)
    assert closed == [old]


def test_one_address_has_its_share() -> None:
    closed: list[Peer] = []
    connections = ApiConnections(closed.append, most=10, max_per_peer=2)
    crowd = [Peer("192.0.2.1") for _ in range(6)]
    honest = Peer("192.0.2.2")
    assert connections.enter(honest)
    assert all(map(connections.enter, crowd))
    assert closed == crowd[:4]
    users = [Peer("127.0.0.1", uid) for uid in (1, 1, 2, 2)]
    assert all(map(connections.enter, users))
    assert len(closed) == 4


def test_those_who_proved_themselves_are_not_sent_away() -> None:
    connections = ApiConnections(lambda _: pytest.fail("somebody was sent away"), most=2, max_per_peer=2)
    assert all(connections.enter(Peer(host, proven=True)) for host in ("192.0.2.1", "192.0.2.2"))
    assert not connections.enter(Peer("192.0.2.3"))


def user(name: str, uid: int, gid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {1: user("first", 1, 10), 2: user("second", 2, 99), 3: user("third", 3, 10)}
    monkeypatch.setattr(pwd, "getpwuid", known.__getitem__)
    group = grp.struct_group(("sgctl", "x", 99, ["third"]))
    monkeypatch.setattr(grp, "getgrnam", {"sgctl": group}.__getitem__)


def test_root_and_the_group_may(users: None) -> None:
    local = LocalUsers()
    assert [local.refusal(uid) for uid in (0, os.geteuid(), 2, 3)] == ["", "", "", ""]
    assert local.refusal(1) == "user first is not in the group sgctl"
    assert local.refusal(4) == "uid 4 is no user of this machine"
    assert local.refusal(None)


def test_named_users_may(users: None) -> None:
    assert not LocalUsers("nobody, first").refusal(1)
    assert not LocalUsers("*").refusal(4)


def test_a_user_who_leaves_the_group_is_soon_refused(users: None, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    local = LocalUsers(clock=lambda: now[0])
    assert not local.refusal(3)
    monkeypatch.setattr(grp, "getgrnam", {}.__getitem__)
    assert not local.refusal(3)
    now[0] += 11
    assert local.refusal(3)
