"""Ports with many MACs and addresses, also more than are compared bit by bit, may use all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from flows.compiler.bitwise_checks import MOST
from flows.openflow.reasons import Reason
from flows.policy.index import link_local
from flows.policy.objects import AddressPair, Network, PolicyObject, Port, Prefix
from flows.reference.frame import Frame
from flows.reference.verdict import PolicyText, State
from lab.ovs import PrivateOvs
from lab.varied import solicited_node
from sgctl.explain.question import ask_frame
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.judging import load
from tests.ovs.test_frame_verdicts import ALL, Seen, expected, traced
from tests.ovs.test_hard_cases import port
from tests.unit.strategies import mac_of

pytestmark = pytest.mark.switch

SUBNETS = tuple(map(Prefix.parse, ("10.0.0.0/24", "2001:db8::/64")))
ELSEWHERE, NOBODY_HERE = "192.0.2.7", "10.0.0.201"
OTHER_MAC = "42:00:00:00:00:01"
"""Its second bit differs from that of all ports."""
GROUP_MAC = "33:33:ff:00:00:02"
OTHER_RANGE = AddressPair(mac_of("p1"), Prefix.parse("2001:db8:6::/64"))
TARGETS = (
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8::3",
    "2001:db8:5::7",
    "2001:db8:5:1::7",
    "2001:db8:6::7",
    "::",
)
"""Of the sender, of a neighbour and of nobody; in a range that the sender may have, and behind it; in the
neighbour's range; none."""
FORGED_MAC, FORGED = "02:00:00:00:09:09", "10.0.0.99"


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "bitwise", wiring.INTERFACES) as made:
        yield made


def paired(count: int, *more: AddressPair) -> Port:
    """A port with this number of pairs of a MAC and an address."""
    pairs = (
        AddressPair(f"02:00:00:00:02:{number:02x}", Prefix.parse(f"10.0.0.{50 + number}"))
        for number in range(count)
    )
    return replace(port("p0"), allowed_address_pairs=(*pairs, *more))


def frames(sender: Port) -> Iterator[Packet]:
    """ARP and solicitations of every MAC, each from every address; some of them forged."""
    pairs = [AddressPair(mac_of("p0"), Prefix.parse("10.0.0.1")), *sender.allowed_address_pairs]
    macs = [*dict.fromkeys(pair.mac for pair in pairs), FORGED_MAC]
    addresses = [*dict.fromkeys(pair.prefix.address for pair in pairs), FORGED, "0.0.0.0"]
    for mac, address in product(macs, addresses):
        for target in ("10.0.0.2", NOBODY_HERE, ELSEWHERE, address):
            yield Ether(src=mac, dst=ALL) / ARP(op=1, hwsrc=mac, psrc=address, pdst=target)
    own = {pair.mac: pair.prefix.address for pair in pairs}
    for mac, claimed in product(macs, macs):
        address = own.get(mac, "10.0.0.1")
        yield Ether(src=mac, dst=ALL) / ARP(op=1, hwsrc=claimed, psrc=address, pdst="10.0.0.2")
        yield Ether(src=mac, dst=mac_of("p1")) / ARP(op=2, hwsrc=claimed, psrc=address, pdst=ELSEWHERE)
        asked = ICMPv6ND_NS(tgt="2001:db8::2") / ICMPv6NDOptSrcLLAddr(lladdr=claimed)
        ip = IPv6(src=link_local(mac).address, dst="ff02::1:ff00:2", hlim=255)
        yield Ether(src=mac, dst=GROUP_MAC) / ip / asked
    yield from discovery(macs[0])


def discovery(mac: str) -> Iterator[Packet]:
    """Solicitations, address detection and advertisements, for the right and for other destinations."""
    ether, source = Ether(src=mac, dst=GROUP_MAC), link_local(mac).address
    for target in TARGETS:
        for to in (solicited_node(target), "ff02::1:ff00:9", target, "2001:db8::2"):
            link = ICMPv6NDOptSrcLLAddr(lladdr=mac)
            yield ether / IPv6(src=source, dst=to, hlim=255) / ICMPv6ND_NS(tgt=target) / link
            yield ether / IPv6(src="::", dst=to, hlim=255) / ICMPv6ND_NS(tgt=target)
        link = ICMPv6NDOptDstLLAddr(lladdr=mac)
        yield ether / IPv6(src=source, dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt=target) / link


def disagreements(bridge: BareBridge, text: PolicyText, sender: Port) -> Iterator[str]:
    seen = Seen()
    for packet in frames(sender):
        data = bytes(packet)
        frame = ask_frame(text, sender.id, data.hex(), State.NEW)
        assert isinstance(frame, Frame)
        trace = traced(bridge, sender, data)
        if (trace.outputs, trace.reason) != expected(text, frame, seen):
            yield f"{packet!r}: {expected(text, frame, seen)}\n{trace.text}"


@pytest.mark.parametrize("count", [0, 1, MOST - 1, MOST, MOST + 1, MOST + 3])
def test_every_mac_and_address_of_a_port_is_its_own(bridge: BareBridge, count: int) -> None:
    sender = paired(count)
    objects: list[PolicyObject] = [Network("blue", "blue", subnets=SUBNETS), sender, port("p1")]
    assert not list(disagreements(bridge, load(bridge, objects), sender))


def test_the_owner_of_an_address_outside_all_subnets_is_found(bridge: BareBridge) -> None:
    owner = replace(
        port("p1"), allowed_address_pairs=(AddressPair(mac_of("p1"), Prefix.parse(f"{ELSEWHERE}/32")),)
    )
    objects: list[PolicyObject] = [Network("blue", "blue", subnets=SUBNETS), paired(1), owner]
    assert not list(disagreements(bridge, load(bridge, objects), paired(1)))
    request = Ether(src=mac_of("p0"), dst=ALL) / ARP(
        op=1, hwsrc=mac_of("p0"), psrc="10.0.0.1", pdst=ELSEWHERE
    )
    assert traced(bridge, paired(1), bytes(request)).outputs == {"p1"}


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "10.0.0.0/28", "2001:db8:5::/64"])
def test_a_port_may_use_all_addresses_of_its_ranges(bridge: BareBridge, cidr: str) -> None:
    sender = paired(1, AddressPair(mac_of("p0"), Prefix.parse(cidr)))
    neighbour = replace(port("p1"), allowed_address_pairs=(OTHER_RANGE,))
    objects: list[PolicyObject] = [Network("blue", "blue", subnets=SUBNETS), sender, neighbour]
    assert not list(disagreements(bridge, load(bridge, objects), sender))


@pytest.mark.parametrize(
    ("kind", "option", "field"),
    [
        (ICMPv6ND_NS(tgt="2001:db8::2"), ICMPv6NDOptSrcLLAddr(lladdr=OTHER_MAC), "nd_sll"),
        (ICMPv6ND_NA(tgt="2001:db8::1"), ICMPv6NDOptDstLLAddr(lladdr=OTHER_MAC), "nd_tll"),
    ],
)
def test_another_link_address_is_refused_by_its_first_bits(
    bridge: BareBridge, kind: Packet, option: Packet, field: str
) -> None:
    """If the whole address were compared, each other address would make a megaflow."""
    sender = paired(0)
    load(bridge, [Network("blue", "blue", subnets=SUBNETS), sender, port("p1")])
    ip = IPv6(src=link_local(sender.mac).address, dst="ff02::1", hlim=255)
    trace = traced(bridge, sender, bytes(Ether(src=sender.mac, dst="33:33:00:00:00:01") / ip / kind / option))
    assert trace.reason is Reason.ND_SPOOF
    ((mask,),) = [re.findall(rf"{field}=[0-9a-f:]+/([0-9a-f:]+)", line) for line in trace.megaflows]
    assert int(mask.replace(":", ""), 16).bit_count() == 2


def test_the_narrowest_of_nested_ranges_is_asked(bridge: BareBridge) -> None:
    """The reference checks it as well, but among random ranges few are within another."""
    wide, narrow = (
        replace(
            port("p1"),
            id=name,
            name=name,
            iface_id=name,
            mac=mac_of(name),
            fixed_ips=(),
            allowed_address_pairs=(AddressPair(mac_of(name), Prefix.parse(cidr)),),
        )
        for name, cidr in (("p1", "10.0.0.0/25"), ("p2", "10.0.0.96/28"))
    )
    sender = paired(0)
    load(bridge, [Network("blue", "blue", subnets=SUBNETS), sender, wide, narrow])
    for target, asked in (("10.0.0.100", "p2"), ("10.0.0.90", "p1")):
        request = Ether(src=sender.mac, dst=ALL) / ARP(op=1, hwsrc=sender.mac, psrc="10.0.0.1", pdst=target)
        assert traced(bridge, sender, bytes(request)).outputs & {"p1", "p2"} == {asked}
