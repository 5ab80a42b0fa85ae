"""A MAC and an address that several ports may use: traffic finds their holder, here or elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from flows.compiler.bridge import BridgeCompiler, LocalState, compile_bridge
from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow.flow import Flow, FlowKey
from flows.openflow.reasons import Reason
from flows.policy.index import Policy
from flows.policy.objects import (
    AddressPair,
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
from lab.ovs import PrivateOvs
from tests.ovs.bridge import BareBridge
from tests.ovs.tracing import Trace

pytestmark = pytest.mark.switch

ONE, OTHER, THIRD, THIEF, GUEST = "one", "other", "third", "thief", "guest"
NUMBERS = {ONE: 1, OTHER: 2, THIEF: 3, GUEST: 4, THIRD: 5}
UP, DOWN = "up", "down"
UPLINKS = {UP: 11, DOWN: 12}
INTERFACES = {**NUMBERS, **UPLINKS}
OUTSIDE_MAC = "02:00:00:00:00:c8"
SHARED, SHARED_MAC = "10.0.0.100", "00:00:5e:00:01:0a"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
ALL_IN_ALL_OUT: list[PolicyObject] = [
    Network("blue", "blue"),
    SecurityGroup("all", "all"),
    *(Rule(f"r{n}", 16 + n, "all", direction, Ethertype.IPV4) for n, direction in enumerate(Direction)),
]


def mac(name: str) -> str:
    return f"02:00:00:00:00:{NUMBERS[name]:02x}"


def address(name: str) -> str:
    return f"10.0.0.{NUMBERS[name]}"


def port(name: str) -> Port:
    pairs = [AddressPair(each, Prefix.parse(SHARED)) for each in (SHARED_MAC, mac(name))]
    return Port(
        name,
        name,
        "blue",
        mac(name),
        name,
        (Prefix.parse(address(name)),),
        frozenset(["all"]),
        tuple(pairs) if name in (ONE, OTHER, THIRD) else (),
    )


def policy(*names: str) -> Policy:
    made = Policy()
    made.apply(Change(None, each) for each in (*ALL_IN_ALL_OUT, *map(port, names)))
    return made


def local(*here: str) -> LocalState:
    carried = dict.fromkeys(UPLINKS.values(), frozenset(["blue"]))
    return LocalState({NUMBERS[name]: name for name in here}, carried, {"blue": 1})


def compiled(names: tuple[str, ...], here: tuple[str, ...]) -> Mapping[FlowKey, Flow]:
    return compile_bridge(policy(*names), local(*here))


@pytest.fixture(scope="module")
def made(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "holders", INTERFACES) as bridge:
        yield bridge


@pytest.fixture
def bridge(made: BareBridge) -> BareBridge:
    made.forget_places()
    return made


@pytest.fixture
def alone(bridge: BareBridge) -> BareBridge:
    """All ports that share the address are on this bridge."""
    bridge.load(compiled((ONE, OTHER, THIEF, GUEST), (ONE, OTHER, THIEF, GUEST)))
    return bridge


@pytest.fixture
def divided(bridge: BareBridge) -> BareBridge:
    """One port that shares the address is on another bridge."""
    bridge.load(compiled((ONE, OTHER, THIEF, GUEST), (ONE, THIEF, GUEST)))
    return bridge


def come(bridge: BareBridge, interface: str, frame: Packet) -> Trace:
    """Inject a frame, from which the switch may learn."""
    arguments = f"in_port={INTERFACES[interface]}", bytes(frame).hex()
    return Trace.read(bridge.control.call("ofproto/trace", "--names", bridge.name, *arguments))


def announcement(source: str = SHARED_MAC, claimed: str = SHARED_MAC, own: str = SHARED) -> Packet:
    return Ether(src=source, dst=EVERYBODY) / ARP(op=1, hwsrc=claimed, psrc=own, pdst=own)


def speaker(interface: str) -> tuple[str, str]:
    """The MAC and the address of the host there."""
    return (mac(interface), address(interface)) if interface in NUMBERS else (OUTSIDE_MAC, "10.0.0.200")


def goes_to(bridge: BareBridge, interface: str = GUEST) -> frozenset[str]:
    """The ports to which a datagram for the shared MAC goes. The trace teaches the switch nothing."""
    source, said_by = (
        (mac(interface), address(interface)) if interface in NUMBERS else (OUTSIDE_MAC, "10.0.0.200")
    )
    macs = f"in_port={INTERFACES[interface]},dl_src={source},dl_dst={SHARED_MAC}"
    packet = f"udp,nw_src={said_by},nw_dst={SHARED},nw_ttl=64,udp_src=9,udp_dst=9"
    return bridge.trace(f"{macs},{packet}", ["trk,new"]).outputs


def asked(bridge: BareBridge, interface: str, target_mac: str = EVERYBODY) -> frozenset[str]:
    """The ports that a request for the shared address reaches."""
    source, said_by = (
        (mac(interface), address(interface)) if interface in NUMBERS else (OUTSIDE_MAC, "10.0.0.200")
    )
    question = f"arp,arp_op=1,arp_sha={source},arp_spa={said_by},arp_tpa={SHARED}"
    macs = f"in_port={INTERFACES[interface]},dl_src={source},dl_dst={target_mac}"
    return bridge.trace(f"{macs},{question}").outputs


def test_on_one_bridge_the_mac_follows_who_used_it_last(alone: BareBridge) -> None:
    assert goes_to(alone) == goes_to(alone, UP) == {ONE, OTHER}
    come(alone, OTHER, announcement())
    assert goes_to(alone) == goes_to(alone, UP) == {OTHER}
    come(alone, ONE, announcement())
    assert goes_to(alone) == goes_to(alone, UP) == {ONE}
    come(alone, OTHER, Ether(src=SHARED_MAC, dst=mac(GUEST)) / IP(src=SHARED, dst=address(GUEST)) / UDP())
    assert goes_to(alone) == {OTHER}
    advertisement = IP(src=SHARED, dst="224.0.0.18", ttl=255, proto=112) / bytes(8)
    come(alone, ONE, Ether(src=SHARED_MAC, dst="01:00:5e:00:00:12") / advertisement)
    assert goes_to(alone) == {ONE}


def test_over_two_bridges_the_mac_follows_who_used_it_last(divided: BareBridge) -> None:
    assert goes_to(divided) == {ONE, UP, DOWN}
    assert goes_to(divided, UP) == {ONE, DOWN}
    come(divided, UP, announcement())
    assert goes_to(divided) == {UP}
    assert goes_to(divided, DOWN) == {UP}
    assert goes_to(divided, UP) == set()
    come(divided, ONE, announcement())
    assert goes_to(divided) == goes_to(divided, UP) == {ONE}
    come(divided, DOWN, announcement())
    assert goes_to(divided) == {DOWN}


@pytest.mark.parametrize(
    "frame",
    [
        announcement(),
        announcement(source="02:00:00:00:00:03"),
        announcement(claimed="02:00:00:00:00:03"),
        Ether(src=SHARED_MAC, dst=EVERYBODY) / ARP(op=1, hwsrc=SHARED_MAC, psrc="10.0.0.3", pdst="10.0.0.3"),
        Ether(src=SHARED_MAC, dst="02:00:00:00:00:04") / IP(src="10.0.0.3", dst="10.0.0.4") / UDP(),
        Ether(src=SHARED_MAC, dst="02:00:00:00:00:04") / IP(src=SHARED, dst="10.0.0.4") / UDP(),
    ],
)
def test_a_port_without_the_pair_does_not_get_the_mac(divided: BareBridge, frame: Packet) -> None:
    come(divided, ONE, announcement())
    trace = come(divided, THIEF, frame)
    assert trace.reason in (Reason.ARP_SPOOF, Reason.IP_SPOOF)
    assert not trace.outputs
    assert goes_to(divided) == goes_to(divided, UP) == {ONE}


def test_hosts_outside_cannot_take_a_mac_that_only_local_ports_share(alone: BareBridge) -> None:
    come(alone, OTHER, announcement())
    own = "10.0.0.200"
    for frame in (
        announcement(),
        announcement(OUTSIDE_MAC),
        announcement(OUTSIDE_MAC, OUTSIDE_MAC),
        announcement(SHARED_MAC, OUTSIDE_MAC, own),
        announcement(OUTSIDE_MAC, SHARED_MAC, own),
        Ether(src=SHARED_MAC, dst=mac(GUEST)) / IP(src=own, dst=address(GUEST)) / UDP(),
        Ether(src=OUTSIDE_MAC, dst=mac(GUEST)) / IP(src=SHARED, dst=address(GUEST)) / UDP(),
    ):
        assert come(alone, UP, frame).reason is Reason.UPLINK_SPOOF
    assert goes_to(alone) == goes_to(alone, UP) == {OTHER}
    assert asked(alone, GUEST) == asked(alone, UP) == {ONE, OTHER}


def test_link_local_traffic_of_a_stand_by_does_not_take_the_mac(alone: BareBridge) -> None:
    """Its kernel sends from the link-local address of each of its MACs."""
    come(alone, ONE, announcement())
    macs = f"in_port={NUMBERS[OTHER]},dl_src={SHARED_MAC},dl_dst=33:33:00:00:00:16"
    report = "icmp6,icmpv6_type=143,icmpv6_code=0,ipv6_src=fe80::200:5eff:fe00:10a,ipv6_dst=ff02::16,nw_ttl=1"
    followed = alone.trace(f"{macs},{report}")
    assert followed.outputs == {UP, DOWN}
    assert "learn(" not in followed.text
    assert goes_to(alone) == {ONE}


def test_a_request_for_a_shared_address_reaches_all_ports_that_may_have_it(divided: BareBridge) -> None:
    assert asked(divided, GUEST) == {ONE, UP, DOWN}
    assert asked(divided, UP) == {ONE, DOWN}
    assert asked(divided, ONE) == {UP, DOWN}


def test_a_request_to_the_holders_mac_reaches_the_holder(divided: BareBridge) -> None:
    assert asked(divided, GUEST, mac(OTHER)) == {ONE, UP, DOWN}
    come(divided, DOWN, Ether(src=mac(OTHER), dst=EVERYBODY) / ARP(op=1, hwsrc=mac(OTHER), psrc=SHARED))
    assert asked(divided, GUEST, mac(OTHER)) == {ONE, DOWN}
    assert asked(divided, UP, mac(OTHER)) == {ONE, DOWN}


def test_address_detection_of_a_shared_address_reaches_the_other_ports(alone: BareBridge) -> None:
    probe = f"arp,arp_op=1,arp_sha={SHARED_MAC},arp_spa=0.0.0.0,arp_tpa={SHARED}"
    macs = f"in_port={NUMBERS[ONE]},dl_src={SHARED_MAC},dl_dst={EVERYBODY}"
    assert alone.trace(f"{macs},{probe}").outputs == {OTHER}


@pytest.mark.parametrize("own", [SHARED, "10.0.0.200", "255.255.255.254", "0.0.0.1"])
def test_announcements_of_moved_addresses_outside_reach_all_ports(divided: BareBridge, own: str) -> None:
    """Also ports that do not share the address. Other requests go only to the owner of the address."""
    everybody = {ONE, THIEF, GUEST, DOWN}
    said = Ether(src=OUTSIDE_MAC, dst=EVERYBODY)
    assert come(divided, UP, said / ARP(op=1, hwsrc=OUTSIDE_MAC, psrc=own, pdst=own)).outputs == everybody
    number = int(Prefix.parse(own).value)
    for bit in (1 << each for each in range(32)):
        other = Prefix(4, number ^ bit, 32)
        heard = come(divided, UP, said / ARP(op=1, hwsrc=OUTSIDE_MAC, psrc=own, pdst=str(other))).outputs
        assert len(heard - {DOWN}) <= 1, other


def test_learned_flows_expire(dummy_ovs: PrivateOvs) -> None:
    """On a switch whose clock can be set."""
    with BareBridge(dummy_ovs, "aging", INTERFACES) as aging:
        aging.load(compiled((ONE, OTHER, GUEST), (ONE, GUEST)))
        come(aging, UP, announcement())
        aging.control.call("time/stop")
        aging.control.call("time/warp", f"{(numbers.HOLDER_SECONDS - 10) * 1000}", "1000")
        assert goes_to(aging) == {UP}
        aging.control.call("time/warp", "20000", "1000")
        assert goes_to(aging) == {ONE, UP, DOWN}


def test_learned_flows_survive_unrelated_changes(divided: BareBridge) -> None:
    come(divided, UP, announcement())
    divided.load(compiled((ONE, OTHER, GUEST), (ONE, GUEST)))
    divided.load(compiled((ONE, OTHER, THIEF, GUEST), (ONE, THIEF, GUEST)))
    assert goes_to(divided) == {UP}


def test_learned_flows_grant_no_permission(alone: BareBridge) -> None:
    """The holder's pair is removed, or the whole port; the switch has not seen another holder."""
    come(alone, OTHER, announcement())
    alone.load(compiled((ONE, THIRD, GUEST), (ONE, THIRD, GUEST)))
    assert goes_to(alone) == {ONE, THIRD}
    come(alone, THIRD, announcement())
    assert goes_to(alone) == {THIRD}
    alone.load(compiled((ONE, GUEST), (ONE, GUEST)))
    assert goes_to(alone) == {ONE}
    assert f"table={p.HOLDER.id}," not in alone.ovs.ofctl("dump-flows", alone.name)


def test_flows_follow_the_location_of_the_other_ports() -> None:
    """After any port is plugged, unplugged or edited, the flows equal those of a fresh compiler."""
    names = (ONE, OTHER, THIRD, GUEST)
    shared = policy(*names)
    compiler = BridgeCompiler(shared)
    for here in (names, (ONE, GUEST), (ONE, OTHER, GUEST), (GUEST,), (ONE, THIRD, GUEST)):
        compiler.set_local(local(*here))
        compiler.flush()
        assert compiler.flows == compile_bridge(shared, local(*here))
    for gone in (OTHER, THIRD):
        compiler.update(shared.apply([Change(port(gone), None)]))
        compiler.flush()
        assert compiler.flows == compile_bridge(shared, local(ONE, THIRD, GUEST))


def test_ports_without_pairs_need_no_further_flows() -> None:
    def count(*here: str) -> int:
        return len(compiled((ONE, OTHER, THIEF, GUEST), here))

    assert count(GUEST, THIEF) - count(GUEST) == count(THIEF, GUEST, ONE) - count(GUEST, ONE)
