"""Real frames through Open vSwitch's connection tracker, whose state `ofproto/trace` only gets as input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit, SCTPChunkInitAck
from scapy.packet import Packet, Raw

from flows.openflow.numbers import ROUTER_OF_ORIGINAL
from flows.policy.index import link_local
from flows.policy.objects import Direction, Ethertype, PolicyObject, Prefix, Rule, SecurityGroup
from lab.ovs import PrivateOvs
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.judging import load
from tests.ovs.test_hard_cases import BLUE, everything_out, ingress, port
from tests.unit.strategies import mac_of

pytestmark = pytest.mark.switch

CLIENT, SERVER = SecurityGroup("g0", "g0"), SecurityGroup("g1", "g1")
BASE: list[PolicyObject] = [
    BLUE,
    CLIENT,
    SERVER,
    everything_out(16, "g0"),
    port("p0", "g0"),
    port("p1", "g1"),
]
OUTSIDE_MAC = "02:00:00:00:ff:01"


class Wire:
    """Hosts that send one frame at a time, and what comes of it."""

    def __init__(self, bridge: BareBridge) -> None:
        self._bridge = bridge

    def policy(self, *objects: PolicyObject) -> None:
        """Apply the policy; on return, the datapath has revalidated its flows."""
        load(self._bridge, [*BASE, *objects])
        self._bridge.control.call("revalidator/wait")

    def send(self, interface: str, frame: Packet) -> set[str]:
        """The ports through which the frame leaves."""
        return self._bridge.send(interface, bytes(frame))


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "real", wiring.INTERFACES) as made:
        yield made


@pytest.fixture
def wire(bridge: BareBridge) -> Wire:
    bridge.control.call("dpctl/flush-conntrack")
    return Wire(bridge)


def there(payload: Packet) -> Packet:
    """From p0 to p1."""
    return Ether(src=mac_of("p0"), dst=mac_of("p1")) / IP(src="10.0.0.1", dst="10.0.0.2") / payload


def back(payload: Packet) -> Packet:
    """From p1 to p0."""
    return Ether(src=mac_of("p1"), dst=mac_of("p0")) / IP(src="10.0.0.2", dst="10.0.0.1") / payload


def handshake(wire: Wire) -> None:
    assert wire.send("p0", there(TCP(sport=4000, dport=80, flags="S", seq=1))) == {"p1"}
    assert wire.send("p1", back(TCP(sport=80, dport=4000, flags="SA", seq=1, ack=2))) == {"p0"}
    assert wire.send("p0", there(TCP(sport=4000, dport=80, flags="A", seq=2, ack=2))) == {"p1"}


def push(wire: Wire) -> set[str]:
    return wire.send("p1", back(TCP(sport=80, dport=4000, flags="PA", seq=2, ack=2) / Raw(b"data")))


def test_a_connection_passes_only_while_its_rule_exists(wire: Wire) -> None:
    http = ingress(17, "g1", 6, 80, 80)
    wire.policy(http)
    handshake(wire)
    assert push(wire) == {"p0"}
    wire.policy(ingress(17, "g1", 6, 81, 81))
    assert push(wire) == set()
    assert wire.send("p0", there(TCP(sport=4000, dport=80, flags="A", seq=2, ack=2))) == set()
    wire.policy(http)
    assert push(wire) == {"p0"}


def test_a_refused_packet_opens_no_connection(wire: Wire) -> None:
    """The connection is committed only after the receiver allows it, so a reply is not allowed either."""
    wire.policy()
    assert wire.send("p0", there(UDP(sport=4000, dport=53) / Raw(b"?"))) == set()
    assert wire.send("p1", back(UDP(sport=53, dport=4000) / Raw(b"!"))) == set()


def test_a_new_connection_in_the_other_direction_is_no_reply(wire: Wire) -> None:
    wire.policy(ingress(17, "g1", 17, 53, 53))
    assert wire.send("p0", there(UDP(sport=4000, dport=53) / Raw(b"?"))) == {"p1"}
    assert wire.send("p1", back(UDP(sport=53, dport=4001) / Raw(b"!"))) == set()
    assert wire.send("p1", back(UDP(sport=54, dport=4000) / Raw(b"!"))) == set()
    assert wire.send("p1", back(UDP(sport=53, dport=4000) / Raw(b"!"))) == {"p0"}


def test_errors_about_a_connection_come_from_its_ends(wire: Wire) -> None:
    wire.policy(ingress(17, "g1", 17, 53, 53))
    query = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4000, dport=53) / Raw(b"?")
    other = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4001, dport=53) / Raw(b"?")
    assert wire.send("p0", there(query[UDP])) == {"p1"}
    unreachable = ICMP(type=3, code=3)
    assert wire.send("p1", back(unreachable / query)) == {"p0"}
    assert wire.send("p1", back(unreachable / other)) == set()


def test_a_ping_is_judged_by_its_first_packet(wire: Wire) -> None:
    wire.policy(ingress(17, "g1", 1, 8, 0))
    assert wire.send("p1", back(ICMP(type=0, id=7, seq=1))) == set()
    assert wire.send("p0", there(ICMP(type=8, id=7, seq=1))) == {"p1"}
    assert wire.send("p1", back(ICMP(type=0, id=7, seq=1))) == {"p0"}
    assert wire.send("p1", back(ICMP(type=8, id=8, seq=1))) == set()


def test_sctp_ports_are_checked_although_the_tracker_ignores_them(wire: Wire) -> None:
    """All SCTP between two hosts is one connection in the tracker, so one port must not open the others."""
    wire.policy(ingress(17, "g1", 132, 3868, 3868))
    assert wire.send("p0", there(SCTP(sport=4000, dport=3869) / SCTPChunkInit())) == set()
    assert wire.send("p0", there(SCTP(sport=4000, dport=3868) / SCTPChunkInit())) == {"p1"}
    assert wire.send("p1", back(SCTP(sport=3868, dport=4000) / SCTPChunkInitAck())) == {"p0"}
    assert wire.send("p0", there(SCTP(sport=4000, dport=3868) / SCTPChunkInit())) == {"p1"}
    assert wire.send("p0", there(SCTP(sport=4000, dport=3869) / SCTPChunkInit())) == set()
    assert wire.send("p1", back(SCTP(sport=3869, dport=4000) / SCTPChunkInitAck())) == set()


def test_protocols_without_ports_are_tracked_by_address(wire: Wire) -> None:
    wire.policy(ingress(17, "g1", 47))
    gre = [Ether(bytes(each(Raw(bytes(20))))) for each in (there, back)]
    for frame in gre:
        frame[IP].proto, frame[IP].chksum = 47, None
    assert wire.send("p1", gre[1]) == set()
    assert wire.send("p0", gre[0]) == {"p1"}
    assert wire.send("p1", gre[1]) == {"p0"}


@pytest.fixture
def two_uplinks(wire: Wire) -> Wire:
    """The network is on two uplinks, tagged."""
    everything_in = Rule("r17", 17, "g0", Direction.INGRESS, Ethertype.IPV4)
    blue = type(BLUE)("blue", "blue", segmentation_id=100)
    wire.policy(blue, everything_in)
    return wire


def test_uplinks_learn_macs_from_received_frames(two_uplinks: Wire, bridge: BareBridge) -> None:
    def outside(uplink: str) -> set[str]:
        vlan = bytes.fromhex("81000064")
        frame = bytes(Ether(src=OUTSIDE_MAC, dst=mac_of("p0")) / IP(src="10.0.0.9", dst="10.0.0.1") / UDP())
        arrived = two_uplinks.send(uplink, Ether(frame[:12] + vlan + frame[12:]))
        bridge.control.call("revalidator/wait")  # what was decided before has been looked at again
        return arrived

    def inside() -> set[str]:
        frame = Ether(src=mac_of("p0"), dst=OUTSIDE_MAC) / IP(src="10.0.0.1", dst="10.0.0.9") / UDP(dport=9)
        return two_uplinks.send("p0", frame)

    assert inside() == {"trunk", "blue-up"}
    assert outside("trunk") == {"p0"}
    assert inside() == {"trunk"}
    assert outside("blue-up") == {"p0"}
    assert inside() == {"blue-up"}
    two_uplinks.policy()  # one uplink, untagged: what was learned is gone
    assert "table=46" not in bridge.ovs.ofctl("dump-flows", bridge.name)
    assert inside() == {"blue-up"}


def test_macs_behind_a_port_without_security_are_learned(wire: Wire, bridge: BareBridge) -> None:
    behind = "02:00:00:00:ff:03"
    trusted = port("p1", secure=False)
    everything_in = Rule("r17", 17, "g0", Direction.INGRESS, Ethertype.IPV4)

    def said(source: str, interface: str) -> set[str]:
        frame = Ether(src=source, dst=mac_of("p0")) / IP(src="10.0.0.50", dst="10.0.0.1") / UDP(dport=9)
        return wire.send(interface, frame)

    def to_it(source: str, interface: str) -> set[str]:
        bridge.control.call("revalidator/wait")  # what was decided before has been looked at again
        frame = Ether(src=source, dst=behind) / IP(src="10.0.0.1", dst="10.0.0.50") / UDP(sport=9)
        return wire.send(interface, frame)

    wire.policy(everything_in)
    assert said(behind, "p1") == set(), "p1 has port security"
    wire.policy(everything_in, trusted)
    assert to_it(mac_of("p0"), "p0") == {"blue-up"}, "its MAC is not learned"
    assert said(behind, "p1") == {"p0"}
    assert to_it(mac_of("p0"), "p0") == {"p1"}
    assert to_it(OUTSIDE_MAC, "blue-up") == set(), "the outside may not claim p0's address"
    said_outside = Ether(src=OUTSIDE_MAC, dst=behind) / IP(src="10.0.0.9", dst="10.0.0.50") / UDP()
    assert wire.send("blue-up", said_outside) == {"p1"}
    assert said(behind, "blue-up") == {"p0"}
    assert to_it(mac_of("p0"), "p0") == {"blue-up"}, "the learned port has changed"
    assert said(behind, "p1") == {"p0"}
    wire.policy(everything_in)
    assert "table=46" not in bridge.ovs.ofctl("dump-flows", bridge.name)
    assert to_it(mac_of("p0"), "p0") == {"blue-up"}


ROUTER, THIEF, AWAY = "02:00:00:00:ff:fe", "02:00:00:00:ff:66", "10.0.9.2"


@pytest.fixture
def routed(wire: Wire) -> Wire:
    """p0 is in one subnet, p1 at AWAY in another."""
    subnets = tuple(map(Prefix.parse, ("10.0.0.0/24", "10.0.9.0/24")))
    away = replace(port("p1", "g1"), fixed_ips=(Prefix.parse(AWAY),))
    wire.policy(replace(BLUE, subnets=subnets), away, ingress(17, "g1", 17, 53, 53))
    return wire


def between(macs: tuple[str, str], destination: str, payload: Packet) -> Packet:
    """A packet of p0, on any part of its path."""
    return Ether(src=macs[0], dst=macs[1]) / IP(src="10.0.0.1", dst=destination) / payload


def test_only_the_router_returns_packets_of_a_port(routed: Wire) -> None:
    question, other = UDP(sport=4000, dport=53) / Raw(b"?"), UDP(sport=4001, dport=53) / Raw(b"?")
    brought = between((ROUTER, mac_of("p1")), AWAY, question)
    assert routed.send("blue-up", brought) == set(), "p0 has not sent it"
    assert routed.send("p0", between((mac_of("p0"), ROUTER), AWAY, question)) == {"blue-up"}
    assert routed.send("blue-up", between((THIEF, mac_of("p1")), AWAY, question)) == set()
    assert routed.send("blue-up", between((ROUTER, "01:00:5e:00:00:12"), AWAY, question)) == set()
    assert routed.send("blue-up", between((ROUTER, mac_of("p1")), AWAY, other)) == set()
    assert routed.send("blue-up", brought) == {"p1"}
    assert routed.send("p0", between((mac_of("p0"), THIEF), AWAY, question)) == {"blue-up"}
    assert routed.send("blue-up", brought) == set(), "another router is used now"


def test_packets_returned_by_the_router_need_a_rule_of_the_receiver(routed: Wire) -> None:
    denied = UDP(sport=4000, dport=54) / Raw(b"?")
    assert routed.send("p0", between((mac_of("p0"), ROUTER), AWAY, denied)) == {"blue-up"}
    assert routed.send("blue-up", between((ROUTER, mac_of("p1")), AWAY, denied)) == set()
    answer = Ether(src=mac_of("p1"), dst=ROUTER) / IP(src=AWAY, dst="10.0.0.1") / UDP(sport=54, dport=4000)
    assert routed.send("p1", answer) == set()


def test_only_packets_to_a_router_note_its_mac(routed: Wire, bridge: BareBridge) -> None:
    """Neither connections with a neighbour outside nor packets in transit."""

    def tracked() -> str:
        return bridge.control.call("dpctl/dump-conntrack")

    hello = UDP(sport=4000, dport=53) / Raw(b"?")
    assert routed.send("p0", between((mac_of("p0"), THIEF), "10.0.0.9", hello)) == {"blue-up"}
    assert "10.0.0.9" in tracked()
    assert "labels=" not in tracked()
    assert routed.send("p0", between((mac_of("p0"), ROUTER), AWAY, hello)) == {"blue-up"}
    noted = f"labels=0x{ROUTER.replace(':', '').lstrip('0')}{'0' * (ROUTER_OF_ORIGINAL // 4)}\n"
    assert noted in tracked()
    passing = between((ROUTER, "02:00:00:00:ff:77"), AWAY, hello)
    assert routed.send("blue-up", passing) == set(), "the receiver is outside, and there is no other uplink"
    assert noted in tracked()


def test_link_local_packets_of_a_port_do_not_come_back_from_a_router(wire: Wire, bridge: BareBridge) -> None:
    """They are dropped before the tracker, which a router's packets with other addresses reach."""
    subnets = tuple(map(Prefix.parse, ("2001:db8::/64", "2001:db8:9::/64")))
    wire.policy(replace(BLUE, subnets=subnets))
    for source, reaches in ((link_local(mac_of("p0")), False), (port("p0").fixed_ips[1], True)):
        packet = (
            f"tcp6,ipv6_src={source.address},ipv6_dst=2001:db8:9::2,dl_src={ROUTER},dl_dst={mac_of('p1')}"
        )
        trace = bridge.trace(f"in_port={wiring.INTERFACES['blue-up']},{packet}")
        assert ("ct(" in trace.text) is reaches


def test_a_reply_reaches_only_the_opener_of_its_connection(wire: Wire) -> None:
    """A server without an egress rule must not reach a neighbour on a connection that another host opened."""
    outside = Ether(src=OUTSIDE_MAC, dst=mac_of("p1")) / IP(src="192.0.2.9", dst="10.0.0.2")
    answer = IP(src="10.0.0.2", dst="192.0.2.9") / TCP(sport=80, dport=4000, flags="SA", seq=1, ack=2)
    wire.policy(ingress(17, "g1", 6, 80, 80))
    assert wire.send("blue-up", outside / TCP(sport=4000, dport=80, flags="S", seq=1)) == {"p1"}
    assert wire.send("p1", Ether(src=mac_of("p1"), dst=OUTSIDE_MAC) / answer) == {"blue-up"}
    assert wire.send("p1", Ether(src=mac_of("p1"), dst=mac_of("p0")) / answer) == set()
