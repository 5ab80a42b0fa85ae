"""Tunnels: rules do not see the inner packet, so the outer packet needs a rule for its protocol."""

from __future__ import annotations

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, LLC, SNAP, Dot3, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import ATTACKER, NEIGHBOUR, OPEN, ROUTER, VICTIM, AttackHost, Family, said
from tests.attacks.connections import CLOSED
from tests.attacks.packets import discard, ip, ip6, syn, udp

TUNNEL_ATTACKS = Family("Tunnels and encapsulations")


def _inner(version: int = 4) -> Packet:
    if version == 6:
        return IPv6(src=NEIGHBOUR.ip6, dst=VICTIM.ip6) / syn()
    return IP(src=NEIGHBOUR.ip, dst=VICTIM.ip) / syn()


def _on_ip() -> None:
    ethernet = bytes(Ether(src=NEIGHBOUR.mac, dst=VICTIM.mac) / _inner())
    for name, protocol, payload in (
        ("Ethernet in IP (EtherIP)", 97, b"\x30\x00" + ethernet),
        ("Ethernet in GRE with a key (NVGRE)", 47, bytes(GRE(key_present=1, proto=0x6558)) + ethernet),
        ("PPTP's GRE", 47, bytes.fromhex("3001880b00200001") + bytes(32)),
        ("MPLS in IP", 137, bytes.fromhex("00010140") + bytes(_inner())),
        ("IP compression", 108, bytes([4, 0, 0, 1]) + bytes(32)),
    ):
        TUNNEL_ATTACKS.add(
            name,
            ATTACKER,
            ip(ATTACKER, VICTIM, proto=protocol) / payload,
            Reason.INGRESS_POLICY,
            said(ATTACKER, ip(ATTACKER, OPEN, proto=protocol) / payload, OPEN),
        )
    for name, protocol, payload in (
        ("IPv4 in IPv6", 4, bytes(_inner())),
        ("IPv6 in IPv6", 41, bytes(_inner(6))),
        ("GRE in IPv6", 47, bytes(GRE() / _inner())),
        ("OSPF in IPv6", 89, bytes(32)),
        ("a reserved protocol (255) in IPv6", 255, bytes(32)),
    ):
        TUNNEL_ATTACKS.add(
            name,
            ATTACKER,
            ip6(ATTACKER, VICTIM, nh=protocol) / payload,
            Reason.INGRESS_POLICY,
            said(ATTACKER, ip6(ATTACKER, OPEN, nh=protocol) / payload, OPEN),
        )
    for name, port, payload in (
        ("VXLAN", 4789, VXLAN(vni=5) / Ether(ethernet)),
        ("Geneve", 6081, bytes.fromhex("0000655800000500") + ethernet),
        ("Teredo", 3544, _inner(6)),
    ):
        TUNNEL_ATTACKS.add(
            name,
            ATTACKER,
            ip(ATTACKER, VICTIM) / udp(port) / payload,
            Reason.INGRESS_POLICY,
            said(ATTACKER, ip(ATTACKER, OPEN) / udp(port) / payload, OPEN),
        )


def _in_snap(sender: AttackHost, receiver: AttackHost, packet: Packet) -> Packet:
    """An IP packet in an 802.3 frame (RFC 1042), which switches and hosts may treat as any IP packet."""
    kind = 0x86DD if isinstance(packet, IPv6) else 0x0800
    head = Dot3(src=sender.mac, dst=receiver.mac) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
    return head / SNAP(OUI=0, code=kind) / packet


def _on_snap() -> None:
    add = TUNNEL_ATTACKS.add
    four, six = IP(src=ATTACKER.ip, dst=VICTIM.ip), IPv6(src=ATTACKER.ip6, dst=VICTIM.ip6)
    honest = said(ATTACKER, [_in_snap(ATTACKER, VICTIM, head / discard()) for head in (four, six)], VICTIM)
    add(
        "802.3 frames with SNAP: to a closed port",
        ATTACKER,
        [_in_snap(ATTACKER, VICTIM, head / syn(CLOSED)) for head in (four, six)],
        Reason.INGRESS_POLICY,
        honest,
    )
    add(
        "802.3 frames with SNAP: from a neighbour's address",
        ATTACKER,
        [
            _in_snap(ATTACKER, VICTIM, IP(src=NEIGHBOUR.ip, dst=VICTIM.ip) / discard()),
            _in_snap(ATTACKER, VICTIM, IPv6(src=NEIGHBOUR.ip6, dst=VICTIM.ip6) / discard()),
        ],
        Reason.IP_SPOOF,
        honest,
    )
    add(
        "802.3 frames with SNAP, from outside: from a local address",
        ROUTER,
        [
            _in_snap(ROUTER, VICTIM, IP(src=NEIGHBOUR.ip, dst=VICTIM.ip) / discard()),
            _in_snap(ROUTER, VICTIM, IPv6(src=NEIGHBOUR.ip6, dst=VICTIM.ip6) / discard()),
        ],
        Reason.UPLINK_SPOOF,
        said(ROUTER, _in_snap(ROUTER, VICTIM, IP(src=ROUTER.ip, dst=VICTIM.ip) / discard()), VICTIM),
    )


_on_ip()
_on_snap()
