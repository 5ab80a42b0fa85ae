"""Which connections are closed when the API has too many, and which local users need no token."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from sgctl.rest.access import LOCAL_ADMIN, RateLimit
from sgctl.rest.connection_limits import ApiConnections
from sgctl.rest.credentials import Caller, Role
from sgctl.rest.errors import ApiError
from sgctl.rest.http import Peer
from sgctl.rest.local_users import LocalUsers

MEMBER = Caller("red", Role.MEMBER)


def test_the_oldest_unproven_connection_is_closed_first() -> None:
    closed: list[Peer] = []
    connections = ApiConnections(closed.append, most=3, max_per_peer=2)
    proven = Peer("192.0.2.1", caller=LOCAL_ADMIN)
    old, other, new, another = (Peer(f"192.0.2.{number}") for number in (2, 3, 4, 5))
    assert all(map(connections.enter, (proven, old, other, new)))
    assert closed == [old]
    connections.leave(new)
    assert connections.enter(another)
    assert closed == [old]


def test_connections_of_one_address_are_limited() -> None:
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


def test_unproven_connections_do_not_displace_proven_ones() -> None:
    connections = ApiConnections(lambda _: pytest.fail("somebody was sent away"), most=2, max_per_peer=2)
    assert connections.enter(Peer("192.0.2.1", caller=LOCAL_ADMIN))
    assert connections.enter(Peer("192.0.2.2", caller=MEMBER))
    assert not connections.enter(Peer("192.0.2.3"))


@pytest.mark.parametrize(("most", "max_per_peer"), [(4, 8), (8, 4)])
def test_idle_connections_of_one_caller_block_nobody(most: int, max_per_peer: int) -> None:
    """From many addresses, or from the address of another caller."""
    closed: list[Peer] = []
    connections = ApiConnections(closed.append, most, max_per_peer)
    other = Peer("192.0.2.1", caller=LOCAL_ADMIN)
    hosts = ["192.0.2.1"] * 3 if max_per_peer == 4 else ["192.0.2.2", "192.0.2.3", "192.0.2.4"]
    held = [Peer(host, caller=MEMBER) for host in hosts]
    assert all(map(connections.enter, [other, *held, Peer("192.0.2.1")]))
    assert closed == held[:1]


def test_users_of_one_machine_have_rates_of_their_own() -> None:
    rate = RateLimit(1, 2, clock=lambda: 0.0)
    rate.admit(Peer("127.0.0.1", 1).client)
    rate.admit(Peer("127.0.0.2", 1).client)
    with pytest.raises(ApiError, match="Too many"):
        rate.admit(Peer("127.0.0.3", 1).client)
    rate.admit(Peer("127.0.0.1", 0).client)


def user(name: str, uid: int, gid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {1: user("first", 1, 10), 2: user("second", 2, 99), 3: user("third", 3, 10)}
    monkeypatch.setattr(pwd, "getpwuid", known.__getitem__)
    group = grp.struct_group(("sgctl", "x", 99, ["third"]))
    monkeypatch.setattr(grp, "getgrnam", {"sgctl": group}.__getitem__)


def test_root_and_members_of_the_group_are_permitted(users: None) -> None:
    local = LocalUsers()
    assert [local.refusal(uid) for uid in (0, os.geteuid(), 2, 3)] == ["", "", "", ""]
    assert local.refusal(1) == "user first is not in the group sgctl"
    assert local.refusal(4) == "uid 4 is no user of this machine"
    assert local.refusal(None)


def test_named_users_are_permitted(users: None) -> None:
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
