"""State of one side, one network or one lookup that must not affect the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.compiler.bridge import LocalState, compile_bridge
from flows.openflow.pipeline import EGRESS_PREFIX, INGRESS_PREFIX
from flows.policy.index import Policy
from flows.policy.objects import (
    Change,
    Direction,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from flows.reference.verdict import Conversation, Packet, State, judge
from lab.ovs import PrivateOvs
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.judging import disagreements, load, send
from tests.unit.strategies import mac_of

pytestmark = pytest.mark.switch

TCP = 6
ONE, TWO = Prefix.parse("10.0.0.1"), Prefix.parse("10.0.0.2")


def port(name: str, address: Prefix, group: str, network: str = "blue") -> Port:
    return Port(name, name, network, mac_of(name), name, (address,), frozenset([group]))


def rule(number: int, group: str, direction: Direction, **what: object) -> Rule:
    return Rule(f"r{number}", number, group, direction, Ethertype.IPV4, **what)  # type: ignore[arg-type]


def packet(destination_port: int = 80, state: State = State.NEW) -> Packet:
    return Packet("blue", "p0", "p1", Conversation(ONE, TWO, TCP, 1000, destination_port), state)


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "leaks", wiring.INTERFACES) as made:
        yield made


BASE: list[PolicyObject] = [Network("blue", "blue"), SecurityGroup("g0", "g0"), SecurityGroup("g1", "g1")]


def test_the_senders_lookup_of_group_members_is_reset(bridge: BareBridge) -> None:
    """The receiver is a member of the group that its own rule names; the sender is not."""
    objects: list[PolicyObject] = [
        *BASE,
        rule(16, "g0", Direction.EGRESS, remote_group_id="g1"),
        rule(17, "g1", Direction.INGRESS, remote_group_id="g1"),
        port("p0", ONE, "g0"),
        port("p1", TWO, "g1"),
    ]
    text = load(bridge, objects)
    assert not judge(text, packet()).allowed
    assert disagreements(bridge, text, packet()) == []


def test_the_senders_lookup_of_prefixes_is_reset(bridge: BareBridge) -> None:
    objects: list[PolicyObject] = [
        *BASE,
        rule(16, "g0", Direction.EGRESS, remote_ip_prefix=TWO),
        rule(17, "g1", Direction.INGRESS, remote_ip_prefix=TWO),
        port("p0", ONE, "g0"),
        port("p1", TWO, "g1"),
    ]
    text = load(bridge, objects)
    assert not judge(text, packet()).allowed
    assert disagreements(bridge, text, packet()) == []


@pytest.mark.parametrize("scope", [None, "shared"])
def test_an_address_of_another_network_is_another_machine(bridge: BareBridge, scope: str | None) -> None:
    """p2 is a member with p0's address in another network; it counts only with a common address scope."""
    objects: list[PolicyObject] = [
        *BASE[1:],
        Network("blue", "blue", address_scope=scope),
        Network("red", "red", address_scope=scope),
        SecurityGroup("g2", "g2"),
        rule(16, "g0", Direction.EGRESS),
        rule(17, "g1", Direction.INGRESS, remote_group_id="g2"),
        port("p0", ONE, "g0"),
        port("p1", TWO, "g1"),
        port("p2", ONE, "g2", "red"),
        port("p3", Prefix.parse("10.0.0.9"), "g1", "red"),
    ]
    text = load(bridge, objects)
    assert judge(text, packet()).allowed == (scope is not None)
    assert disagreements(bridge, text, packet()) == []


NESTED = ["10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.0.0/30", "10.0.0.1"]


def test_every_prefix_around_an_address_counts(bridge: BareBridge) -> None:
    nested: list[PolicyObject] = [
        rule(
            20 + n,
            "g1",
            Direction.INGRESS,
            protocol=TCP,
            port_range_min=80 + n,
            port_range_max=80 + n,
            remote_ip_prefix=Prefix.parse(text),
        )
        for n, text in enumerate(NESTED)
    ]
    objects = [*BASE, *nested, rule(16, "g0", Direction.EGRESS), port("p0", ONE, "g0"), port("p1", TWO, "g1")]
    text = load(bridge, objects)
    for number in range(len(NESTED)):
        assert judge(text, packet(80 + number)).allowed
        assert disagreements(bridge, text, packet(80 + number)) == []


def test_longer_prefixes_have_higher_priority() -> None:
    """Of equal ones Open vSwitch may take any."""
    rules: list[PolicyObject] = [
        rule(20 + n, f"g{n % 2}", list(Direction)[n // len(NESTED)], remote_ip_prefix=Prefix.parse(text))
        for n, text in enumerate(NESTED * 2)
    ]
    policy = Policy()
    policy.apply(Change(None, each) for each in [*BASE, *rules, port("p0", ONE, "g0"), port("p1", TWO, "g1")])
    flows = compile_bridge(policy, LocalState({1: "p0", 2: "p1"}, {}, {"blue": 1}))
    for table in (EGRESS_PREFIX, INGRESS_PREFIX):
        found = {
            (key.priority, term.mask)
            for key in flows
            for term in key.match
            if key.table == table.id and term.field.name.endswith(("nw_src", "nw_dst"))
        }
        priorities = [priority for priority, _ in sorted(found, key=lambda pair: pair[1] or (1 << 32) - 1)]
        assert len(set(priorities)) == len(NESTED)
        assert priorities == sorted(priorities)


def test_a_connection_is_committed_when_both_sides_allow_it(bridge: BareBridge) -> None:
    objects = [
        *BASE,
        rule(16, "g0", Direction.EGRESS),
        rule(17, "g1", Direction.INGRESS, protocol=TCP, port_range_min=80, port_range_max=80),
        port("p0", ONE, "g0"),
        port("p1", TWO, "g1"),
    ]
    text = load(bridge, objects)
    outwards = Packet("blue", "p0", None, Conversation(ONE, Prefix.parse("192.0.2.1"), TCP, 1000, 80))
    assert "ct(commit" in send(bridge, text, packet()).text
    assert "ct(commit" in send(bridge, text, outwards).text
    assert "ct(commit" not in send(bridge, text, packet(81)).text
    assert "ct(commit" not in send(bridge, text, packet(state=State.ESTABLISHED)).text
