"""`sgctl trace --on-switch` and `sgctl reach` on a real switch under a real controller."""

from __future__ import annotations

import json
import subprocess
from typing import Any, NamedTuple

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPerror, UDPerror
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from lab.policy_cli import SGCTL
from lab.site import ALL_OUT, Site, group, mac, tcp_in

pytestmark = pytest.mark.switch

ALLOWED, DISAGREES, DENIED = 0, 3, 4
VOICE = {**tcp_in(5060), "ip_dscp": 46}
VRRP_IN = {"direction": "ingress", "protocol": "vrrp"}
SHARED = [{"ip_address": "10.0.0.100"}]
ALL_OUT_6 = {**ALL_OUT, "ethertype": "IPv6"}


class Traced(NamedTuple):
    code: int
    record: dict[str, Any]


@pytest.fixture
def inhabited(site: Site) -> Site:
    site.apply(
        group("client", ALL_OUT, ALL_OUT_6),
        group("server", {**tcp_in(80, remote_group="client"), "name": "http"}, tcp_in(22), VRRP_IN, VOICE),
        group("web", tcp_in(80, remote_group="client", ethertype="IPv6")),
        site.port_document(1, ["client"], permitted_ethertypes=[0x88CC], allowed_address_pairs=SHARED),
        site.port_document(2, ["server", "web"], allowed_address_pairs=SHARED),
        site.port_document(3, ["client"]),
        site.port_document(4, [], port_security_enabled=False),
    )
    for number in (1, 2, 4):
        site.plug("br0", number)
    site.ovs.add_port("br0", "up0", "type=internal")
    site.sgctl("uplink", "set", "up0", "--network", "blue")
    site.sgctl.wait()
    return site


def trace(site: Site, *arguments: str) -> Traced:
    command = [str(SGCTL), "trace", *arguments, "--on-switch", "-o", "json"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=site.controller.environment, check=False
    )
    assert done.stdout, done.stderr
    return Traced(done.returncode, json.loads(done.stdout))


QUESTIONS = {
    "w1 w2 --port 80": ALLOWED,
    "w1 w2 --port 81": DENIED,
    "w1 w2 --port 80 --established": ALLOWED,
    "w2 w1 --port 80 --reply": ALLOWED,
    "w2 w1 --port 81 --reply": DENIED,
    "w2 w1 --port 80": DENIED,
    "w1 w2 --port 5060": DENIED,
    "w1 w2 --port 5060 --dscp 46": ALLOWED,
    "w1 w2 --port 5060 --dscp 46 --established": ALLOWED,
    "w1 w2 --port 5060 --dscp 45 --established": DENIED,
    "w2 w1 --port 5060 --dscp 46 --reply": ALLOWED,
    "w2 w1 --port 5060 --reply": DENIED,
    "w1 w2 --port 80 -6": ALLOWED,
    "w1 w2 --port 22 -6": DENIED,
    "w1 w2": DENIED,
    "w1 192.0.2.1 --protocol udp --port 53": ALLOWED,
    "192.0.2.1 w2 --port 22": ALLOWED,
    "192.0.2.1 w2 --port 80": DENIED,
    "w3 w2 --port 80": ALLOWED,
    "w1 w3 --port 80": DENIED,
    "w1 w2 --port 80 --error packet-too-big": ALLOWED,
    "w2 w1 --port 80 --error fragmentation-needed --reply": ALLOWED,
    "w2 w1 --port 81 --error port-unreachable --reply": DENIED,
    "w2 w1 --port 80 --error packet-too-big --reply -6": ALLOWED,
    "w2 w1 --port 443 --error packet-too-big --reply -6": DENIED,
    "w2 w1 --port 80 --error time-exceeded --reply --by 10.0.0.254": ALLOWED,
    "w2 w1 --port 80 --error time-exceeded --reply --by 2001:db8::fe -6": ALLOWED,
    "192.0.2.1 w1 --protocol udp --port 53 --error port-unreachable --reply": ALLOWED,
    "192.0.2.1 w1 --protocol udp --port 53 --error host-unreachable --reply --by 198.51.100.1": ALLOWED,
    "192.0.2.1 w2 --protocol udp --port 53 --error host-unreachable --reply": DENIED,
    "w2 192.0.2.1 --port 22 --error fragmentation-needed --reply": ALLOWED,
    "w2 192.0.2.1 --port 23 --error fragmentation-needed --reply": DENIED,
    "192.0.2.1 w2 --port 22 --error packet-too-big": ALLOWED,
    "192.0.2.1 w2 --port 23 --error packet-too-big": DENIED,
    "w2 w1 --protocol sctp --port 9 --error port-unreachable --reply": DENIED,
    "w1 224.0.0.18 --protocol vrrp": ALLOWED,
    "w1 224.0.0.251 --protocol udp --port 5353": DENIED,
    "w4 w1 --port 80": DENIED,
    "w1 w4 --port 80": ALLOWED,
    "w1 255.255.255.255 --protocol udp --source-port 68 --port 67": ALLOWED,
    "w3 w1 --error time-exceeded --reply --by w2": DENIED,
}
FORGED = "w3 w1 --port 80 --error time-exceeded --reply --by w2"


def test_switch_and_policy_agree(inhabited: Site) -> None:
    for question, code in QUESTIONS.items():
        traced = trace(inhabited, *question.split())
        assert [switch["disagreement"] for switch in traced.record["switches"]] == [None], question
        assert traced.code == code, question


def test_an_error_of_a_stranger_is_forged(inhabited: Site) -> None:
    traced = trace(inhabited, *FORGED.split())
    assert traced.record["refusal"] == "forged_error"
    assert traced.record["changes"][0] == (
        f"an allowed address pair {mac(2)} 10.0.0.3 of port w2 would make it an end"
    )
    (switch,) = traced.record["switches"]
    assert (switch["dropped"], switch["disagreement"]) == ("FORGED_ERROR", None)


M1, M2, M4, ALL = mac(1), mac(2), mac(4), "ff:ff:ff:ff:ff:ff"
A1, A2, NODES = "2001:db8::1", "2001:db8::2", "33:33:00:00:00:01"
BETWEEN = Ether(src=M1, dst=M2)


def arp(operation: int, mac: str, address: str, target: str, to: str = ALL) -> Packet:
    return Ether(src=M1, dst=to) / ARP(op=operation, hwsrc=mac, psrc=address, pdst=target)


def solicitation(source: str, target: str, link: str | None) -> Packet:
    group = f"ff02::1:ff00:{target[-1]}"
    asked = Ether(src=M1, dst=NODES) / IPv6(src=source, dst=group) / ICMPv6ND_NS(tgt=target)
    return asked / ICMPv6NDOptSrcLLAddr(lladdr=link) if link else asked


def advertisement(target: str, link: str, to: tuple[str, str] = (M2, A2)) -> Packet:
    told = Ether(src=M1, dst=to[0]) / IPv6(src=A1, dst=to[1]) / ICMPv6ND_NA(tgt=target)
    return told / ICMPv6NDOptDstLLAddr(lladdr=link)


def unreachable(port: int) -> Packet:
    quoted = IPerror(src="10.0.0.2", dst="10.0.0.1") / UDPerror(sport=port, dport=40000)
    return BETWEEN / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=3, code=3) / quoted


def advertised(source: str, ttl: int = 255) -> Packet:
    return Ether(src=M1, dst="01:00:5e:00:00:12") / IP(src=source, dst="224.0.0.18", proto=112, ttl=ttl)


def dhcp(source: str, sport: int, dport: int) -> Packet:
    return IP(src=source, dst="255.255.255.255") / UDP(sport=sport, dport=dport)


FROM_ROUTER = IPv6(src="fe80::ff:fe00:1", dst="ff02::1") / ICMPv6ND_RA()
ANY_UDP = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=40000, dport=80)
FRAMES: dict[str, tuple[Packet, str | None]] = {
    "ARP for a neighbour": (arp(1, M1, "10.0.0.1", "10.0.0.2"), None),
    "ARP for the outside": (arp(1, M1, "10.0.0.1", "10.0.0.99"), None),
    "ARP for a port of another host": (arp(1, M1, "10.0.0.1", "10.0.0.3"), None),
    "ARP announcement": (arp(1, M1, "10.0.0.1", "10.0.0.1"), None),
    "ARP probe": (arp(1, M1, "0.0.0.0", "10.0.0.1"), None),
    "ARP answer": (arp(2, M1, "10.0.0.1", "10.0.0.2", M2), None),
    "ARP of a foreign address": (arp(2, M1, "10.0.0.2", "10.0.0.1"), "arp_spoof"),
    "ARP of a foreign MAC": (arp(2, M2, "10.0.0.1", "10.0.0.2"), "arp_spoof"),
    "ARP operation that nobody knows": (arp(9, M1, "10.0.0.1", "10.0.0.2"), "unreadable"),
    "broken ARP": (Ether(src=M1, dst=ALL, type=0x0806) / Raw(bytes(20)), "unreadable"),
    "solicitation": (solicitation(A1, A2, M1), None),
    "solicitation for the outside": (solicitation(A1, "2001:db8::99", M1), None),
    "address detection": (solicitation("::", A1, None), None),
    "address detection of another's": (solicitation("::", A2, None), "nd_spoof"),
    "solicitation of a foreign MAC": (solicitation(A1, A2, M2), "nd_spoof"),
    "solicitation of a foreign address": (solicitation(A2, A2, M1), "spoofed_source"),
    "advertisement": (advertisement(A1, M1), None),
    "advertisement to all": (advertisement(A1, M1, (NODES, "ff02::1")), None),
    "advertisement of another's": (advertisement(A2, M1), "nd_spoof"),
    "advertisement with another code": (
        BETWEEN / IPv6(src=A1, dst=A2) / ICMPv6ND_NA(tgt=A1, code=1),
        "invalid",
    ),
    "routed advertisement": (BETWEEN / IPv6(src=A1, dst=A2, hlim=64) / ICMPv6ND_NA(tgt=A1), "invalid"),
    "advertisement to elsewhere": (
        BETWEEN / IPv6(src=A1, dst="2001:db9::1") / ICMPv6ND_NA(tgt=A1),
        "off_link",
    ),
    "two MACs": (advertisement(A1, M1) / ICMPv6NDOptDstLLAddr(lladdr=M1), "nd_spoof"),
    "another Ethernet type": (BETWEEN / Raw(bytes(46)), "ethertype"),
    "a permitted type": (Ether(src=M1, dst="02:00:00:00:00:99", type=0x88CC) / Raw(bytes(46)), None),
    "a permitted type to a port without": (Ether(src=M1, dst=M2, type=0x88CC) / Raw(bytes(46)), "receiver"),
    "a permitted type to all": (Ether(src=M1, dst=ALL, type=0x88CC) / Raw(bytes(46)), "not_unicast"),
    "tagged": (BETWEEN / Dot1Q(vlan=5) / ANY_UDP, "tagged"),
    "doubly tagged": (Ether(src=M1, dst=M2, type=0x88A8) / Dot1Q(vlan=5) / Dot1Q(vlan=6) / ANY_UDP, "tagged"),
    "group source": (Ether(src=ALL, dst=M2) / ANY_UDP, "source_mac"),
    "UDP": (BETWEEN / ANY_UDP, "receiver_rules"),
    "an error that nobody asked for": (unreachable(53), "invalid"),
    "a virtual router": (advertised("10.0.0.1"), None),
    "a virtual router of several": (advertised("10.0.0.100"), None),
    "a virtual router behind another": (advertised("10.0.0.1", ttl=64), "not_unicast"),
    "UDP to all MACs": (Ether(src=M1, dst=ALL) / ANY_UDP, "not_unicast"),
    "DHCP": (Ether(src=M1, dst=ALL) / dhcp("0.0.0.0", 68, 67), None),
    "DHCP offer": (Ether(src=M1, dst=ALL) / dhcp("10.0.0.1", 67, 68), "dhcp_server"),
    "DHCP offer of somebody trusted": (Ether(src=M4, dst=ALL) / dhcp("10.0.0.4", 67, 68), None),
    "router advertisement": (Ether(src=M1, dst=NODES) / FROM_ROUTER, "router"),
    "router advertisement of somebody trusted": (Ether(src=M4, dst=NODES) / FROM_ROUTER, None),
    "ARP reply of somebody trusted": (
        Ether(src=M4, dst=ALL) / ARP(op=2, hwsrc=M4, psrc="10.0.0.4", pdst="10.0.0.4"),
        None,
    ),
    "multicast of somebody trusted": (
        Ether(src=M4, dst="01:00:5e:00:00:fb") / IP(src="10.0.0.4", dst="224.0.0.251") / UDP(dport=5353),
        None,
    ),
}
ERRORS = {"--established": "receiver_rules", "--reply": "sender_rules"}


@pytest.mark.parametrize("flag", ERRORS)
def test_an_error_in_a_frame_is_about_a_connection(inhabited: Site, flag: str) -> None:
    traced = trace(inhabited, "w1", "--frame", bytes(unreachable(53)).hex(), flag)
    assert traced.record["refusal"] == ERRORS[flag], traced.record
    assert [switch["disagreement"] for switch in traced.record["switches"]] == [None]


def test_any_frame_is_judged(inhabited: Site) -> None:
    for name, (frame, refusal) in FRAMES.items():
        sender = "w4" if frame.src == M4 else "w1"
        traced = trace(inhabited, sender, "--frame", bytes(frame).hex())
        (switch,) = traced.record["switches"]
        assert traced.record["refusal"] == refusal, (name, traced.record)
        assert switch["disagreement"] is None, (name, traced.record)
        assert bool(switch["outputs"]) == (refusal is None), name
        assert traced.code == (ALLOWED if refusal is None else DENIED), name


def test_a_traced_frame_teaches_the_switch_nothing(inhabited: Site) -> None:
    stranger = "02:00:00:00:99:99"
    frame = Ether(src=stranger, dst=M1) / IP(src="10.0.0.4", dst="10.0.0.1") / ICMP()
    (switch,) = trace(inhabited, "w4", "--frame", bytes(frame).hex()).record["switches"]
    assert switch["disagreement"] is None
    assert stranger not in inhabited.ovs.ofctl("-O", "OpenFlow14", "dump-flows", "br0")


WRONG = {
    "w1 w2 --error nonsense": "'nonsense' is not an ICMP error; use one of fragmentation-needed, host-",
    "w1 w2 --by w2": "--by goes with --error",
    "w1 w2 --frame 00": "--frame states the whole packet",
    "w1 --frame 00 --error port-unreachable": "--frame states the whole packet",
    "w1": "give TO, or --frame",
}


def test_wrong_questions_are_usage_errors(inhabited: Site) -> None:
    for question, problem in WRONG.items():
        command = [str(SGCTL), "trace", *question.split()]
        done = subprocess.run(
            command, capture_output=True, text=True, env=inhabited.controller.environment, check=False
        )
        assert done.returncode == 2, question
        assert problem in done.stderr, question
        assert done.stderr.count("\n") == 1, question


def test_the_path_has_names(inhabited: Site) -> None:
    (switch,) = trace(inhabited, "w1", "w2", "--port", "80").record["switches"]
    path = "\n".join(switch["path"])
    assert "INGRESS_RULES: rule=" in path
    assert "(http, group server)" in path
    assert "LOCAL is now {server, web}" in path
    assert switch["outputs"] == ["w2"]


def test_a_disagreement_is_an_error(inhabited: Site) -> None:
    inhabited.ovs.ofctl(
        "add-flow", "br0", "cookie=0x7,table=70,priority=60000,ip,actions=set_field:99->reg12"
    )
    traced = trace(inhabited, "w1", "w2", "--port", "81")
    assert traced.code == DISAGREES
    (switch,) = traced.record["switches"]
    assert switch["disagreement"] == "the policy says: goes nowhere; the switch does: leaves by w2"


def test_reach(inhabited: Site) -> None:
    to = json.loads(inhabited.sgctl("reach", "to", "w2", "--port", "80", "-o", "json"))
    assert [(each["port"], each["ip_version"]) for each in to["ports"]] == [
        ("w1", 4),
        ("w1", 6),
        ("w3", 4),
        ("w3", 6),
    ]
    assert to["outside"] == []
    everything = json.loads(inhabited.sgctl("reach", "to", "w2", "-o", "json"))["ports"]
    members = [["tcp/22", "tcp/80", "vrrp"], ["tcp/80"]] * 2
    assert [each["services"] for each in everything] == [*members, ["tcp/22", "vrrp"]]
    table = inhabited.sgctl("reach", "to", "w2").splitlines()
    assert table[-3] == "3 ports of 4"
    assert table[-2].startswith("outside: anywhere by IPv4: tcp/22 (rule ")
    assert inhabited.sgctl("reach", "from", "w1", "--port", "80", "-o", "name") == "port/w2\nport/w4\n"
    assert (
        json.loads(inhabited.sgctl("reach", "to", "w2", "--port", "22", "-o", "json"))["outside"][0]["remote"]
        == "anywhere"
    )
