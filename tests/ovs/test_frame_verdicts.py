"""The reference for frames to which no rules apply, compared with Open vSwitch: random ports and frames.

Open vSwitch learns from traced frames as from received ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from flows.openflow.reasons import Reason
from flows.policy.index import link_local, member_addresses
from flows.policy.objects import PolicyObject, Port
from flows.reference.frame import Frame, FrameRefusal, is_no_source, judge_frame, shows_holder
from flows.reference.verdict import PolicyText, State
from lab.ovs import PrivateOvs
from lab.varied import solicited_node
from sgctl.explain.path import FRAME_REASONS
from sgctl.explain.question import ask_frame
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.judging import load
from tests.ovs.tracing import Trace
from tests.shrinking import Unshown, brief
from tests.unit.strategies import ADDRESSES, PAIR_MACS, PORTS, mac_of, policies

pytestmark = pytest.mark.switch

POLICIES, FRAMES_PER_POLICY = 60, 40
GROUPS, OFF_LINK = ("ff02::1", "ff02::1:ff00:1"), "2001:db9::1"
ALL, NODES, NOBODY, ZERO = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01", "02:00:00:00:ff:02", "00:00:00:00:00:00"


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "linkframes", wiring.INTERFACES) as made:
        yield made


class FrameMaker:
    """Makes frames of a policy's ports, most of them nearly honest."""

    def __init__(self, text: PolicyText, random: Random) -> None:
        self._ports = list(text.ports.values())
        self._senders = [port for port in self._ports if port.id not in text.elsewhere]
        self._gateways = [
            detail.gateway
            for network in text.networks.values()
            for detail in network.subnet_details
            if detail.gateway is not None
        ]
        self._random = random

    def frame(self) -> tuple[Port, Packet]:
        """A frame and who sends it."""
        pick = self._random.choice
        sender = pick(self._senders)
        source = pick([sender.mac, sender.mac, sender.mac, self._mac(sender)])
        ether = Ether(src=source, dst=pick([ALL, NODES, NOBODY, source, self._mac(pick(self._ports))]))
        said = pick([self._arp, self._arp, self._discovery, self._discovery, self._other])(sender, source)
        return sender, ether / (Dot1Q(vlan=100) / said if self._one_in(30) else said)

    def _one_in(self, count: int) -> bool:
        return self._random.randrange(count) == 0

    def _mac(self, sender: Port) -> str:
        macs = [sender.mac, *(pair.mac for pair in sender.allowed_address_pairs)]
        return self._random.choice(macs if self._one_in(2) else [*PAIR_MACS, *map(mac_of, PORTS), ALL, ZERO])

    def _address(self, sender: Port, version: int) -> str:
        """Mostly an address of the sender."""
        own = [*member_addresses(sender), *(pair.prefix for pair in sender.allowed_address_pairs)]
        fitting = [address.address for address in own if address.version == version]
        anything = [
            address.address for address in (*ADDRESSES, *self._gateways) if address.version == version
        ]
        anything.append("0.0.0.0" if version == 4 else "::")
        anything += [str(link_local(mac)) for mac in (*PAIR_MACS, sender.mac)] if version == 6 else []
        return self._random.choice(anything if not fitting or self._one_in(3) else fitting)

    def _arp(self, sender: Port, source: str) -> Packet:
        pick = self._random.choice
        address = self._address(sender, 4)
        target = pick([address, self._address(sender, 4), pick(ADDRESSES[:10]).address])
        claimed = source if self._random.random() < 0.8 else self._mac(sender)
        operation = pick([1, 1, 1, 1, 2, 2, 2, 2, 3, 0, 257])
        return ARP(op=operation, hwsrc=claimed, psrc=address, pdst=target, hwtype=pick([1] * 20 + [6]))

    def _discovery(self, sender: Port, source: str) -> Packet:
        pick = self._random.choice
        nobody = self._one_in(4)
        target = self._address(sender, 6) if self._one_in(2) else self._address(pick(self._ports), 6)
        single = target, self._address(sender, 6), self._address(pick(self._ports), 6), OFF_LINK
        to = pick([*[solicited_node(target)] * 4, *GROUPS, *single])
        ip = IPv6(src="::" if nobody else self._address(sender, 6), dst=to, hlim=255)
        kind, option = pick([(ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr), (ICMPv6ND_NA, ICMPv6NDOptDstLLAddr)])
        packet = ip / kind(tgt=target)
        for _ in range(pick([0, 0, 1, 1, 1, 2])):
            packet /= option(lladdr=source if self._random.random() < 0.7 else self._mac(sender))
        return packet

    def _other(self, _: Port, __: str) -> Packet:
        return Raw(bytes(46))

    def typed(self, frame: Packet) -> bytes:
        """The frame's bytes, with an Ethernet type where it has none."""
        data = bytes(frame)
        if data[12:14] == b"\x90\x00":
            data = data[:12] + self._random.choice([b"\x88\xcc", b"\x88\x09", b"\x88\x63"]) + data[14:]
        return data


def traced(bridge: BareBridge, sender: Port, data: bytes) -> Trace:
    arguments = f"in_port={wiring.OFPORTS[sender.id]}", data.hex()
    return Trace.read(bridge.control.call("ofproto/trace", "--names", bridge.name, *arguments))


@dataclass
class Seen:
    """What a switch learns of a network: the last user of a shared MAC, and which MACs are behind a port."""

    last_used: dict[str, str] = field(default_factory=dict)
    behind: dict[str, str] = field(default_factory=dict)

    def note(self, sender: Port, frame: Frame) -> None:
        """Take in a frame."""
        if frame.tagged or not sender.admin_state_up or is_no_source(frame.source_mac):
            return
        if not sender.port_security_enabled:
            self.behind[frame.source_mac] = sender.id
        if shows_holder(sender, frame):
            self.last_used[frame.source_mac] = sender.id


def expected(text: PolicyText, frame: Frame, seen: Seen) -> tuple[frozenset[str], Reason | None]:
    verdict = judge_frame(text.networks, text.ports, frame, text.elsewhere, seen.last_used)
    network, outside = text.networks[text.ports[frame.sender].network_id], frozenset[str]()
    if verdict.outside:
        place = seen.behind.get(frame.destination_mac)
        outside = (
            frozenset(wiring.carriers(network)) if place is None else frozenset([place]) - {frame.sender}
        )
    reason = None if verdict.refusal is None else FRAME_REASONS[verdict.refusal]
    return verdict.ports | outside, reason


def test_every_refusal_is_a_reason() -> None:
    assert FRAME_REASONS.keys() == set(FrameRefusal)


@settings(
    max_examples=POLICIES,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(objects=policies().map(Unshown), seed=st.integers(0, 2**32))
def test_switch_agrees_with_the_reference(
    bridge: BareBridge, objects: Unshown[list[PolicyObject]], seed: int
) -> None:
    random = Random(seed)
    ports = [each.id for each in objects.value if isinstance(each, Port)]
    text = load(bridge, objects.value, frozenset(random.sample(ports[1:], len(ports) // 3)))
    bridge.forget_places()
    maker, places = FrameMaker(text, random), defaultdict[str, Seen](Seen)
    for _ in range(FRAMES_PER_POLICY):
        sender, packet = maker.frame()
        data = maker.typed(packet)
        frame = ask_frame(text, sender.id, data.hex(), State.NEW)
        assert isinstance(frame, Frame)
        trace, seen = traced(bridge, sender, data), places[sender.network_id]
        assert not trace.lost_neighbour_fields, trace.text
        outputs, reason = expected(text, frame, seen)
        seen.note(sender, frame)  # last: a frame does not find what Open vSwitch learns from it
        refused_by_some = reason is None and outputs  # one of those who may hold the MAC does not take it
        if trace.outputs != outputs or (trace.reason is not reason and not refused_by_some):
            policy = "\n".join(map(brief, objects.value))
            pytest.fail(f"{outputs} {reason}\n{seen}\n{frame}\n{policy}\n{trace.text}", pytrace=False)
