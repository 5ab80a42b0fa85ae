"""The fields that `SwitchTools` reads from a raw frame can be traced for every frame."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from scapy.contrib.mpls import MPLS
from scapy.contrib.nsh import NSH
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from lab.ovs import PrivateOvs
from sgctl.explain.switch import SwitchTools

pytestmark = pytest.mark.switch

MAC = "02:00:00:00:00:09"
ETHER = Ether(src=MAC, dst="02:00:00:00:00:01")
TAGS = (
    ETHER,
    ETHER / Dot1Q(vlan=5),
    ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=9),
    ETHER / Dot1Q() / Dot1Q() / Dot1Q(),
)
V4, V6 = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")
PAYLOADS: tuple[Packet, ...] = (
    ARP(),
    *(V4 / each for each in (TCP(), UDP(), ICMP(), SCTP())),
    IP(frag=4) / Raw(bytes(30)),
    IP(flags="MF") / UDP() / Raw(bytes(24)),
    *(IP(proto=number) / Raw(bytes(8)) for number in (2, 47, 112)),
    *(V6 / each for each in (TCP(), UDP(), SCTP(), ICMPv6EchoRequest(), ICMPv6ND_RA())),
    *(
        V6 / message / option(lladdr=MAC)
        for message, option in product(
            (ICMPv6ND_NS(), ICMPv6ND_NA()), (ICMPv6NDOptSrcLLAddr, ICMPv6NDOptDstLLAddr)
        )
    ),
    V6 / IPv6ExtHdrFragment(offset=3) / Raw(bytes(20)),
    V6 / IPv6ExtHdrHopByHop() / UDP(),
    MPLS(label=5, s=0) / MPLS(label=6, s=1) / V4 / UDP(),
    NSH() / V4,
)
ETHERTYPES = (0x05DC, 0x0600, 0x0800, 0x0806, 0x86DD, 0x8100, 0x8847, 0x88A8, 0x88CC, 0x894F)


def frames() -> Iterator[bytes]:
    for tags, payload in product(TAGS, PAYLOADS):
        yield bytes(tags / payload)
    for number, size in product(ETHERTYPES, (0, 1, 20, 50)):
        yield bytes(Ether(src=MAC, dst=MAC, type=number)) + bytes(size)


def test_every_frame_can_be_traced(dummy_ovs: PrivateOvs) -> None:
    dummy_ovs.add_bridge("br0")
    dummy_ovs.add_port("br0", "w1")
    tools = SwitchTools(dummy_ovs.rundir)
    for frame in frames():
        traced = tools.trace("br0", f"in_port=1,{tools.fields(frame)}", "trk,new")
        assert "Datapath actions" in traced, frame.hex()
