"""Reports of controllers, their conntrack zones, and waiting for their reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from sgctl.store import BindingState, BindingStatus, Store, StoreError, SwitchStatus
from sgctl.store.server import PolicyServer
from sgctl.store.zones import HIGHEST_ZONE
from tests.store.samples import create, delete, network, new_id, port
from tests.store.waiting import changes_until

Connect = Callable[[], Store]

BR0 = SwitchStatus("host1", "br0", f"{1:016x}", connected=True, generation=3, flow_count=120)
BR1 = SwitchStatus("host1", "br1", f"{2:016x}", error="not connected")
ELSEWHERE = SwitchStatus("host2", "br0", f"{1:016x}", connected=True, generation=2)
UPLINK = BindingStatus(BR0.key, "eth0", 1, BindingState.UPLINK)
STRAY = BindingStatus(BR0.key, "veth0", 7, BindingState.QUARANTINED, reason="no iface-id")


def test_reports_are_seen_by_others(store: Store, connect: Connect) -> None:
    blue = network()
    web1 = port(blue)
    store.commit(create(blue, web1))
    bound = BindingStatus(BR0.key, "veth1", 2, BindingState.BOUND, web1.id)
    store.report([BR0, BR1], [UPLINK, STRAY, bound])

    other = connect()
    assert other.switches == {"host1/br0": BR0, "host1/br1": BR1} == store.switches
    assert other.bindings == {each.key: each for each in (UPLINK, STRAY, bound)}


def test_a_report_replaces_what_its_chassis_said_and_nothing_else(store: Store, connect: Connect) -> None:
    connect().report([ELSEWHERE], [replace(UPLINK, switch=ELSEWHERE.key)])
    store.report([BR0, BR1], [UPLINK, STRAY])
    later = replace(BR0, generation=4)
    moved = replace(STRAY, ofport=8)
    store.report([later], [moved])
    assert set(store.switches.values()) == {later, ELSEWHERE}
    assert set(store.bindings.values()) == {moved, replace(UPLINK, switch=ELSEWHERE.key)}
    store.report([], [], "host1")
    assert set(store.switches.values()) == {ELSEWHERE}
    assert set(store.bindings) == {(ELSEWHERE.key, "eth0")}


def test_an_unchanged_report_writes_nothing(store: Store) -> None:
    store.report([BR0], [UPLINK])
    version = store._replica.last_id, store._replica.change_seqno
    store.report([BR0], [UPLINK])
    store.block(0.05)
    store.run()
    assert version == (store._replica.last_id, store._replica.change_seqno)


def test_reports_do_not_change_the_policy(store: Store) -> None:
    generation = store.generation
    store.report([BR0], [UPLINK])
    assert store.generation == generation
    assert store.run() == []


def test_a_generation_that_arrives_during_a_report_is_reported_at_once(
    store: Store, connect: Connect
) -> None:
    """The generation changes no object, but a client waits until the switches have it."""
    connect().commit(())
    store.report([BR0], [UPLINK])
    start = time.monotonic()
    store.block(5.0)
    assert time.monotonic() - start < 1.0
    store.run()
    store.block(0.2)
    start = time.monotonic()
    store.block(0.2)
    assert time.monotonic() - start > 0.1, "after the report there is nothing to do"


def test_a_deleted_port_leaves_its_binding(store: Store) -> None:
    blue = network()
    web1 = port(blue)
    store.commit(create(blue, web1))
    bound = BindingStatus(BR0.key, "veth1", 2, BindingState.BOUND, web1.id)
    store.report([BR0], [bound])
    store.commit(delete(web1))
    assert store.bindings[bound.key] == replace(bound, port_id="")


def test_waiting_names_the_connected_switches_that_are_late(store: Store) -> None:
    assert store.wait_applied(10, 0) == []
    store.report([BR0, BR1], [])
    assert store.wait_applied(3, 0) == []
    started = time.monotonic()
    assert store.wait_applied(4, 0.2) == ["host1/br0"]
    assert time.monotonic() - started >= 0.2


def test_waiting_ends_when_the_last_switch_has_the_change(store: Store, server: PolicyServer) -> None:
    store.report([BR0], [])

    def confirm() -> None:
        time.sleep(0.2)
        with closing(Store.connect(server.remote)) as controller:
            controller.report([replace(BR0, generation=4)], [])

    thread = threading.Thread(target=confirm)
    thread.start()
    started = time.monotonic()
    assert store.wait_applied(4, 10) == []
    assert 0.2 <= time.monotonic() - started < 2
    thread.join()


@pytest.fixture
def networks(store: Store) -> list[str]:
    made = [network(name) for name in ("blue", "green", "red")]
    store.commit(create(*made))
    return [each.id for each in made]


def test_zones_are_unique_per_chassis_and_do_not_change(
    store: Store, connect: Connect, networks: list[str]
) -> None:
    pairs = [(bridge, each) for bridge in ("br0", "br1") for each in networks]
    store.allocate_zones("host1", pairs[:4])
    first = dict(store.zones)
    store.allocate_zones("host1", pairs)
    store.allocate_zones("host2", pairs[:1])
    other = connect()
    assert {key: zone for key, zone in other.zones.items() if key in first} == first
    here = [zone for key, zone in other.zones.items() if key[0] == "host1"]
    assert sorted(here) == list(range(1, 7))
    assert other.zones["host2", *pairs[0]] == 1


def test_controllers_of_one_chassis_share_its_zones(
    store: Store, server: PolicyServer, networks: list[str]
) -> None:
    bridges = [f"br{number}" for number in range(20)]

    def allocate(offset: int) -> None:
        with closing(Store.connect(server.remote)) as controller:
            for turn in range(20):
                bridge = bridges[(turn + offset) % 20]
                controller.allocate_zones("host1", [(bridge, each) for each in networks])

    threads = [threading.Thread(target=allocate, args=(offset,)) for offset in (0, 0, 3, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    changes_until(store, lambda: len(store.zones) == 60)
    assert len(set(store.zones.values())) == 60


def test_the_zone_of_a_deleted_network_is_reused_last(store: Store, networks: list[str]) -> None:
    store.allocate_zones("host1", [("br0", each) for each in networks])
    blue = store.objects[type(network())][networks[0]]
    store.commit(delete(blue))
    fresh = network("fresh")
    store.commit(create(fresh))
    store.allocate_zones("host1", [("br0", fresh.id)])
    assert store.zones["host1", "br0", fresh.id] == 4
    assert ("host1", "br0", networks[0]) not in store.zones


def test_after_the_last_zone_the_first_free_one_is_used(store: Store, networks: list[str]) -> None:
    last = {"chassis": "host1", "bridge": "br0", "network": ["uuid", networks[0]], "zone": HIGHEST_ZONE}
    insert = {"op": "insert", "table": "Zone", "row": last}
    assert store._replica.transact([insert], time.monotonic() + 5)
    store.allocate_zones("host1", [("br0", networks[1]), ("br0", networks[2])])
    assert sorted(store.zones.values()) == [1, 2, HIGHEST_ZONE]


def test_more_networks_than_zones_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match="no conntrack zone is free on host1"):
        store.allocate_zones("host1", [("br0", new_id()) for _ in range(HIGHEST_ZONE + 1)])


def test_a_renamed_host_takes_its_rows_along(store: Store, connect: Connect, networks: list[str]) -> None:
    store.report([BR0, BR1], [UPLINK])
    store.allocate_zones("host1", [("br0", each) for each in networks])
    store.report([ELSEWHERE], [])
    zones = {key[1:]: zone for key, zone in store.zones.items()}
    store.rename_host("host1", 'node"1')

    other = connect()
    assert other.hosts == {'node"1', "host2"}
    assert other.switches == {
        each.key: each for each in (replace(BR0, chassis='node"1'), replace(BR1, chassis='node"1'), ELSEWHERE)
    }
    assert set(other.bindings) == {('node"1/br0', "eth0")}
    assert {key[1:]: zone for key, zone in other.zones.items() if key[0] == 'node"1'} == zones


def test_a_name_that_is_in_use_keeps_its_own_rows(store: Store, networks: list[str]) -> None:
    store.report([BR0], [UPLINK])
    store.allocate_zones("host1", [("br0", networks[0])])
    store.allocate_zones("host2", [("br0", networks[1])])
    store.rename_host("host1", "host2")
    assert store.hosts == {"host2"}
    assert store.zones == {("host2", "br0", networks[1]): 1}


def test_a_forgotten_host_leaves_nothing(store: Store, networks: list[str]) -> None:
    store.report([BR0, BR1], [UPLINK])
    store.report([ELSEWHERE], [])
    store.allocate_zones("host1", [("br0", networks[0])])
    store.delete_host("host1")
    assert store.hosts == {"host2"}
    assert not store.bindings
    assert not store.zones


def test_a_question_is_answered_once(store: Store, connect: Connect) -> None:
    controller = connect()
    controller.report([BR0, BR1], [])
    number = store.ask()
    assert controller.wait_until(lambda: controller.asked == number, 5)
    controller.answer("host1", number)
    assert store.wait_until(lambda: all(each.answered == number for each in store.switches.values()), 5)
    before = controller._replica.change_seqno
    controller.answer("host1", number)
    controller.block(0.05)
    controller.run()
    assert controller._replica.change_seqno == before
    assert number < store.ask() == number + 1


def test_without_a_connection_a_report_fails_at_once(store: Store, server: PolicyServer) -> None:
    server.stop()
    store.run()
    started = time.monotonic()
    with pytest.raises(StoreError, match="not connected"):
        store.report([BR0], [])
    assert time.monotonic() - started < 1
