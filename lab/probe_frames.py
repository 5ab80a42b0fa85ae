"""Ethernet frames that no honest host sends; each carries a token by which a watcher recognises it.

Layouts: ARP RFC 826, IPv4 RFC 791, UDP RFC 768, BOOTP/DHCP RFC 2131, VLAN tag IEEE 802.1Q.
UDP checksums are zero, which IPv4 allows: no switch may drop the frame for its checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import NamedTuple

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "02:00:de:ad:be:ef"
"""A unicast MAC that no interface has, so that a learning switch floods frames to it."""
_ARP, _IPV4, _VLAN = 0x0806, 0x0800, 0x8100
_ARP_REQUEST, _ARP_REPLY = 1, 2
_DISCARD, _MDNS, _DHCP_SERVER, _DHCP_CLIENT = 9, 5353, 67, 68


class Side(NamedTuple):
    """One party: host name, its network device, MAC and IPv4 or IPv6 address."""

    host: str
    device: str
    mac: str
    address: str


def attack_frames(kind: str, attacker: Side, victim: Side, stranger: Side, token: bytes) -> list[bytes]:
    """The frames of one attack; `stranger` is a third host on the network.

    The attacker sends them, except those of `sniff`, which the victim sends and the attacker must not see.
    """
    return _ATTACKS[kind](attacker, victim, stranger, token)


def _arp_spoof(attacker: Side, victim: Side, stranger: Side, token: bytes) -> list[bytes]:
    """ARP that claims the stranger's address with the attacker's MAC: as a reply, and unsolicited."""
    liar = attacker._replace(address=stranger.address)
    everybody = Side("", "", BROADCAST, stranger.address)
    return [_arp(_ARP_REPLY, liar, victim, token), _arp(_ARP_REQUEST, liar, everybody, token)]


def _mac_spoof(attacker: Side, victim: Side, stranger: Side, token: bytes) -> list[bytes]:
    """The attacker's address with the stranger's MAC; in the last frame only the MAC in ARP is forged."""
    disguised = attacker._replace(mac=stranger.mac)
    arp = _arp(_ARP_REPLY, disguised, victim, token)
    lying_inside = arp[:6] + _mac(attacker.mac) + arp[12:]
    return [_udp(disguised, victim, _DISCARD, _DISCARD, token), arp, lying_inside]


def _ip_spoof(attacker: Side, victim: Side, stranger: Side, token: bytes) -> list[bytes]:
    return [_udp(attacker._replace(address=stranger.address), victim, _DISCARD, _DISCARD, token)]


def _dhcp_server(attacker: Side, victim: Side, stranger: Side, token: bytes) -> list[bytes]:
    """A DHCP offer of the stranger's address, to the victim and to broadcast."""
    offer = _dhcp_offer(attacker, victim, stranger, token)
    everybody = Side("", "", BROADCAST, "255.255.255.255")
    return [_udp(attacker, to, _DHCP_SERVER, _DHCP_CLIENT, offer) for to in (victim, everybody)]


def _broadcast(attacker: Side, _victim: Side, _stranger: Side, token: bytes) -> list[bytes]:
    everybody = Side("", "", BROADCAST, "255.255.255.255")
    multicast = Side("", "", "01:00:5e:00:00:fb", "224.0.0.251")
    return [
        _udp(attacker, everybody, _DISCARD, _DISCARD, token),
        _udp(attacker, multicast, _MDNS, _MDNS, token),
    ]


def _vlan(attacker: Side, victim: Side, _stranger: Side, token: bytes) -> list[bytes]:
    """Honest frames with an 802.1Q tag: a priority tag (VLAN 0) and VLAN 1."""
    honest = _udp(attacker, victim, _DISCARD, _DISCARD, token)
    return [honest[:12] + struct.pack("!HH", _VLAN, vlan) + honest[12:] for vlan in (0, 1)]


def _sniff(_attacker: Side, victim: Side, stranger: Side, token: bytes) -> list[bytes]:
    """Frames that a learning switch floods: a broadcast question and a frame to an unknown MAC."""
    everybody = Side("", "", BROADCAST, stranger.address)
    unknown = stranger._replace(mac=NOBODY)
    return [
        _arp(_ARP_REQUEST, victim, everybody, token),
        _udp(victim, unknown, _DISCARD, _DISCARD, token),
    ]


_ATTACKS: dict[str, Callable[[Side, Side, Side, bytes], list[bytes]]] = {
    "arp-spoof": _arp_spoof,
    "mac-spoof": _mac_spoof,
    "ip-spoof": _ip_spoof,
    "dhcp-server": _dhcp_server,
    "broadcast": _broadcast,
    "vlan": _vlan,
    "sniff": _sniff,
}


def _arp(operation: int, sender: Side, target: Side, token: bytes) -> bytes:
    """An ARP packet; the token follows it, where Ethernet pads short frames anyway."""
    asked = "00:00:00:00:00:00" if operation == _ARP_REQUEST else target.mac
    packet = struct.pack("!HHBBH", 1, _IPV4, 6, 4, operation)
    packet += _mac(sender.mac) + _ip(sender.address) + _mac(asked) + _ip(target.address)
    return _ethernet(target.mac, sender.mac, _ARP, packet + token)


def _udp(sender: Side, target: Side, source_port: int, target_port: int, payload: bytes) -> bytes:
    datagram = struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload
    addresses = _ip(sender.address) + _ip(target.address)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0)
    checksum = internet_checksum(head + addresses)
    packet = head[:10] + struct.pack("!H", checksum) + addresses + datagram
    return _ethernet(target.mac, sender.mac, _IPV4, packet)


def _dhcp_offer(server: Side, client: Side, offered: Side, token: bytes) -> bytes:
    """BOOTREPLY with the options message type OFFER, server identifier and the token as server name."""
    head = struct.pack("!BBBBIHH", 2, 1, 6, 0, 0x5067, 0, 0)
    addresses = _ip("0.0.0.0") + _ip(offered.address) + _ip(server.address) + _ip("0.0.0.0")  # noqa: S104
    names = token.ljust(64, b"\0") + bytes(128)
    options = b"\x63\x82\x53\x63" + b"\x35\x01\x02" + b"\x36\x04" + _ip(server.address) + b"\xff"
    return head + addresses + _mac(client.mac).ljust(16, b"\0") + names + options


def _ethernet(target: str, source: str, ethertype: int, payload: bytes) -> bytes:
    return (_mac(target) + _mac(source) + struct.pack("!H", ethertype) + payload).ljust(60, b"\0")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ip(text: str) -> bytes:
    return IPv4Address(text).packed


def internet_checksum(data: bytes) -> int:
    """Ones' complement sum of 16-bit words (RFC 1071)."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total: int = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
