"""Real frames and rules that name a DSCP: what opens a connection must carry it, what follows need not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from flows.policy.objects import Direction, Ethertype, Prefix, Rule, SecurityGroup
from lab.datapath import DATAPATH, Datapath
from lab.ovs import PrivateOvs
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.test_connections import OUTSIDE_MAC, ROUTER, Wire
from tests.ovs.test_hard_cases import BLUE, ingress, port
from tests.unit.strategies import mac_of

pytestmark = pytest.mark.switch

EF, OTHER = 46, 10
HTTP = ingress(17, "g1", 6, 80, 80)
EF_HTTP = replace(ingress(18, "g1", 6, 80, 80), ip_dscp=EF)
EF_DNS = replace(ingress(18, "g1", 17, 53, 53), ip_dscp=EF)
OTHER_DNS = replace(ingress(19, "g1", 17, 53, 53), ip_dscp=OTHER)


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "dscp", wiring.INTERFACES) as made:
        yield made


@pytest.fixture
def wire(bridge: BareBridge) -> Wire:
    bridge.control.call("dpctl/flush-conntrack")
    return Wire(bridge)


def there(payload: Packet, dscp: int = 0, ecn: int = 0) -> Packet:
    """From p0 to p1."""
    ends = IP(src="10.0.0.1", dst="10.0.0.2", tos=dscp << 2 | ecn)
    return Ether(src=mac_of("p0"), dst=mac_of("p1")) / ends / payload


def back(payload: Packet, dscp: int = 0) -> Packet:
    """From p1 to p0."""
    ends = IP(src="10.0.0.2", dst="10.0.0.1", tos=dscp << 2)
    return Ether(src=mac_of("p1"), dst=mac_of("p0")) / ends / payload


SYN = TCP(sport=4000, dport=80, flags="S", seq=1)
ANSWER = TCP(sport=80, dport=4000, flags="SA", seq=1, ack=2)
DATA = TCP(sport=4000, dport=80, flags="PA", seq=2, ack=2) / Raw(b"data")
QUERY, RESPONSE = UDP(sport=4000, dport=53) / Raw(b"?"), UDP(sport=53, dport=4000) / Raw(b"!")


def test_the_first_packet_carries_it_and_no_other_needs_to(wire: Wire) -> None:
    wire.policy(EF_HTTP)
    for wrong in (0, OTHER, EF - 1, EF + 1):
        assert wire.send("p0", there(SYN, wrong)) == set()
    assert wire.send("p0", there(SYN, EF, ecn=3)) == {"p1"}
    assert wire.send("p1", back(ANSWER)) == {"p0"}
    for marked in (EF, 0, OTHER):
        assert wire.send("p0", there(DATA, marked)) == {"p1"}
        assert wire.send("p1", back(TCP(sport=80, dport=4000, flags="A", seq=2, ack=6), marked)) == {"p0"}


def test_ipv6(wire: Wire) -> None:
    v6 = Rule("r20", 20, "g0", Direction.EGRESS, Ethertype.IPV6)
    addresses = ("2001:db8::1", "2001:db8::2")
    ports = [
        replace(port(name, group), fixed_ips=(Prefix.parse(address),))
        for name, group, address in zip(("p0", "p1"), ("g0", "g1"), addresses, strict=True)
    ]
    wire.policy(v6, replace(EF_DNS, ethertype=Ethertype.IPV6), *ports)
    frame = Ether(src=mac_of("p0"), dst=mac_of("p1")) / IPv6(src=addresses[0], dst=addresses[1])
    for marked, expected in ((0, set()), (EF, {"p1"})):
        frame[IPv6].tc = marked << 2 | 1
        assert wire.send("p0", frame / QUERY) == expected


def test_each_packet_needs_it_until_there_is_an_answer(wire: Wire) -> None:
    wire.policy(EF_DNS)
    assert wire.send("p0", there(QUERY, EF)) == {"p1"}
    assert wire.send("p0", there(QUERY)) == set()
    assert wire.send("p1", back(RESPONSE)) == {"p0"}
    assert wire.send("p0", there(QUERY)) == {"p1"}


def test_a_change_of_policy_judges_by_the_first_packet(wire: Wire) -> None:
    wire.policy(HTTP, EF_HTTP)
    assert wire.send("p0", there(SYN)) == {"p1"}
    assert wire.send("p1", back(ANSWER)) == {"p0"}
    wire.policy(EF_HTTP)
    assert wire.send("p0", there(DATA, EF)) == set(), "the connection was opened with another DSCP"
    assert wire.send("p1", back(ANSWER)) == set()
    marked = TCP(sport=4001, dport=80, flags="S", seq=1)
    wire.policy(HTTP, EF_HTTP)
    assert wire.send("p0", there(marked, EF)) == {"p1"}
    assert wire.send("p1", back(TCP(sport=80, dport=4001, flags="SA", seq=1, ack=2))) == {"p0"}
    wire.policy(EF_HTTP)
    assert wire.send("p1", back(TCP(sport=80, dport=4001, flags="A", seq=2, ack=2))) == {"p0"}
    wire.policy(replace(EF_HTTP, ip_dscp=OTHER))
    assert wire.send("p1", back(TCP(sport=80, dport=4001, flags="A", seq=2, ack=2))) == set()


def test_a_connection_from_before_any_rule_named_a_dscp_has_none(wire: Wire) -> None:
    wire.policy(HTTP)
    assert wire.send("p0", there(SYN, EF)) == {"p1"}
    assert wire.send("p1", back(ANSWER)) == {"p0"}
    wire.policy(replace(EF_HTTP, ip_dscp=0))
    assert wire.send("p1", back(ANSWER)) == set()
    wire.policy(EF_HTTP)
    assert wire.send("p0", there(DATA, EF)) == set()
    wire.policy(HTTP)
    assert wire.send("p0", there(DATA)) == {"p1"}


def test_both_sides_may_name_one(wire: Wire) -> None:
    """The sender's rules and the receiver's are asked about the same packet."""
    out = Rule("r16", 16, "g0", Direction.EGRESS, Ethertype.IPV4, ip_dscp=EF)
    wire.policy(out, EF_DNS, OTHER_DNS)
    assert wire.send("p0", there(QUERY, OTHER)) == set()
    assert wire.send("p0", there(QUERY, EF)) == {"p1"}
    assert wire.send("p1", back(RESPONSE)) == {"p0"}
    wire.policy(out, OTHER_DNS)
    assert wire.send("p0", there(UDP(sport=4001, dport=53), EF)) == set()


def test_a_sender_without_a_dscp_meets_a_receiver_with_one(wire: Wire) -> None:
    """The other side does not ask, and the connection is still recorded."""
    wire.policy(EF_DNS)
    assert wire.send("blue-up", _from_outside(QUERY, 0)) == set()
    assert wire.send("blue-up", _from_outside(QUERY, EF)) == {"p1"}
    answer = Ether(src=mac_of("p1"), dst=OUTSIDE_MAC) / IP(src="10.0.0.2", dst="10.0.0.9") / RESPONSE
    assert wire.send("p1", answer) == {"blue-up"}
    assert wire.send("blue-up", _from_outside(QUERY, 0)) == {"p1"}


def _from_outside(payload: Packet, dscp: int) -> Packet:
    ends = IP(src="10.0.0.9", dst="10.0.0.2", tos=dscp << 2)
    return Ether(src=OUTSIDE_MAC, dst=mac_of("p1")) / ends / payload


def test_out_of_an_uplink(wire: Wire) -> None:
    out = Rule("r16", 16, "g0", Direction.EGRESS, Ethertype.IPV4, 17, 53, 53, ip_dscp=EF)
    wire.policy(out)

    def asks(dscp: int) -> set[str]:
        ends = IP(src="10.0.0.1", dst="10.0.0.9", tos=dscp << 2)
        return wire.send("p0", Ether(src=mac_of("p0"), dst=OUTSIDE_MAC) / ends / QUERY)

    answer = Ether(src=OUTSIDE_MAC, dst=mac_of("p0")) / IP(src="10.0.0.9", dst="10.0.0.1") / RESPONSE
    assert asks(0) == set()
    assert wire.send("blue-up", answer) == set()
    assert asks(EF) == {"blue-up"}
    assert wire.send("blue-up", answer) == {"p0"}
    assert asks(0) == {"blue-up"}


def test_by_a_router_that_joins_subnets(wire: Wire) -> None:
    """The label holds the router's MAC beside the DSCP."""
    subnets = tuple(map(Prefix.parse, ("10.0.0.0/24", "10.0.9.0/24")))
    away = replace(port("p1", "g1"), fixed_ips=(Prefix.parse("10.0.9.2"),))
    out = Rule("r16", 16, "g0", Direction.EGRESS, Ethertype.IPV4, ip_dscp=EF)
    wire.policy(replace(BLUE, subnets=subnets), away, out, ingress(17, "g1", 17, 53, 53))
    ends = IP(src="10.0.0.1", dst="10.0.9.2", tos=EF << 2)
    question = Ether(src=mac_of("p0"), dst=ROUTER) / ends / QUERY
    brought = Ether(src=ROUTER, dst=mac_of("p1")) / ends / QUERY
    answer = Ether(src=mac_of("p1"), dst=ROUTER) / IP(src="10.0.9.2", dst="10.0.0.1") / RESPONSE
    returned = Ether(src=ROUTER, dst=mac_of("p0")) / answer[IP]
    for _ in range(2):
        assert wire.send("p0", question) == {"blue-up"}
        assert wire.send("blue-up", brought) == {"p1"}
        assert wire.send("p1", answer) == {"blue-up"}
        assert wire.send("blue-up", returned) == {"p0"}
        ends.tos = 0


def test_without_connections_every_packet_needs_it(wire: Wire) -> None:
    stateless = SecurityGroup("g1", "g1", stateful=False)
    out = Rule("r19", 19, "g1", Direction.EGRESS, Ethertype.IPV4, 17, ip_dscp=OTHER)
    wire.policy(stateless, EF_DNS, out)
    assert wire.send("p0", there(QUERY, EF)) == {"p1"}
    assert wire.send("p0", there(QUERY)) == set()
    assert wire.send("p1", back(RESPONSE)) == set()
    assert wire.send("p1", back(RESPONSE, OTHER)) == {"p0"}


def test_only_the_side_without_connections_looks_at_each_packet(wire: Wire) -> None:
    """The sender's rules are asked about the packet, then the receiver's about its connection."""
    stateless = SecurityGroup("g0", "g0", stateful=False)
    out = [
        Rule(f"r{number}", number, "g0", Direction.EGRESS, Ethertype.IPV4, ip_dscp=dscp)
        for number, dscp in ((16, EF), (20, OTHER))
    ]
    wire.policy(stateless, *out, ingress(21, "g0", 17), EF_DNS)
    assert wire.send("p0", there(QUERY, OTHER)) == set()
    assert wire.send("p0", there(QUERY, EF)) == {"p1"}
    assert wire.send("p1", back(RESPONSE)) == {"p0"}
    assert wire.send("p0", there(QUERY, OTHER)) == {"p1"}
    assert wire.send("p0", there(QUERY)) == set()


def test_an_error_about_a_connection_needs_none(wire: Wire) -> None:
    wire.policy(EF_DNS)
    assert wire.send("p0", there(QUERY, EF)) == {"p1"}
    error = ICMP(type=3, code=3) / IP(src="10.0.0.1", dst="10.0.0.2") / QUERY
    assert wire.send("p1", back(error)) == {"p0"}
    wire.policy(OTHER_DNS)
    assert wire.send("p1", back(error)) == set()


@pytest.mark.parametrize("marked", [(EF, EF), (EF, 0), (0, EF)])
def test_every_fragment_of_the_first_packet_needs_it(wire: Wire, marked: tuple[int, int]) -> None:
    """The kernel reassembles first, and the packet then has the DSCP of its first fragment."""
    allowed = marked == (EF, EF) or (marked[0] == EF and DATAPATH is Datapath.KERNEL)
    wire.policy(EF_DNS)
    whole = bytes(UDP(sport=4000, dport=53) / Raw(bytes(2000)))
    parts = [there(Raw(whole[:1400]), marked[0]), there(Raw(whole[1400:]), marked[1])]
    for number, part in enumerate(parts):
        part[IP].proto, part[IP].id = 17, 1 + 64 * marked[0] + marked[1]
        part[IP].flags = "MF" if number == 0 else 0
        part[IP].frag = number * 1400 // 8
    assert wire.send("p0", parts[0]) == set(), "it waits for the others"
    assert wire.send("p0", parts[1]) == ({"p1"} if allowed else set())


def test_the_dscp_is_compared_for_ports_with_such_a_rule_only(wire: Wire, bridge: BareBridge) -> None:
    """Of two ports that get packets with each DSCP, one has such a rule."""

    def compared(receiver: str, address: str) -> list[tuple[int, str]]:
        """What the megaflows hold of the DSCP, after packets with each."""
        bridge.control.call("dpctl/del-flows")
        for dscp in range(64):
            ends = IP(src="10.0.0.1", dst=address, tos=dscp << 2 | dscp & 3)
            frame = Ether(src=mac_of("p0"), dst=mac_of(receiver)) / ends / UDP(sport=4000, dport=54)
            bridge.send("p0", bytes(frame))
        found = re.findall(r"\btos=(\w+)([^,)]*)", bridge.control.call("dpctl/dump-flows"))
        return sorted((int(value, 0) & ~0b11, mask) for value, mask in found)  # whose ECN bits vary

    place: dict[str, Any] = {"id": "p2", "name": "p2", "iface_id": "p2", "mac": mac_of("p2")}
    p2 = replace(port("p1", "g2"), fixed_ips=(Prefix.parse("10.0.0.3"),), **place)
    wire.policy(EF_DNS, SecurityGroup("g2", "g2"), p2, ingress(20, "g2", 17, 1, 1))
    assert compared("p2", "10.0.0.3") == []
    assert compared("p1", "10.0.0.2") == [(dscp << 2, "/0xfc") for dscp in range(64)]
