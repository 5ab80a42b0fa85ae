"""Packets that the switch once handled wrongly, or almost, each with a minimal policy that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from flows.openflow.reasons import Reason
from flows.policy.objects import (
    AddressPair,
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
from tests.ovs.judging import disagreements, load
from tests.unit.strategies import mac_of

pytestmark = pytest.mark.switch

BLUE = Network("blue", "blue")
ONE, TWO = Prefix.parse("10.0.0.1"), Prefix.parse("10.0.0.2")
ONE6, TWO6 = Prefix.parse("2001:db8::1"), Prefix.parse("2001:db8::2")
ROUTER6 = Prefix.parse("fe80::1")


def port(name: str, *groups: str, secure: bool = True) -> Port:
    address, address6 = {"p0": (ONE, ONE6), "p1": (TWO, TWO6)}[name]
    return Port(
        name,
        name,
        "blue",
        mac_of(name),
        name,
        (address, address6),
        frozenset(groups),
        port_security_enabled=secure,
    )


def ingress(number: int, group: str, protocol: int, low: int | None = None, high: int | None = None) -> Rule:
    return Rule(f"r{number}", number, group, Direction.INGRESS, Ethertype.IPV4, protocol, low, high)


def everything_out(number: int, group: str) -> Rule:
    return Rule(f"r{number}", number, group, Direction.EGRESS, Ethertype.IPV4)


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "hard", wiring.INTERFACES) as made:
        yield made


def check(bridge: BareBridge, objects: list[PolicyObject], packet: Packet, *, allowed: bool) -> None:
    text = load(bridge, objects)
    assert judge(text, packet).allowed is allowed
    assert disagreements(bridge, text, packet) == []


@pytest.mark.parametrize("port_number", [22, 80])
def test_a_stateless_receiver_checks_the_header_of_a_tracked_reply(
    bridge: BareBridge, port_number: int
) -> None:
    """Port 80 of the connection is not port 80 of the packet."""
    stateless = SecurityGroup("g0", "g0", stateful=False)
    objects: list[PolicyObject] = [BLUE, stateless, ingress(16, "g0", 6, port_number, port_number)]
    objects += [port("p0", secure=False), port("p1", "g0")]
    connection = Conversation(TWO, ONE, 6, 22, 80)
    packet = Packet("blue", "p0", "p1", connection.reverse, State.REPLY, connection)
    check(bridge, objects, packet, allowed=port_number == 22)


@pytest.mark.parametrize("source", [ROUTER6, ONE6], ids=["from-the-link", "from-anywhere"])
@pytest.mark.parametrize("hops", [255, 64])
@pytest.mark.parametrize(
    "service", [(17, 547, 546), (58, 134, 0), (58, 137, 0), (58, 134, 1)], ids=lambda s: "-".join(map(str, s))
)
def test_a_port_without_security_may_run_the_network(
    bridge: BareBridge, service: tuple[int, int, int], hops: int, source: Prefix
) -> None:
    """As long as its messages stay on the link; only DHCPv6 has no required hop limit."""
    objects: list[PolicyObject] = [BLUE, port("p0", secure=False), port("p1")]
    packet = Packet("blue", "p0", "p1", Conversation(source, TWO6, *service), hops=hops)
    allowed = source is ROUTER6 and service[2] != 1 and (hops == 255 or service[0] == 17)
    check(bridge, objects, packet, allowed=allowed)


@pytest.mark.parametrize("state", [State.NEW, State.ESTABLISHED])
@pytest.mark.parametrize("low", [8, 0], ids=["echo", "echo-reply"])
def test_later_fragments_of_a_large_ping(bridge: BareBridge, low: int, state: State) -> None:
    """They carry no ICMP type, which reads as 0."""
    groups = SecurityGroup("g0", "g0"), SecurityGroup("g1", "g1")
    rules = everything_out(16, "g0"), ingress(17, "g1", 1, low, 0)
    objects: list[PolicyObject] = [BLUE, *groups, *rules, port("p0", "g0"), port("p1", "g1")]
    packet = Packet("blue", "p0", "p1", Conversation(ONE, TWO, 1, 8, 0), state, later_fragment=True)
    check(bridge, objects, packet, allowed=True)


def test_a_port_range_from_zero_does_not_allow_other_protocols(bridge: BareBridge) -> None:
    groups = SecurityGroup("g0", "g0"), SecurityGroup("g1", "g1")
    rules = everything_out(16, "g0"), ingress(17, "g1", 6, 0, 0)
    objects: list[PolicyObject] = [BLUE, *groups, *rules, port("p0", "g0"), port("p1", "g1")]
    for protocol in (17, 132, 47):
        packet = Packet("blue", "p0", "p1", Conversation(ONE, TWO, protocol, 0, 0), later_fragment=True)
        check(bridge, objects, packet, allowed=False)


@pytest.mark.parametrize("kind", ["first", "later"])
def test_a_fragment_of_a_port_without_a_rule_for_its_ethertype(bridge: BareBridge, kind: str) -> None:
    """It is dropped before the lookup; a whole packet is looked up, and the rules deny it."""
    groups = SecurityGroup("g0", "g0"), SecurityGroup("g1", "g1")
    rules = everything_out(16, "g0"), ingress(17, "g1", 17)
    load(bridge, [BLUE, *groups, *rules, port("p0", "g0"), port("p1", "g1")])
    sent = f"dl_src={mac_of('p0')},dl_dst={mac_of('p1')},udp6,ipv6_src={ONE6},ipv6_dst={TWO6}"
    got = f"dl_src=02:00:00:00:ff:01,dl_dst={mac_of('p1')},udp6,ipv6_src=2001:db8::9,ipv6_dst={TWO6}"
    for port_name, text, alone, whole in (
        ("p0", sent, Reason.EGRESS_FRAGMENT, Reason.EGRESS_POLICY),
        ("blue-up", got, Reason.INGRESS_FRAGMENT, Reason.INGRESS_POLICY),
    ):
        traced = bridge.trace(f"in_port={wiring.INTERFACES[port_name]},{text},nw_frag={kind}")
        assert (traced.reason, traced.outputs) == (alone, frozenset())
        assert "ct(" not in traced.text
        assert bridge.trace(f"in_port={wiring.INTERFACES[port_name]},{text}").reason is whole


def test_an_address_pair_with_a_neighbours_mac_does_not_take_its_frames(bridge: BareBridge) -> None:
    thief = replace(port("p0", "g0"), allowed_address_pairs=(AddressPair(mac_of("p1"), ONE),))
    objects: list[PolicyObject] = [BLUE, SecurityGroup("g0", "g0"), thief, port("p1", secure=False)]
    packet = Packet("blue", None, "p1", Conversation(Prefix.parse("10.0.0.9"), TWO, 17, 1024, 53))
    check(bridge, objects, packet, allowed=True)


@pytest.mark.parametrize(("low", "allowed"), [(0, True), (1, False)])
def test_an_error_about_sctp_shows_no_port_and_passes_a_rule_for_all_of_them(
    bridge: BareBridge, low: int, allowed: bool
) -> None:
    objects: list[PolicyObject] = [BLUE, SecurityGroup("g1", "g1"), ingress(17, "g1", 132, low, 65535)]
    objects += [port("p0", secure=False), port("p1", "g1")]
    error = Conversation(ONE, TWO, 1, 3, 3)
    connection = Conversation(ONE, TWO, 132, 1024, 3868)
    check(bridge, objects, Packet("blue", "p0", "p1", error, State.ESTABLISHED, connection), allowed=allowed)
