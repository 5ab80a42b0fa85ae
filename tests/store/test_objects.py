"""Writing objects to a real policy database and reading them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows.policy.objects import (
    FIRST_RULE_NUMBER,
    KINDS,
    AddressGroup,
    Change,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from sgctl.store import Conflict, Store, StoreError
from tests.store import samples
from tests.store.samples import create, delete, group, network, new_id, news, port, rule
from tests.store.waiting import changes_until

Connect = Callable[[], Store]


def numbered(obj: PolicyObject) -> PolicyObject:
    """The object without the rule number that the store assigned."""
    return replace(obj, number=0) if isinstance(obj, Rule) else obj


def all_objects(store: Store) -> dict[str, PolicyObject]:
    return {identifier: obj for kind in KINDS for identifier, obj in store.objects[kind].items()}


def test_every_kind_and_field_is_read_as_written(store: Store, connect: Connect) -> None:
    objects = samples.everything()
    store.commit(create(*objects))

    told = {obj.id: numbered(obj) for obj in news(store.run())}
    assert told == {obj.id: obj for obj in objects}
    assert all_objects(connect()) == all_objects(store)
    assert not store.problems


def test_every_field_can_be_changed_and_emptied(store: Store, connect: Connect) -> None:
    objects = samples.everything()
    store.commit(create(*objects))
    full_port = next(obj for obj in objects if isinstance(obj, Port))
    blue = next(obj for obj in objects if isinstance(obj, Network))
    monitors = next(obj for obj in objects if isinstance(obj, AddressGroup))
    emptied: tuple[PolicyObject, ...] = (
        Port(full_port.id, "", blue.id, "02:00:00:00:00:aa", "other", samples.prefixes("10.1.0.1")),
        Network(blue.id, "azure"),
        replace(monitors, addresses=frozenset(samples.prefixes("2001:db8::1", "10.0.0.0/8"))),
    )
    store.run()

    store.commit([Change(store.objects[type(new)][new.id], new) for new in emptied])

    assert {change.new for change in store.run()} == set(emptied)
    assert all_objects(connect()) == all_objects(store)


def test_deleting_everything_leaves_nothing(store: Store, connect: Connect) -> None:
    store.commit(create(*samples.everything()))
    store.run()
    store.commit(delete(*all_objects(store).values()))
    assert not all_objects(store)
    assert not all_objects(connect())


def test_changes_come_in_the_order_of_references(store: Store, connect: Connect) -> None:
    follower = connect()
    follower.run()
    store.commit(create(*reversed(samples.everything())))
    coming = changes_until(follower, lambda: follower.generation == 1)
    seen: set[str] = set()
    for obj in news(coming):
        assert referred(obj) <= seen | {obj.id}
        seen.add(obj.id)

    store.commit(delete(*all_objects(store).values()))
    going = [change.old for change in changes_until(follower, lambda: follower.generation == 2)]
    left = {obj.id for obj in going if obj is not None}
    assert left == seen
    for old in going:
        assert old is not None
        left.discard(old.id)
        assert not [obj for obj in going if obj is not None and obj.id in left and old.id in referred(obj)]


def referred(obj: PolicyObject) -> set[str]:
    match obj:
        case Port():
            return {obj.network_id, *obj.security_groups}
        case Rule():
            remotes = (obj.remote_group_id, obj.remote_address_group_id, obj.remote_network_id)
            return {obj.group_id, *filter(None, remotes)}
        case Network():
            return {obj.default_group} if obj.default_group else set()
    return set()


def test_run_tells_only_differences_and_each_once(store: Store, connect: Connect) -> None:
    follower = connect()
    assert follower.run() == []
    web = group()
    store.commit(create(web))
    store.commit([Change(web, replace(web, name="front"))])
    changes = changes_until(follower, lambda: follower.generation == 2)
    assert changes[0].old is None
    assert changes[-1].new == replace(web, name="front")
    assert follower.run() == []


def test_several_steps_between_two_runs_are_one_change(store: Store) -> None:
    web, gone = group("web"), group("gone")
    store.commit(create(web, gone))
    store.commit([Change(web, replace(web, name="front")), *delete(gone)])
    assert store.run() == [Change(None, replace(web, name="front"))]


def test_each_commit_is_a_generation(store: Store, connect: Connect) -> None:
    before = store.generation
    web = group()
    assert store.commit(create(web)) == before + 1 == store.generation
    assert store.commit([]) == before + 2
    assert connect().generation == before + 2


def test_rule_numbers_increase_and_are_not_reused(store: Store, connect: Connect) -> None:
    web = group()
    first = [rule(web) for _ in range(3)]
    store.commit(create(web, *first))
    numbers = {one.number for one in store.objects[Rule].values()}
    assert numbers == set(range(FIRST_RULE_NUMBER, FIRST_RULE_NUMBER + 3))

    store.commit(delete(*store.objects[Rule].values()))
    other = connect()
    again = rule(web)
    other.commit(create(again))
    kept = other.objects[Rule][again.id]
    assert kept.number == FIRST_RULE_NUMBER + 3


def test_a_rule_that_changes_keeps_its_number(store: Store) -> None:
    web = group()
    ping = rule(web)
    store.commit(create(web, ping))
    held = store.objects[Rule][ping.id]
    store.commit([Change(held, replace(held, number=0, name="ping"))])
    assert store.objects[Rule][ping.id] == replace(held, name="ping")


def test_a_rule_number_of_another_tool_is_not_reused(store: Store, transact: Callable[..., Any]) -> None:
    web = group()
    generation = store.commit(create(web))
    row = {"number": 500, "security_group": ["uuid", web.id], "direction": "ingress", "ethertype": "IPv4"}
    transact({"op": "insert", "table": "Rule", "row": row})
    changes_until(store, lambda: bool(store.objects[Rule]))
    mine = rule(web)
    assert store.commit(create(mine)) == generation + 1
    held = store.objects[Rule][mine.id]
    assert held.number == 501


def test_deleted_counters_are_restored_without_reuse_of_numbers(
    store: Store, transact: Callable[..., Any]
) -> None:
    web = group()
    old = rule(web)
    store.commit(create(web, old))
    transact({"op": "delete", "table": "Global", "where": []})
    new = rule(web)
    assert store.commit(create(new)) == 2
    numbers = [one.number for one in store.objects[Rule].values()]
    assert sorted(numbers) == [FIRST_RULE_NUMBER, FIRST_RULE_NUMBER + 1]


def test_deleting_a_group_deletes_its_rules(store: Store) -> None:
    web, other = group("web"), group("other")
    mine, its = rule(web, remote_group_id=web.id), rule(other)
    store.commit(create(web, other, mine, its))
    store.run()
    store.commit(delete(web))
    assert [change.old.id for change in store.run() if change.old] == [mine.id, web.id]
    assert set(store.objects[Rule]) == {its.id}


@pytest.mark.parametrize("user", ["port", "rule", "network"])
def test_a_group_in_use_is_not_deleted(store: Store, user: str) -> None:
    web, other, blue = group("web"), group("other"), network()
    users: dict[str, PolicyObject] = {
        "port": port(blue, security_groups=frozenset({web.id})),
        "rule": rule(other, remote_group_id=web.id, name="theirs"),
        "network": network("red", default_group=web.id),
    }
    store.commit(create(web, other, blue, users[user]))
    with pytest.raises(StoreError, match=rf"security group {web.id} is in use by {user} .*{users[user].id}"):
        store.commit(delete(web))
    assert web.id in store.objects[SecurityGroup]


def test_a_network_with_ports_and_an_address_group_in_rules_are_not_deleted(store: Store) -> None:
    objects = samples.everything()
    store.commit(create(*objects))
    for used in (objects[2], objects[3]):
        with pytest.raises(StoreError, match="is in use by"):
            store.commit(delete(used))


def test_a_dangling_reference_is_refused_and_nothing_is_written(store: Store) -> None:
    web = group()
    stray = rule(web, remote_group_id=new_id())
    with pytest.raises(
        StoreError, match=f"remote_group_id: there is no security group {stray.remote_group_id}"
    ):
        store.commit(create(web, stray))
    assert not store.objects[SecurityGroup]


def test_an_interface_id_and_a_mac_belong_to_one_port(store: Store) -> None:
    blue, red = network("blue"), network("red")
    one = port(blue, 1)
    store.commit(create(blue, red, one))
    with pytest.raises(StoreError, match=rf"iface_id: already used by port port1 \({one.id}\)"):
        store.commit(create(replace(port(red, 2), iface_id="if1")))
    with pytest.raises(StoreError, match="network_id and mac_address: already used by"):
        store.commit(create(replace(port(blue, 2), mac=one.mac)))
    store.commit(create(replace(port(red, 2), mac=one.mac)))


def test_two_ports_may_swap_their_interfaces(store: Store) -> None:
    blue = network()
    one, two = port(blue, 1), port(blue, 2)
    store.commit(create(blue, one, two))
    store.commit([Change(one, replace(one, iface_id="if2")), Change(two, replace(two, iface_id="if1"))])
    assert store.objects[Port][one.id] == replace(one, iface_id="if2")


def test_a_commit_on_an_old_state_is_a_conflict_that_names_the_object(store: Store, connect: Connect) -> None:
    web = group()
    store.commit(create(web))
    other = connect()
    other.commit([Change(web, replace(web, name="theirs"))])
    with pytest.raises(Conflict, match=f"security group web .{web.id}. has been changed"):
        store.commit([Change(web, replace(web, name="mine")), *create(group("new"))])
    assert list(store.objects[SecurityGroup].values()) == [replace(web, name="theirs")]
    with pytest.raises(Conflict):
        store.commit(delete(web))


def test_the_server_detects_conflicts_too(
    store: Store, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write between the check of the local copy and the transaction is not lost."""
    web, unchanged = group("web"), group("unchanged")
    store.commit(create(web, unchanged))
    theirs = replace(web, stateful=False)
    connect().commit([Change(web, theirs)])
    leave_behind(store, monkeypatch)
    with pytest.raises(Conflict, match="has been changed by somebody else"):
        store.commit([Change(web, replace(web, name="mine"))])
    assert store.objects[SecurityGroup][web.id] == theirs


def leave_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep updates from the store until it has sent a transaction, as if they were still under way."""
    waits = iter(["for the connection"])

    def pump_until(condition: Callable[[], bool], deadline: float) -> bool:
        if next(waits, None):
            return True
        monkeypatch.undo()
        return store._replica.pump_until(condition, deadline)

    monkeypatch.setattr(store._replica, "pump_until", pump_until)
    monkeypatch.setattr(store._replica, "pump", lambda: None)


def test_a_concurrently_used_and_freed_number_is_not_reused(
    store: Store, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = group()
    store.commit(create(web))
    other = connect()
    theirs, mine = rule(web), rule(web)
    other.commit(create(theirs))
    other.commit(delete(other.objects[Rule][theirs.id]))
    leave_behind(store, monkeypatch)
    assert store.commit(create(mine)) == 4
    held = store.objects[Rule][mine.id]
    assert held.number == FIRST_RULE_NUMBER + 1


def test_creating_what_exists_is_a_conflict(store: Store, connect: Connect) -> None:
    web = group()
    other = connect()
    store.commit(create(web))
    with pytest.raises(Conflict, match="exists already"):
        other.commit(create(replace(web, name="again")))


def test_a_commit_can_depend_on_the_whole_policy(store: Store, connect: Connect) -> None:
    generation = store.generation
    connect().commit(create(group("theirs")))
    with pytest.raises(Conflict, match="the policy has changed"):
        store.commit(create(group("mine")), at_generation=generation)
    assert store.commit(create(group("mine")), at_generation=store.generation) == generation + 2


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (SecurityGroup("no-uuid", "web"), "id: 'no-uuid' is not a lower-case UUID"),
        (Network(new_id(), "blue", segmentation_id=5000), "segmentation_id: 5000 is no VLAN id"),
        (replace(rule(group()), number=17), "number: 17 cannot be chosen by the caller"),
        (group("\ud800"), "name: .* control characters"),
    ],
)
def test_an_invalid_object_is_not_written(store: Store, bad: PolicyObject, reason: str) -> None:
    fine = group("fine")
    with pytest.raises(StoreError, match=reason):
        store.commit(create(fine, bad))
    assert not store.objects[SecurityGroup]


def test_concurrent_additions_to_a_large_address_group_are_small_writes(store: Store) -> None:
    """The size of a write depends on the change, not on the size of the group."""
    addresses = frozenset(Prefix(4, (10 << 24) + n, 32) for n in range(20_000))
    many = AddressGroup(new_id(), "many", addresses)
    store.commit(create(many))
    sent: list[int] = []
    store._replica._session.rpc.send = measured(store._replica._session.rpc.send, sent)
    more = replace(many, addresses=addresses - {Prefix.parse("10.0.0.7")} | {Prefix.parse("192.0.2.1")})
    store.commit([Change(many, more)])
    assert store.objects[AddressGroup][many.id] == more
    assert 0 < sum(sent) < 4000


def measured(send: Callable[[Any], int], sizes: list[int]) -> Callable[[Any], int]:
    def measure(message: Any) -> int:
        sizes.append(len(str(message)))
        return send(message)

    return measure
