"""Frames that rules do not concern, from workloads and from outside: ARP, ND, DHCP, tags, spoofing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from flows.openflow.reasons import Reason
from flows.policy.objects import (
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
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.judging import load
from tests.unit.strategies import mac_of

pytestmark = pytest.mark.switch

BLUE = Network("blue", "blue", segmentation_id=100)
RED = Network("red", "red")
OPEN = SecurityGroup("g0", "g0")
M0, M1, M2, M3 = map(mac_of, ("p0", "p1", "p2", "p3"))
OUT = "02:00:00:00:ff:01"
NOBODY = "02:00:00:00:ff:02"
PAIR = "02:00:00:00:01:01"
ALL = "ff:ff:ff:ff:ff:ff"
ALL_NODES = "33:33:00:00:00:01"
GROUP, GROUP1 = "ff02::1:ff00:1", "ff02::1:ff00:2"
"""The solicited-node groups of the addresses of p0 and of p1."""
SIMILAR, FE9 = "2001:db8::1:0:2", "fe80::9:0:2"
"""Addresses of p2 and of nobody in the group of p1."""
FE0, FE1 = "fe80::ff:fe00:1", "fe80::ff:fe00:2"

_FIRST = "tcp_src=40000,tcp_dst=80,tcp_flags=0x002"
SYN, SYN6 = f"tcp,{_FIRST}", f"tcp6,{_FIRST}"

UPLINKS = {"blue-up", "trunk"}
OUTSIDE = {"p2", *UPLINKS}
"""Where routers and servers may be: behind uplinks, or at a port without port security."""


def port(
    name: str, network: str, *addresses: str, secure: bool = True, up: bool = True, also: int | None = None
) -> Port:
    return Port(
        name,
        name,
        network,
        mac_of(name),
        name,
        tuple(map(Prefix.parse, addresses)),
        frozenset(["g0"]) if secure else frozenset(),
        port_security_enabled=secure,
        admin_state_up=up,
        permitted_ethertypes=frozenset() if also is None else frozenset([also]),
    )


OBJECTS: list[PolicyObject] = [
    BLUE,
    RED,
    OPEN,
    *(
        Rule(f"r{16 + n}", 16 + n, "g0", direction, family)
        for n, (direction, family) in enumerate((d, f) for d in Direction for f in Ethertype)
    ),
    port("p0", "blue", "10.0.0.1", "2001:db8::1", also=0x88B5),
    port("p1", "blue", "10.0.0.2", "2001:db8::2"),
    port("p2", "blue", "10.0.0.3", SIMILAR, secure=False),
    port("p3", "red", "10.0.0.1", up=False),
]


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "frames", wiring.INTERFACES) as made:
        load(made, OBJECTS)
        yield made


class Frame(NamedTuple):
    """A frame as `ofproto/trace` reads it, without `in_port`, and its fate: interfaces or a reason.

    `ofproto/trace` takes every packet for the first of a connection. The tracker does not: `tracked` is the
    fate where it takes the packet for none.
    """

    name: str
    text: str
    fate: set[str] | Reason
    tracked: Reason | None = None


def frame(name: str, macs: tuple[str, str], text: str, fate: set[str] | Reason) -> Frame:
    return Frame(name, f"dl_src={macs[0]},dl_dst={macs[1]},{text}", fate)


def ip(source: str, destination: str, rest: str = SYN) -> str:
    return f"{rest},nw_src={source},nw_dst={destination},nw_ttl=64"


def ip6(source: str, destination: str, rest: str, hops: int = 255) -> str:
    return f"{rest},ipv6_src={source},ipv6_dst={destination},nw_ttl={hops}"


def arp(operation: int, sender: tuple[str, str], target: str) -> str:
    return f"arp,arp_op={operation},arp_sha={sender[0]},arp_spa={sender[1]},arp_tpa={target}"


def icmp6(kind: int) -> str:
    return f"icmp6,icmpv6_type={kind},icmpv6_code=0"


def nd(kind: int, target: str, link: str = "") -> str:
    option = {135: "nd_sll", 136: "nd_tll"}[kind]
    return f"{icmp6(kind)},nd_target={target}" + (f",{option}={link}" if link else "")


DHCP_DISCOVER, DHCP_OFFER = "udp,udp_src=68,udp_dst=67", "udp,udp_src=67,udp_dst=68"
SOLICIT6, ADVERTISE6 = "udp6,udp_src=546,udp_dst=547", "udp6,udp_src=547,udp_dst=546"

FROM_WORKLOAD = [
    frame("own addresses", (M0, M1), ip("10.0.0.1", "10.0.0.2"), {"p1"}),
    frame("own IPv6 address", (M0, M1), ip6("2001:db8::1", "2001:db8::2", SYN6), {"p1"}),
    frame("own link-local address", (M0, M1), ip6(FE0, FE1, SYN6), {"p1"}),
    frame("to nobody here", (M0, NOBODY), ip("10.0.0.1", "10.0.0.9"), UPLINKS),
    frame("to a port that is down", (M0, M3), ip("10.0.0.1", "10.0.0.9"), UPLINKS),
    frame("foreign MAC", (M1, M1), ip("10.0.0.1", "10.0.0.2"), Reason.IP_SPOOF),
    frame("foreign address", (M0, M1), ip("10.0.0.3", "10.0.0.2"), Reason.IP_SPOOF),
    frame("foreign IPv6 address", (M0, M1), ip6("2001:db8::3", "2001:db8::2", "tcp6"), Reason.IP_SPOOF),
    frame("foreign link-local address", (M0, M1), ip6(FE1, "2001:db8::2", "tcp6"), Reason.IP_SPOOF),
    frame("no source", (M0, M1), ip("0.0.0.0", "10.0.0.2"), Reason.IP_SPOOF),
    frame("no IPv6 source", (M0, M1), ip6("::", "2001:db8::2", "tcp6"), Reason.UNSPECIFIED_SOURCE),
    frame("group source MAC", ("01:00:00:00:00:01", M1), ip("10.0.0.1", "10.0.0.2"), Reason.BAD_SOURCE_MAC),
    frame("zero source MAC", ("00:00:00:00:00:00", M1), ip("10.0.0.1", "10.0.0.2"), Reason.IP_SPOOF),
    frame("tagged", (M0, M1), f"dl_vlan=100,{ip('10.0.0.1', '10.0.0.2')}", Reason.VLAN_TAG),
    frame("priority-tagged", (M0, M1), f"vlan_tci=0x1000,{ip('10.0.0.1', '10.0.0.2')}", Reason.VLAN_TAG),
    frame("LLDP", (M0, "01:80:c2:00:00:0e"), "dl_type=0x88cc", Reason.ETHERTYPE),
    frame("spanning tree", (M0, "01:80:c2:00:00:00"), "dl_type=0x05ff", Reason.ETHERTYPE),
    frame("permitted type", (M0, NOBODY), "dl_type=0x88b5", UPLINKS),
    frame("permitted type to one who may not", (M0, M1), "dl_type=0x88b5", Reason.NOT_TRACKED),
    frame("permitted type to all", (M0, ALL), "dl_type=0x88b5", Reason.BUM),
    frame("permitted type to virtual routers", (M0, "01:00:5e:00:00:12"), "dl_type=0x88b5", Reason.BUM),
    frame("MPLS", (M0, M1), "mpls,mpls_label=3,mpls_bos=1", Reason.ETHERTYPE),
    frame("broadcast", (M0, ALL), ip("10.0.0.1", "255.255.255.255", "udp"), Reason.BUM),
    frame("broadcast address to one MAC", (M0, M1), ip("10.0.0.1", "255.255.255.255", "udp"), Reason.BUM),
    frame("subnet broadcast", (M0, ALL), ip("10.0.0.1", "10.0.0.255", "udp"), Reason.BUM),
    frame("multicast", (M0, "01:00:5e:00:00:fb"), ip("10.0.0.1", "224.0.0.251", "udp"), Reason.BUM),
    frame("multicast to one MAC", (M0, M1), ip("10.0.0.1", "224.0.0.251", "udp"), Reason.BUM),
    frame("IPv6 multicast", (M0, "33:33:00:00:00:fb"), ip6(FE0, "ff02::fb", "udp6"), Reason.BUM),
    frame("IPv6 multicast to one MAC", (M0, M1), ip6(FE0, "ff02::fb", "udp6"), Reason.BUM),
    frame("ARP for a neighbour", (M0, ALL), arp(1, (M0, "10.0.0.1"), "10.0.0.2"), {"p1"}),
    frame("ARP for one without security", (M0, ALL), arp(1, (M0, "10.0.0.1"), "10.0.0.3"), {"p2"}),
    frame("ARP for the outside", (M0, ALL), arp(1, (M0, "10.0.0.1"), "10.0.0.9"), OUTSIDE),
    frame("ARP probe", (M0, ALL), arp(1, (M0, "0.0.0.0"), "10.0.0.2"), {"p1"}),
    frame("ARP announcement", (M0, ALL), arp(1, (M0, "10.0.0.1"), "10.0.0.1"), {"p1", "p2", *UPLINKS}),
    frame("ARP answer", (M0, M1), arp(2, (M0, "10.0.0.1"), "10.0.0.2"), {"p1"}),
    frame("ARP from a foreign MAC", (M1, ALL), arp(1, (M0, "10.0.0.1"), "10.0.0.2"), Reason.ARP_SPOOF),
    frame("ARP of a foreign MAC", (M0, M1), arp(2, (M1, "10.0.0.1"), "10.0.0.2"), Reason.ARP_SPOOF),
    frame("ARP of a foreign address", (M0, M1), arp(2, (M0, "10.0.0.3"), "10.0.0.2"), Reason.ARP_SPOOF),
    frame("ARP probe of a foreign MAC", (M0, ALL), arp(1, (M1, "0.0.0.0"), "10.0.0.2"), Reason.ARP_SPOOF),
    frame("ARP answer without address", (M0, M1), arp(2, (M0, "0.0.0.0"), "10.0.0.2"), Reason.ARP_SPOOF),
    frame("RARP", (M0, ALL), "rarp", Reason.ETHERTYPE),
    frame("DHCP discover", (M0, ALL), ip("0.0.0.0", "255.255.255.255", DHCP_DISCOVER), OUTSIDE),
    frame("DHCP renewal", (M0, NOBODY), ip("10.0.0.1", "10.0.0.254", DHCP_DISCOVER), UPLINKS),
    frame("DHCP to a neighbour", (M0, M1), ip("10.0.0.1", "10.0.0.2", DHCP_DISCOVER), {"p1"}),
    frame(
        "DHCP for another MAC", (M1, ALL), ip("0.0.0.0", "255.255.255.255", DHCP_DISCOVER), Reason.IP_SPOOF
    ),
    frame("DHCP offer", (M0, M1), ip("10.0.0.1", "10.0.0.2", DHCP_OFFER), Reason.DHCP_SERVER),
    frame("DHCP offer to all", (M0, ALL), ip("10.0.0.1", "255.255.255.255", DHCP_OFFER), Reason.DHCP_SERVER),
    frame("DHCPv6 solicit", (M0, "33:33:00:01:00:02"), ip6(FE0, "ff02::1:2", SOLICIT6), OUTSIDE),
    frame("DHCPv6 to a neighbour", (M0, M1), ip6(FE0, FE1, SOLICIT6), {"p1"}),
    frame("DHCPv6 advertise", (M0, M1), ip6(FE0, FE1, ADVERTISE6), Reason.DHCP_SERVER),
    frame("router solicitation", (M0, "33:33:00:00:00:02"), ip6(FE0, "ff02::2", icmp6(133)), OUTSIDE),
    frame("listener report", (M0, "33:33:00:00:00:16"), ip6("::", "ff02::16", icmp6(143), hops=1), OUTSIDE),
    frame("router solicitation to a neighbour", (M0, M1), ip6(FE0, FE1, icmp6(133)), {"p1"})._replace(
        tracked=Reason.INVALID
    ),
    frame(
        "router advertisement", (M0, ALL_NODES), ip6(FE0, "ff02::1", icmp6(134)), Reason.ROUTER_ADVERTISEMENT
    ),
    frame("redirect", (M0, M1), ip6(FE0, FE1, icmp6(137)), Reason.ROUTER_ADVERTISEMENT),
    frame("listener query", (M0, ALL_NODES), ip6(FE0, "ff02::1", icmp6(130)), Reason.ROUTER_ADVERTISEMENT),
    frame("ND for a neighbour", (M0, ALL_NODES), ip6(FE0, GROUP1, nd(135, "2001:db8::2", M0)), {"p1"}),
    frame("ND to another group", (M0, ALL_NODES), ip6(FE0, GROUP, nd(135, "2001:db8::2", M0)), OUTSIDE),
    frame(
        "ND for another address of the group", (M0, ALL_NODES), ip6(FE0, GROUP1, nd(135, SIMILAR, M0)), {"p2"}
    ),
    frame("ND for an unknown one of the group", (M0, ALL_NODES), ip6(FE0, GROUP1, nd(135, FE9, M0)), OUTSIDE),
    frame("ND to an address for another", (M0, M1), ip6(FE0, FE1, nd(135, "2001:db8::9", M0)), {"p1"}),
    frame("ND for the outside", (M0, ALL_NODES), ip6(FE0, GROUP, nd(135, "2001:db8::9", M0)), OUTSIDE),
    frame("ND of a known neighbour", (M0, M1), ip6(FE0, FE1, nd(135, FE1)), {"p1"}),
    frame("ND with a foreign MAC", (M0, M1), ip6(FE0, FE1, nd(135, FE1, M1)), Reason.ND_SPOOF),
    frame("ND from a foreign address", (M0, M1), ip6(FE1, FE1, nd(135, FE1, M0)), Reason.IP_SPOOF),
    frame("ND answer", (M0, M1), ip6(FE0, FE1, nd(136, FE0, M0)), {"p1"}),
    frame("ND answer without MAC", (M0, M1), ip6(FE0, FE1, nd(136, FE0)), {"p1"}),
    frame("ND answer for another", (M0, M1), ip6(FE0, FE1, nd(136, "2001:db8::3", M0)), Reason.ND_SPOOF),
    frame("ND answer for another without MAC", (M0, M1), ip6(FE0, FE1, nd(136, FE1)), Reason.ND_SPOOF),
    frame("ND answer with a foreign MAC", (M0, M1), ip6(FE0, FE1, nd(136, FE0, M1)), Reason.ND_SPOOF),
    frame("broken ND", (M0, M1), ip6(FE0, FE1, icmp6(135)), Reason.ND_SPOOF),
    frame("broken ND answer", (M0, M1), ip6(FE0, FE1, icmp6(136)), Reason.ND_SPOOF),
    frame("address detection", (M0, ALL_NODES), ip6("::", GROUP, nd(135, "2001:db8::1")), OUTSIDE),
    frame(
        "address detection of another's",
        (M0, ALL_NODES),
        ip6("::", GROUP, nd(135, "2001:db8::2")),
        Reason.ND_SPOOF,
    ),
    frame(
        "address detection to another group",
        (M0, ALL_NODES),
        ip6("::", GROUP1, nd(135, "2001:db8::1")),
        Reason.ND_SPOOF,
    ),
    frame(
        "address detection with MAC",
        (M0, ALL_NODES),
        ip6("::", GROUP, nd(135, "2001:db8::1", M0)),
        Reason.ND_SPOOF,
    ),
    frame(
        "ND announcement",
        (M0, ALL_NODES),
        ip6(FE0, "ff02::1", nd(136, FE0, M0)),
        {"p1", "p2", *UPLINKS},
    ),
]

TAG = "dl_vlan=100,"
HERE = {"p0", "p1", "p2"}
FROM_UPLINK = [
    frame("to a workload", (OUT, M0), TAG + ip("10.0.0.9", "10.0.0.1"), {"p0"}),
    frame("transit", (OUT, NOBODY), TAG + ip("10.0.0.9", "10.0.0.8"), {"trunk"}),
    frame("broadcast", (OUT, ALL), TAG + ip("10.0.0.9", "255.255.255.255", "udp"), {"p2", "trunk"}),
    frame("to a workload of another network", (OUT, M3), TAG + ip("10.0.0.9", "10.0.0.1"), {"trunk"}),
    frame("not IP, to a workload", (OUT, M0), TAG + "dl_type=0x88cc", Reason.NOT_TRACKED),
    frame("untagged", (OUT, M0), ip("10.0.0.9", "10.0.0.1"), Reason.UNDECLARED_VLAN),
    frame("foreign tag", (OUT, M0), "dl_vlan=101," + ip("10.0.0.9", "10.0.0.1"), Reason.UNDECLARED_VLAN),
    frame("priority tag", (OUT, M0), "vlan_tci=0x1000," + ip("10.0.0.9", "10.0.0.1"), Reason.UNDECLARED_VLAN),
    frame("group source MAC", (ALL, M0), TAG + ip("10.0.0.9", "10.0.0.1"), Reason.BAD_SOURCE_MAC),
    frame("a local MAC", (M1, M0), TAG + ip("10.0.0.9", "10.0.0.1"), Reason.UPLINK_SPOOF),
    frame("a local address", (OUT, M0), TAG + ip("10.0.0.2", "10.0.0.1"), Reason.UPLINK_SPOOF),
    frame("a local IPv6 address", (OUT, M0), TAG + ip6("2001:db8::2", FE0, "tcp6"), Reason.UPLINK_SPOOF),
    frame("a local link-local address", (OUT, M0), TAG + ip6(FE1, FE0, "tcp6"), Reason.UPLINK_SPOOF),
    frame(
        "ARP with a local address",
        (OUT, M0),
        TAG + arp(2, (OUT, "10.0.0.2"), "10.0.0.1"),
        Reason.UPLINK_SPOOF,
    ),
    frame(
        "ND for a local address", (OUT, M0), TAG + ip6("fe80::9", FE0, nd(136, FE1, OUT)), Reason.UPLINK_SPOOF
    ),
    frame("ARP", (OUT, ALL), TAG + arp(1, (OUT, "10.0.0.9"), "10.0.0.1"), {"p0"}),
    frame("ARP in transit", (OUT, ALL), TAG + arp(1, (OUT, "10.0.0.9"), "10.0.0.8"), {"p2", "trunk"}),
    frame("ARP answer", (OUT, M0), TAG + arp(2, (OUT, "10.0.0.9"), "10.0.0.1"), {"p0"}),
    frame("ARP announcement", (OUT, ALL), TAG + arp(2, (OUT, "10.0.0.9"), "10.0.0.9"), {*HERE, "trunk"}),
    frame("ND", (OUT, ALL_NODES), TAG + ip6("fe80::9", GROUP, nd(135, FE0, OUT)), {"p0"}),
    frame("ND to another group", (OUT, ALL_NODES), TAG + ip6("fe80::9", GROUP1, nd(135, FE0, OUT)), {"p0"}),
    frame("ND answer", (OUT, M0), TAG + ip6("fe80::9", FE0, nd(136, "fe80::9", OUT)), {"p0"}),
    frame(
        "ND announcement",
        (OUT, ALL_NODES),
        TAG + ip6("fe80::9", "ff02::1", nd(136, "fe80::9", OUT)),
        {*HERE, "trunk"},
    ),
    frame(
        "router advertisement",
        (OUT, ALL_NODES),
        TAG + ip6("fe80::9", "ff02::1", icmp6(134)),
        {*HERE, "trunk"},
    ),
    frame("DHCP offer", (OUT, M0), TAG + ip("10.0.0.254", "10.0.0.1", DHCP_OFFER), {"p0"}),
    frame(
        "DHCP offer to all",
        (OUT, ALL),
        TAG + ip("10.0.0.254", "255.255.255.255", DHCP_OFFER),
        {*HERE, "trunk"},
    ),
    frame("DHCPv6 advertise", (OUT, M0), TAG + ip6("fe80::9", FE0, ADVERTISE6), {"p0"}),
]

FROM_UNSECURED = [
    frame("any MAC and address", (PAIR, M0), ip("10.9.9.9", "10.0.0.1"), {"p0"}),
    frame("broadcast", (M2, ALL), ip("10.0.0.3", "255.255.255.255", "udp"), UPLINKS),
    frame("LLDP", (M2, NOBODY), "dl_type=0x88cc", UPLINKS),
    frame("LLDP to a workload", (M2, M0), "dl_type=0x88cc", Reason.NOT_TRACKED),
    frame("tagged", (M2, M0), f"dl_vlan=100,{ip('10.0.0.3', '10.0.0.1')}", Reason.VLAN_TAG),
    frame("ARP", (M2, ALL), arp(1, (M2, "10.0.0.3"), "10.0.0.1"), {"p0"}),
    frame("ARP announcement", (M2, ALL), arp(2, (M2, "10.0.0.3"), "10.0.0.3"), {"p0", "p1", *UPLINKS}),
    frame("DHCP offer", (M2, M0), ip("10.0.0.3", "10.0.0.1", DHCP_OFFER), {"p0"}),
    frame(
        "DHCP offer to all",
        (M2, ALL),
        ip("10.0.0.3", "255.255.255.255", DHCP_OFFER),
        {"p0", "p1", *UPLINKS},
    ),
    frame(
        "router advertisement",
        (M2, ALL_NODES),
        ip6("fe80::3", "ff02::1", icmp6(134)),
        {"p0", "p1", *UPLINKS},
    ),
    frame("ND", (M2, ALL_NODES), ip6("fe80::3", GROUP, nd(135, FE0, M2)), {"p0"}),
    frame("ND to another group", (M2, ALL_NODES), ip6("fe80::3", GROUP1, nd(135, FE0, M2)), UPLINKS),
    frame("ND answer", (M2, M0), ip6("fe80::3", FE0, nd(136, "fe80::3", M2)), {"p0"}),
    frame(
        "ND announcement",
        (M2, ALL_NODES),
        ip6("fe80::3", "ff02::1", nd(136, "fe80::3", M2)),
        {"p0", "p1", *UPLINKS},
    ),
]


def names(frames: list[Frame]) -> list[str]:
    return [each.name.replace(" ", "-") for each in frames]


def check(bridge: BareBridge, interface: str, each: Frame) -> None:
    trace = bridge.trace(f"in_port={wiring.INTERFACES[interface]},{each.text}")
    assert not trace.lost_neighbour_fields, trace.text
    if isinstance(each.fate, Reason):
        assert trace.reason is each.fate, trace.text
        assert not trace.outputs
    else:
        assert trace.outputs == frozenset(each.fate), trace.text
        assert trace.reason is None
    check_with_a_frame(bridge, interface, each)


def check_with_a_frame(bridge: BareBridge, interface: str, each: Frame) -> None:
    """The frame itself has the fate that the trace reports."""
    bridge.control.call("dpctl/flush-conntrack")
    before = bridge.drops()
    arrived = bridge.send(interface, bridge.frame(each.text))
    dropped = set(bridge.drops() - before)
    fate = each.tracked or each.fate
    if isinstance(fate, Reason):
        assert (arrived, dropped) == (set(), {fate})
    else:
        assert (arrived, dropped) == (fate, set())


@pytest.mark.parametrize("each", FROM_WORKLOAD, ids=names(FROM_WORKLOAD))
def test_from_a_workload(bridge: BareBridge, each: Frame) -> None:
    check(bridge, "p0", each)


@pytest.mark.parametrize("each", FROM_UPLINK, ids=names(FROM_UPLINK))
def test_from_an_uplink(bridge: BareBridge, each: Frame) -> None:
    check(bridge, "blue-up", each)


@pytest.mark.parametrize("each", FROM_UNSECURED, ids=names(FROM_UNSECURED))
def test_from_a_port_without_security(bridge: BareBridge, each: Frame) -> None:
    check(bridge, "p2", each)


def test_from_a_port_that_is_down(bridge: BareBridge) -> None:
    check(bridge, "p3", frame("", (M3, NOBODY), ip("10.0.0.1", "10.0.0.9"), Reason.ADMIN_DOWN))


def test_from_an_undeclared_port(bridge: BareBridge) -> None:
    check(bridge, "p4", frame("", (mac_of("p4"), M0), ip("10.0.0.5", "10.0.0.1"), Reason.UNKNOWN_PORT))


def test_frames_leave_tagged_as_the_network_is(bridge: BareBridge) -> None:
    text = frame("", (M0, NOBODY), ip("10.0.0.1", "10.0.0.9"), set()).text
    assert bridge.trace(f"in_port=1,{text}").tag == 100
