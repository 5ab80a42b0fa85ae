"""Large changes by members wait for each other, but not forever for a switch."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from flows.policy.objects import AddressGroup, Change, Direction, Ethertype, Port, Prefix, Rule
from sgctl.rest.large_changes import LARGE, PATIENCE_SECONDS, LargeChangeGate, weight
from sgctl.store import SwitchStatus
from sgctl.store.snapshot import PolicySnapshot

RULES = {
    str(n): Rule(str(n), n, group, Direction.INGRESS, Ethertype.IPV4)
    for n, group in enumerate(["few"] * 3 + ["many"] * LARGE, 1)
}
OBJECTS = PolicySnapshot({Rule: RULES})


def port(*groups: str) -> Port:
    return Port("p", "p", "n", "02:00:00:00:00:01", "p", security_groups=frozenset(groups))


def store(**generations: int) -> Any:
    switches = {
        name: SwitchStatus("host", name, "", connected=True, generation=generation)
        for name, generation in generations.items()
    }
    return SimpleNamespace(switches=switches)


def test_a_port_weighs_as_much_as_the_rules_that_it_gets_or_loses() -> None:
    assert weight((Change(None, port("few")),), OBJECTS) == 1 + 3
    assert weight((Change(port("few", "many"), port("few")),), OBJECTS) == 1 + LARGE
    assert weight((Change(port("many"), None),), OBJECTS) == 1 + LARGE
    assert weight((Change(port("many"), port("many")),), OBJECTS) == 1
    assert weight(tuple(Change(None, rule) for rule in RULES.values()), OBJECTS) == 3 + LARGE


def test_addresses_that_come_or_go_have_a_weight() -> None:
    addresses = frozenset(Prefix.parse(f"10.0.0.{number}") for number in range(LARGE))
    large, small = AddressGroup("a", "a", addresses), AddressGroup("a", "a", frozenset(list(addresses)[:3]))
    assert weight((Change(None, large),), OBJECTS) == 1 + LARGE
    assert weight((Change(large, small),), OBJECTS) == 1 + LARGE - 3
    assert weight((Change(large, replace(large, name="b")),), OBJECTS) == 1
    member = replace(port("members"), fixed_ips=tuple(addresses))
    objects = PolicySnapshot({AddressGroup: {"a": large}, Port: {"p": member}})
    rule = RULES["1"]
    assert weight((Change(None, replace(rule, remote_address_group_id="a")),), objects) == 1 + LARGE
    assert weight((Change(replace(rule, remote_group_id="members"), None),), objects) == 1 + LARGE
    assert weight((Change(None, rule),), objects) == 1


def test_the_next_change_waits_until_the_switches_have_a_large_one() -> None:
    pace = LargeChangeGate(lambda: 0.0)
    pace.begin((Change(None, port("few")),), OBJECTS, 7)
    assert pace.is_free(store(br0=6))
    pace.begin((Change(None, port("many")),), OBJECTS, 8)
    assert not pace.is_free(store(br0=8, br1=7))
    assert pace.is_free(store(br0=8, br1=8))


def test_a_switch_that_does_not_answer_is_waited_for_once() -> None:
    now = [0.0]
    pace = LargeChangeGate(lambda: now[0])
    change = (Change(None, port("many")),)
    pace.begin(change, OBJECTS, 8)
    assert not pace.is_free(store(br0=8, hung=1))
    now[0] = PATIENCE_SECONDS
    assert pace.is_free(store(br0=8, hung=1))
    pace.begin(change, OBJECTS, 9)
    assert not pace.is_free(store(br0=8, hung=1))
    assert pace.is_free(store(br0=9, hung=1))
    assert pace.is_free(store(br0=9, hung=9))
    pace.begin(change, OBJECTS, 10)
    assert not pace.is_free(store(br0=10, hung=9))
