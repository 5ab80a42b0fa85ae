"""Ethernet: VLAN tags, protocols other than ARP and IP, other networks."""

from __future__ import annotations

from scapy.layers.inet import IP
from scapy.layers.l2 import LLC, SNAP, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import (
    ATTACKER,
    DISABLED,
    EVERYBODY,
    GREEN,
    GREEN_VLAN,
    INSIDE,
    NEIGHBOUR,
    OUTSIDE,
    ROUTER,
    STRANGER,
    VICTIM,
    AttackHost,
    Family,
    OnKernel,
    said,
)
from tests.attacks.packets import BROADCAST, discard, ip

VLAN_ATTACKS = Family("VLAN tags and other networks")
ETHERTYPE_ATTACKS = Family("Other protocols on Ethernet")

_MPLS = 0x8847

_HONEST = said(ATTACKER, ip(ATTACKER, VICTIM) / discard(), VICTIM)
_FROM_OUTSIDE = said(OUTSIDE, ip(OUTSIDE, VICTIM) / discard(), VICTIM)


def _tagged(sender: AttackHost, receiver: AttackHost | str, *tags: Packet) -> Packet:
    frame: Packet = Ether(src=sender.mac, dst=receiver if isinstance(receiver, str) else receiver.mac)
    for tag in tags:
        frame /= tag
    address = "255.255.255.255" if isinstance(receiver, str) else receiver.ip
    return frame / IP(src=sender.ip, dst=address) / discard()


def _tags() -> None:
    add, green = VLAN_ATTACKS.add, Dot1Q(vlan=GREEN_VLAN)
    for name, frame in (
        ("the other network's tag", _tagged(ATTACKER, GREEN, green)),
        ("the other network's tag, broadcast", _tagged(ATTACKER, BROADCAST, green)),
        ("a priority tag (VLAN 0)", _tagged(ATTACKER, VICTIM, Dot1Q(vlan=0))),
        ("two tags, the inner one the other network's", _tagged(ATTACKER, GREEN, Dot1Q(vlan=1), green)),
        ("two tags, the outer one VLAN 0", _tagged(ATTACKER, GREEN, Dot1Q(vlan=0), green)),
        ("a service tag (802.1ad)", _tagged(ATTACKER, GREEN, Dot1AD(vlan=GREEN_VLAN))),
    ):
        add(name, ATTACKER, frame, Reason.VLAN_TAG, _HONEST)
    add(
        "the old double tag (0x9100)",
        ATTACKER,
        Ether(src=ATTACKER.mac, dst=GREEN.mac, type=0x9100)
        / bytes(green / IP(src=ATTACKER.ip, dst=GREEN.ip)),
        Reason.ETHERTYPE,
        _HONEST,
    )
    for name, frame in (
        ("from outside: a tag that no network has", _tagged(OUTSIDE, VICTIM, Dot1Q(vlan=7))),
        ("from outside: a priority tag", _tagged(OUTSIDE, VICTIM, Dot1Q(vlan=0))),
        (
            "from outside: two tags, the inner one a network's",
            _tagged(OUTSIDE, GREEN, Dot1Q(vlan=7), green),
        ),
    ):
        add(name, OUTSIDE, frame, Reason.UNDECLARED_VLAN, _FROM_OUTSIDE)
    add(
        "from outside: two tags, both a network's",
        OUTSIDE,
        _tagged(OUTSIDE, GREEN, green, green),
        Reason.NOT_TRACKED,
        _FROM_OUTSIDE,
    )


def _networks() -> None:
    add = VLAN_ATTACKS.add
    add(
        "to a MAC of the other network, without a tag",
        ATTACKER,
        ip(ATTACKER, GREEN) / discard(),
        None,
        _HONEST,
        spared=INSIDE,
    )
    add(
        "from outside: to a MAC of a network other than the frame's",
        OUTSIDE,
        [ip(OUTSIDE, GREEN) / discard(), _tagged(OUTSIDE, VICTIM, Dot1Q(vlan=GREEN_VLAN))],
        None,
        _FROM_OUTSIDE,
        spared=INSIDE,
    )
    add(
        "a device without a policy port sends",
        STRANGER,
        [ip(STRANGER, VICTIM) / discard(), ip(VICTIM, NEIGHBOUR) / discard()],
        Reason.UNKNOWN_PORT,
        _HONEST,
    )
    add(
        "a port that is administratively down sends",
        DISABLED,
        ip(DISABLED, VICTIM) / discard(),
        Reason.ADMIN_DOWN,
        _HONEST,
    )
    add(
        "sending to a device without a policy port, and to a port that is down",
        VICTIM,
        [ip(VICTIM, STRANGER) / discard(), ip(VICTIM, DISABLED) / discard()],
        None,
        said(VICTIM, ip(VICTIM, NEIGHBOUR) / discard(), NEIGHBOUR),
        spared=INSIDE,
    )


def _llc(sender: AttackHost, receiver: str, payload: Packet) -> Packet:
    return Dot3(src=sender.mac, dst=receiver) / payload


def _labelled(sender: AttackHost) -> Packet:
    """An MPLS frame to the victim: one label, marked as the last, and a datagram (RFC 3032 section 2.1)."""
    label = (16 << 12 | 1 << 8 | 64).to_bytes(4)
    return (
        Ether(src=sender.mac, dst=VICTIM.mac, type=_MPLS) / label / bytes(ip(sender, VICTIM) / discard())[14:]
    )


def _protocols() -> None:
    add = ETHERTYPE_ATTACKS.add
    for name, kind, receiver in (
        ("LLDP", 0x88CC, "01:80:c2:00:00:0e"),
        ("LLDP to one host", 0x88CC, VICTIM.mac),
        ("LACP", 0x8809, "01:80:c2:00:00:02"),
        ("802.1X (EAPOL)", 0x888E, "01:80:c2:00:00:03"),
        ("pause frame", 0x8808, "01:80:c2:00:00:01"),
        ("PPPoE discovery", 0x8863, BROADCAST),
        ("PPPoE session", 0x8864, VICTIM.mac),
        ("MACsec", 0x88E5, VICTIM.mac),
        ("Ethernet loopback (the receiver forwards frames)", 0x9000, VICTIM.mac),
        ("bridged Ethernet (0x6558)", 0x6558, VICTIM.mac),
        ("batman-adv mesh", 0x4305, BROADCAST),
        ("precision time protocol", 0x88F7, "01:1b:19:00:00:00"),
        ("wake on LAN", 0x0842, BROADCAST),
        ("experimental ethertype", 0x88B5, VICTIM.mac),
        ("IPX", 0x8137, BROADCAST),
        ("storage: ATA over Ethernet", 0x88A2, VICTIM.mac),
        ("storage: Fibre Channel over Ethernet", 0x8906, VICTIM.mac),
        ("storage: RDMA over Ethernet", 0x8915, VICTIM.mac),
        ("fieldbus: EtherCAT", 0x88A4, BROADCAST),
        ("fieldbus: PROFINET discovery", 0x8892, "01:0e:cf:00:00:00"),
        ("TRILL", 0x22F3, "01:80:c2:00:00:40"),
        ("connectivity fault management (802.1ag)", 0x8902, "01:80:c2:00:00:30"),
        ("VLAN registration (MVRP)", 0x88F5, "01:80:c2:00:00:21"),
        ("802.1X pre-authentication", 0x88C7, VICTIM.mac),
    ):
        frame = Ether(src=ATTACKER.mac, dst=receiver, type=kind) / bytes(46)
        add(name, ATTACKER, frame, Reason.ETHERTYPE, _HONEST)
    add("MPLS", ATTACKER, _labelled(ATTACKER), Reason.ETHERTYPE, _HONEST)
    add(
        "MPLS without a bottom of stack",
        ATTACKER,
        Ether(src=ATTACKER.mac, dst=VICTIM.mac, type=_MPLS) / bytes(46),
        Reason.ETHERTYPE,
        _HONEST,
        kernel=OnKernel("the kernel drops a label stack without a bottom before the flow tables"),
    )
    add(
        "network service header with a wrong length",
        ATTACKER,
        Ether(src=ATTACKER.mac, dst=VICTIM.mac, type=0x894F) / bytes(46),
        Reason.ETHERTYPE,
        _HONEST,
        kernel=OnKernel("the kernel drops an invalid header before the flow tables"),
    )
    bridge_group = "01:80:c2:00:00:00"
    spanning_tree = _llc(
        ATTACKER, bridge_group, LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(rootid=0, bridgeid=0)
    )
    snap = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0x00000C, code=0x2000)
    add("spanning tree: become the root bridge", ATTACKER, spanning_tree, Reason.ETHERTYPE, _HONEST)
    add("CDP", ATTACKER, _llc(ATTACKER, "01:00:0c:cc:cc:cc", snap), Reason.ETHERTYPE, _HONEST)
    add(
        "802.3 with LLC",
        ATTACKER,
        _llc(ATTACKER, VICTIM.mac, LLC(dsap=0xF0, ssap=0xF0, ctrl=3)),
        Reason.ETHERTYPE,
        _HONEST,
    )
    add(
        "from outside: LLDP, LLC and MPLS to one host",
        OUTSIDE,
        [
            Ether(src=OUTSIDE.mac, dst=VICTIM.mac, type=0x88CC) / bytes(46),
            _llc(OUTSIDE, VICTIM.mac, LLC(dsap=0xF0, ssap=0xF0, ctrl=3)),
            _labelled(OUTSIDE),
        ],
        Reason.NOT_TRACKED,
        _FROM_OUTSIDE,
    )
    add(
        "from outside: spanning tree and LLDP to multicast groups",
        OUTSIDE,
        [
            _llc(OUTSIDE, bridge_group, LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP()),
            Ether(src=OUTSIDE.mac, dst="01:80:c2:00:00:0e", type=0x88CC) / bytes(46),
        ],
        None,
        _FROM_OUTSIDE,
        spared=tuple(host for host in EVERYBODY if host is not ROUTER),
    )


_tags()
_networks()
_protocols()
