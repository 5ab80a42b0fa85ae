from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.compiler.bridge import LocalState, compile_bridge
from flows.policy.objects import Change, Meta, Network, PolicyObject, Port, SecurityGroup
from sgctl.controller.bindings import Binding
from sgctl.controller.engine import Engine
from sgctl.store import BindingState
from sgctl.vswitch.devices import Interface
from sgctl.vswitch.local_switches import Bridge
from sgctl.vswitch.uplinks import Declaration

BLUE = Network("net-blue", "blue")
RED = Network("net-red", "red", segmentation_id=7)
GROUP = SecurityGroup("group", "group")
ONE = Port("port-1", "one", BLUE.id, "02:00:00:00:00:01", "one", security_groups=frozenset([GROUP.id]))


def workload(name: str, ofport: int, iface_id: str) -> Interface:
    return Interface(name, ofport, iface_id, None)


def uplink(ofport: int, networks: str, ids: str = "") -> Interface:
    return Interface("up", ofport, "", networks, uplink_ids=ids)


def bridge(*interfaces: Interface, name: str = "br0", dpid: int = 1) -> Bridge:
    return Bridge(name, dpid, "secure", interfaces, controllers=frozenset(["controller"]))


@pytest.fixture
def engine() -> Engine:
    made = Engine()
    add(made, BLUE, RED, GROUP, ONE)
    return made


def add(engine: Engine, *objects: PolicyObject) -> None:
    engine.change_policy([Change(None, each) for each in objects])


def bindings(engine: Engine, *bridges: Bridge) -> dict[str, Binding]:
    engine.change_bridges({each.dpid: each for each in bridges})
    engine.missing_zones()
    return {
        f"{managed.bridge.name}/{name}": binding
        for managed in engine.bridges.values()
        for name, binding in managed.bindings.of_interface.items()
    }


def test_an_interface_is_bound_by_its_iface_id(engine: Engine) -> None:
    found = bindings(
        engine, bridge(workload("tap1", 1, "one"), workload("tap2", 2, "two"), workload("tap3", 3, ""))
    )
    assert found["br0/tap1"].state is BindingState.BOUND
    assert found["br0/tap1"].port_id == ONE.id
    assert found["br0/tap2"].state is BindingState.QUARANTINED
    assert "'two'" in found["br0/tap2"].reason
    assert "neither iface-id nor sgctl-uplink" in found["br0/tap3"].reason


def test_a_bridge_without_a_controller_is_not_managed(engine: Engine) -> None:
    other = replace(bridge(workload("tap1", 1, "one"), workload("tap3", 3, "")), controllers=frozenset())
    assert bindings(engine, other).keys() == {"br0/tap1"}
    assert bindings(engine, bridge(*other.interfaces)).keys() == {"br0/tap1", "br0/tap3"}
    assert bindings(engine, other).keys() == {"br0/tap1"}


def test_a_port_is_bound_once_on_a_host(engine: Engine) -> None:
    first, second = bridge(workload("tap1", 1, "one")), bridge(workload("tap0", 1, "one"), name="br1", dpid=2)
    found = bindings(engine, first, second)
    assert found["br0/tap1"].state is BindingState.BOUND
    assert found["br1/tap0"].state is BindingState.QUARANTINED
    assert "br0/tap1" in found["br1/tap0"].reason
    assert bindings(engine, bridge(), second)["br1/tap0"].state is BindingState.BOUND


def test_a_port_that_appears_or_changes_its_iface_id_is_bound(engine: Engine) -> None:
    bindings(engine, bridge(workload("tap1", 1, "later")))
    engine.change_policy([Change(ONE, replace(ONE, iface_id="later"))])
    assert engine.missing_zones() == {("br0", BLUE.id)}
    engine.change_policy([Change(replace(ONE, iface_id="later"), None)])
    assert engine.missing_zones() == set()


def test_uplinks_carry_what_they_name(engine: Engine) -> None:
    found = bindings(engine, bridge(uplink(1, "blue, red,green")))["br0/up"]
    assert found.state is BindingState.UPLINK
    assert found.networks == {BLUE.id, RED.id}
    assert "'green'" in found.reason
    assert bindings(engine, bridge(uplink(1, "green")))["br0/up"].state is BindingState.QUARANTINED
    add(engine, Network("net-green", "green", segmentation_id=8))
    assert engine.missing_zones() == {("br0", "net-green")}


def of_age(network: Network, created_at: str) -> Network:
    return replace(network, meta=Meta(created_at=created_at))


def test_of_networks_with_the_same_tag_an_uplink_carries_the_first() -> None:
    engine = Engine()
    blue, grey, old = (
        of_age(Network(f"net-{name}", name), f"2026-01-0{day}T00:00:00Z")
        for day, name in ((2, "blue"), (3, "a-later-one"), (1, "old"))
    )
    add(engine, RED, blue)
    for changes in ([Change(None, grey)], [Change(None, replace(RED, id="net-red2", name="also-red"))]):
        engine.change_policy(changes)
        found = bindings(engine, bridge(uplink(1, "*")))["br0/up"]
        assert found.networks == {RED.id, blue.id}, "the older network is kept"
    assert "the same VLAN as another network: a-later-one, also-red" in found.reason
    engine.change_policy([Change(None, old)])
    found = bindings(engine, bridge(uplink(1, "*,a-later-one")))["br0/up"]
    assert found.networks == {RED.id, grey.id}, "networks declared by name have precedence"
    engine.change_policy([Change(grey, replace(grey, segmentation_id=9))])
    engine.missing_zones()
    found = engine.bridges[1].bindings.of_interface["up"]
    assert found.networks == {RED.id, grey.id, old.id}


def declaration(engine: Engine, networks: str, ids: str = "") -> tuple[set[str], Declaration]:
    """The networks of an uplink with this declaration, and the updated declaration."""
    found = bindings(engine, bridge(uplink(1, networks, ids)))["br0/up"]
    told = [declared for _, declared in engine.outdated_declarations()]
    assert engine.outdated_declarations() == []
    return set(found.networks), told[0] if told else Declaration(networks, ids)


def test_a_resolved_name_keeps_its_network(engine: Engine) -> None:
    carried, said = declaration(engine, "blue, red,green")
    assert carried == {BLUE.id, RED.id}
    assert said == Declaration("blue,red,green", "blue=net-blue,red=net-red")
    assert declaration(engine, *said) == (carried, said)
    engine.change_policy([Change(BLUE, replace(BLUE, name="sky"))])
    add(engine, Network("net-other", "blue", segmentation_id=9), Network("net-third", "red"))
    renamed = Declaration("sky,red,green", "sky=net-blue,red=net-red")
    assert declaration(engine, *said) == (carried, renamed)
    assert declaration(engine, *renamed) == (carried, renamed)
    assert declaration(engine, "blue", renamed.ids)[0] == {"net-other"}


def test_an_ambiguous_name_is_written_as_an_id(engine: Engine) -> None:
    _, said = declaration(engine, "blue,red")
    engine.change_policy([Change(BLUE, replace(BLUE, name="a, b")), Change(RED, replace(RED, name="*"))])
    assert declaration(engine, *said) == ({BLUE.id, RED.id}, Declaration("net-blue,net-red"))
    engine.change_policy(
        [
            Change(replace(BLUE, name="a, b"), replace(BLUE, name="x=y")),
            Change(replace(RED, name="*"), replace(RED, name="x=y")),
        ]
    )
    assert declaration(engine, *said) == ({BLUE.id, RED.id}, Declaration("net-blue,net-red"))
    engine.change_policy([Change(replace(RED, name="x=y"), replace(RED, name="net-blue"))])
    expected = Declaration("x=y,net-red", "x=y=net-blue")
    assert declaration(engine, *said) == ({BLUE.id, RED.id}, expected)
    assert declaration(engine, *expected) == ({BLUE.id, RED.id}, expected)


def test_a_recreated_network_is_on_its_uplink_again(engine: Engine) -> None:
    _, said = declaration(engine, "blue")
    engine.change_policy([Change(ONE, None), Change(BLUE, None)])
    assert declaration(engine, *said) == (set(), said)
    add(engine, Network("net-new", "blue"))
    assert declaration(engine, *said) == ({"net-new"}, Declaration("blue", "blue=net-new"))


OF_A_PROJECT = Meta(project_id="tenant")


def test_names_of_project_networks_are_not_resolved(engine: Engine) -> None:
    theirs = Network("net-theirs", "blue", meta=OF_A_PROJECT)
    early = Network("net-early", "later", meta=OF_A_PROJECT)
    add(engine, theirs, early)
    for declared in (Declaration("blue"), Declaration("blue", "blue=net-blue"), Declaration("*")):
        carried, _ = declaration(engine, *declared)
        assert carried == ({BLUE.id, RED.id} if declared.names == "*" else {BLUE.id})
    found = bindings(engine, bridge(uplink(1, "later")))["br0/up"]
    assert found.state is BindingState.QUARANTINED
    assert "network 'later' belongs to project 'tenant'" in found.reason
    assert declaration(engine, "later", "later=net-early")[0] == {early.id}
    tagged = replace(early, segmentation_id=12)
    engine.change_policy([Change(early, tagged)])
    assert declaration(engine, "*")[0] == {BLUE.id, RED.id, early.id}


def test_a_port_stays_closed_until_its_network_has_a_zone(engine: Engine) -> None:
    engine.change_bridges({1: bridge(workload("tap1", 1, "one"))})
    assert engine.missing_zones() == {("br0", BLUE.id)}
    before = engine.flush()[1]
    assert not any("in_port=1" in str(flow) for flow in before.added)
    engine.change_zones({("br0", BLUE.id): 5})
    assert any("in_port=1" in str(flow) for flow in engine.flush()[1].added)
    assert engine.flush() == {}
    engine.change_bridges({1: bridge()})
    assert any("in_port=1" in str(flow) for flow in engine.flush()[1].removed)


def vacated(engine: Engine, *interfaces: Interface) -> frozenset[int]:
    engine.change_bridges({1: bridge(*interfaces)})
    diffs = engine.flush()
    return diffs[1].vacated if diffs else frozenset()


def test_a_port_number_is_vacated_when_its_occupant_leaves(engine: Engine) -> None:
    two = replace(ONE, id="port-2", name="two", iface_id="two")
    add(engine, two)
    engine.change_zones({("br0", BLUE.id): 5})
    tap = workload("tap1", 1, "")
    assert vacated(engine, tap, workload("tap2", 2, "")) == frozenset()
    assert vacated(engine, replace(tap, iface_id="one"), workload("tap2", 2, "")) == frozenset()
    assert vacated(engine, replace(tap, iface_id="two"), workload("tap2", 2, "")) == {1}
    assert vacated(engine, replace(tap, iface_id="two")) == {2}
    assert vacated(engine, replace(tap, iface_id="two", ofport=9)) == {1}
    assert vacated(engine, workload("tap3", 9, "two")) == {9}
    assert vacated(engine) == {9}


def test_a_change_of_the_policy_vacates_nothing(engine: Engine) -> None:
    engine.change_zones({("br0", BLUE.id): 5})
    assert vacated(engine, workload("tap1", 1, "one")) == frozenset()
    closed = replace(ONE, security_groups=frozenset(), admin_state_up=False)
    engine.change_policy([Change(ONE, closed)])
    diff = engine.flush()[1]
    assert diff.removed
    assert not diff.vacated
    engine.change_policy([Change(closed, None)])
    assert engine.flush()[1].vacated == {1}


PLUGGED = st.dictionaries(st.integers(1, 4), st.sampled_from(["one", "two", "three", ""]))


@given(st.lists(st.one_of(PLUGGED, st.sampled_from(["one", "two", "three"])), max_size=12))
def test_incremental_changes_lead_to_the_same_flows(steps: list[dict[int, str] | str]) -> None:
    """Devices change numbers and ports; ports come and go. A fresh engine then computes the same flows."""
    engine, zones = Engine(), {BLUE.id: 5}
    add(engine, BLUE, GROUP)
    engine.change_zones({("br0", BLUE.id): 5})
    for number, step in enumerate(steps):
        if isinstance(step, dict):
            found = [
                workload(f"tap{iface_id or ofport}", ofport, iface_id) for ofport, iface_id in step.items()
            ]
            engine.change_bridges({1: bridge(*{each.name: each for each in found}.values())})
        else:
            held = engine.policy.ports.get(step)
            port = Port(step, step, BLUE.id, f"02:00:00:00:00:{len(step):02x}", step)
            engine.change_policy([Change(held, None if held else port)])
        if number % 2:
            engine.flush()
    engine.flush()
    for managed in engine.bridges.values():
        state = LocalState(managed.bindings.ports, managed.bindings.uplinks, zones)
        assert managed.compiler.flows == compile_bridge(engine.policy, state)
