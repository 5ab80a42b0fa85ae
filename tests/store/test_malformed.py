"""Malformed rows of another tool: they and rows that refer to them are left out, and permit nothing more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows.policy.objects import (
    AddressGroup,
    Change,
    Direction,
    EgressDefault,
    Network,
    PolicyObject,
    Port,
    Rule,
    SecurityGroup,
)
from sgctl.store import Conflict, Store
from sgctl.store.status import row_is
from tests.store import samples
from tests.store.samples import create, delete, group, network, port, rule
from tests.store.waiting import changes_until

Transact = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def spoil(store: Store, transact: Transact) -> Callable[..., None]:
    """Overwrites columns of an object's row with `ovsdb-client` and waits until the store has seen it."""

    def write(obj: PolicyObject, **columns: Any) -> None:
        table = {AddressGroup: "Address_Group", SecurityGroup: "Security_Group"}.get(
            type(obj), type(obj).__name__
        )
        update = {"op": "update", "table": table, "where": row_is(obj.id), "row": columns}
        counter = {"op": "mutate", "table": "Global", "where": [], "mutations": [["generation", "+=", 1]]}
        assert transact(update, counter)[0] == {"count": 1}
        generation = store.generation + 1
        changes_until(store, lambda: store.generation == generation)

    return write


@pytest.mark.parametrize(
    ("kind", "columns", "reason"),
    [
        (Network, {"subnets": ["map", [[0, "10.0.0.1/24"]]]}, "subnets: '10.0.0.1/24' has host bits set"),
        (Network, {"subnet_details": "[" * 5000}, "subnet_details: .*(recursion|Expecting value)"),
        (Network, {"subnet_details": "{}"}, "subnet_details: .* does not describe a subnet"),
        (
            Network,
            {"subnets": ["map", [[0, "10.1.0.0/16"]]]},
            "subnet_details: 10.2.0.0/16 is not among the network's subnets",
        ),
        (Network, {"name": "\x1b[2J"}, "name: .* has control characters"),
        (AddressGroup, {"addresses": "everywhere"}, "addresses: 'everywhere' is not an IP address or CIDR"),
        (Port, {"mac": "ff:ff:ff:ff:ff:ff"}, "mac_address: .* is a multicast address"),
        (Port, {"fixed_ips": ["map", [[0, "10.0.0.0/8"]]]}, "fixed_ips: .* is a CIDR"),
        (
            Port,
            {"allowed_address_pairs": ["map", [[0, "10.0.0.1"]]]},
            "allowed_address_pairs: .* a space and",
        ),
        (Port, {"port_security_enabled": False}, "security_groups: must be empty"),
        (Rule, {"remote_ip_prefix": "0.0.0.0/33"}, "remote_ip_prefix: .* no prefix length from 0 to 32"),
        (Rule, {"port_range_max": ["set", []]}, "port_range_max: is missing"),
        (Rule, {"protocol": 58}, "protocol: 58"),
        (Rule, {"protocol": 33}, "port_range_min: the switch cannot see the ports of dccp"),
    ],
)
def test_a_malformed_row_is_left_out_and_reported_until_it_is_repaired(
    store: Store, spoil: Callable[..., None], kind: type[PolicyObject], columns: dict[str, Any], reason: str
) -> None:
    objects = samples.everything()
    store.commit(create(*objects))
    victim = next(obj for obj in objects if isinstance(obj, kind))
    sound = dict(store.objects[kind])
    before = {name: store._replica.rows[table_of(victim)][victim.id].get(name) for name in columns}

    spoil(victim, **columns)
    assert victim.id not in store.objects[kind]
    assert_matches(store.problems[victim.id], f"{table_of(victim)} row left out: .*{reason}")

    spoil(victim, **{name: value if value is not None else ["set", []] for name, value in before.items()})
    assert store.objects[kind] == sound
    assert not store.problems


def table_of(obj: PolicyObject) -> str:
    return {AddressGroup: "Address_Group", SecurityGroup: "Security_Group"}.get(type(obj), type(obj).__name__)


def assert_matches(text: str, pattern: str) -> None:
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


def test_rows_that_refer_to_a_malformed_row_are_left_out_too(
    store: Store, spoil: Callable[..., None]
) -> None:
    web, db, blue, red = group("web"), group("db"), network("blue"), network("red")
    from_web, open_rule = rule(db, remote_group_id=web.id), rule(db)
    in_web, in_db = port(blue, 1, security_groups=frozenset({web.id, db.id})), port(red, 2)
    store.commit(create(web, db, blue, red, from_web, open_rule, in_web, in_db))
    store.run()

    spoil(web, name="\a")
    assert set(store.objects[SecurityGroup]) == {db.id}
    assert set(store.objects[Rule]) == {open_rule.id}
    assert set(store.objects[Port]) == {in_db.id}
    assert set(store.problems) == {web.id, from_web.id, in_web.id}
    assert f"security_groups: security group {web.id} is left out" in store.problems[in_web.id]

    spoil(web, name="web")
    assert set(store.objects[Port]) == {in_web.id, in_db.id}
    assert not store.problems


def test_a_malformed_row_is_reported_as_a_deletion_and_an_addition(
    store: Store, connect: Callable[[], Store], spoil: Callable[..., None]
) -> None:
    blue = network()
    web1 = port(blue)
    store.commit(create(blue, web1))
    follower = connect()
    follower.run()
    told = []
    for generation, mac in enumerate(("x", "y", web1.mac), store.generation + 1):
        spoil(web1, mac=mac)
        while follower.generation < generation:
            told += follower.run()
    assert told == [Change(web1, None), Change(None, web1)]


@pytest.mark.parametrize("default_group", [False, True])
def test_a_malformed_only_egress_rule_does_not_open_egress(
    store: Store, spoil: Callable[..., None], default_group: bool
) -> None:
    web = group("web")
    open_network = network(
        "open",
        egress_default=EgressDefault.OPEN_UNTIL_RULE,
        default_group=web.id if default_group else None,
    )
    closed_network = network("closed")
    only = rule(web, direction=Direction.EGRESS)
    carried = frozenset[str]() if default_group else frozenset({web.id})
    at_risk, safe = (
        port(open_network, 1, security_groups=carried),
        port(closed_network, 2, security_groups=carried),
    )
    store.commit(create(web, open_network, closed_network, only, at_risk, safe))

    spoil(only, remote_ip_prefix="nonsense")
    assert set(store.objects[Port]) == {safe.id}
    assert set(store.objects[SecurityGroup]) == {web.id}
    assert "egress rule" in store.problems[at_risk.id]


def test_an_egress_rule_that_goes_with_its_remote_counts_too(
    store: Store, spoil: Callable[..., None]
) -> None:
    web, monitors = group("web"), AddressGroup(samples.new_id(), "monitors")
    blue = network("blue", egress_default=EgressDefault.OPEN_UNTIL_RULE)
    only = rule(web, direction=Direction.EGRESS, remote_address_group_id=monitors.id)
    store.commit(create(web, monitors, blue, only, port(blue, 1, security_groups=frozenset({web.id}))))
    spoil(monitors, addresses="nonsense")
    assert not store.objects[Port]


def test_a_group_can_be_deleted_with_a_rule_that_cannot_be_read(
    store: Store, spoil: Callable[..., None]
) -> None:
    web = group("web")
    bad = rule(web)
    store.commit(create(web, bad))
    spoil(bad, remote_ip_prefix="nonsense")
    store.commit(delete(web))
    assert not store.problems
    assert not store._replica.rows["Rule"]


def test_an_edit_on_an_object_that_another_tool_spoiled_is_a_conflict(
    store: Store, spoil: Callable[..., None]
) -> None:
    blue = network()
    store.commit(create(blue))
    spoil(blue, name="\a")
    with pytest.raises(Conflict):
        store.commit([Change(blue, replace(blue, name="azure"))])


def test_other_spellings_of_an_address_are_read_and_can_be_edited(
    store: Store, spoil: Callable[..., None]
) -> None:
    monitors = AddressGroup(samples.new_id(), "monitors")
    store.commit(create(monitors))
    spoil(monitors, addresses=["set", ["192.0.2.1/32", "2001:DB8:0::1"]])
    held = store.objects[AddressGroup][monitors.id]
    assert held == replace(monitors, addresses=frozenset(samples.prefixes("192.0.2.1", "2001:db8::1")))
    edited = replace(held, addresses=frozenset(samples.prefixes("2001:db8::1")))
    store.commit([Change(held, edited)])
    assert store.objects[AddressGroup][monitors.id] == edited
