"""Honest frames: attacks alter them, controls send them unchanged."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from lab.attack import AttackHost
from lab.attack_policy import DISCARD, TCP_SERVICE, UDP_SERVICE

BROADCAST, NO_MAC = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
NOBODY = "02:00:de:ad:be:ef"
"""A unicast MAC that no device has."""
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"
REQUEST, REPLY = 1, 2
CLIENT_PORT = 40000


def ether(sender: AttackHost, receiver: AttackHost | str) -> Packet:
    """From one host's MAC to another's, or to a MAC."""
    return Ether(src=sender.mac, dst=receiver if isinstance(receiver, str) else receiver.mac)


def multicast(sender: AttackHost, group: str) -> Packet:
    """To the MAC of an IPv6 multicast address (RFC 2464 section 7)."""
    return Ether(src=sender.mac, dst="33:33:" + ":".join(_last_bytes(group)))


def _last_bytes(group: str) -> list[str]:
    tail = bytes(IPv6(src="::", dst=group))[-4:]
    return [f"{byte:02x}" for byte in tail]


def arp(
    operation: int, sender: AttackHost, target: AttackHost, to: AttackHost | str | None = None, **fields: Any
) -> Packet:
    """An honest ARP packet of `sender`, except for the given `fields` (scapy's names)."""
    honest = {"op": operation, "hwsrc": sender.mac, "psrc": sender.ip, "pdst": target.ip}
    honest["hwdst"] = NO_MAC if operation == REQUEST else target.mac
    return ether(sender, target if to is None else to) / ARP(**{**honest, **fields})


def ieee802(frame: Packet) -> bytes:
    """ARP with hardware type 6, IEEE 802 networks, which Linux also accepts (RFC 5342)."""
    return bytes(frame).replace(b"\x08\x06\x00\x01", b"\x08\x06\x00\x06", 1)


def ip(sender: AttackHost, receiver: AttackHost, **fields: Any) -> Packet:
    """Ethernet and IPv4 header."""
    return ether(sender, receiver) / IP(**{"src": sender.ip, "dst": receiver.ip, **fields})


def ip6(sender: AttackHost, receiver: AttackHost, **fields: Any) -> Packet:
    """Ethernet and IPv6 header."""
    return ether(sender, receiver) / IPv6(**{"src": sender.ip6, "dst": receiver.ip6, **fields})


def udp(port: int = UDP_SERVICE, source_port: int = CLIENT_PORT) -> Packet:
    """A datagram with some payload."""
    return UDP(sport=source_port, dport=port) / b"some data"


def syn(port: int = TCP_SERVICE, source_port: int = CLIENT_PORT) -> Packet:
    """The first segment of a connection."""
    return TCP(sport=source_port, dport=port, flags="S", seq=1000, window=8192)


def discard() -> Packet:
    """A datagram that every workload accepts from any sender."""
    return udp(DISCARD)


def echo() -> Packet:
    """A ping."""
    return ICMP(type=8, id=7, seq=1) / b"some data"


def echo6() -> Packet:
    """A ping in IPv6."""
    return ICMPv6EchoRequest(id=7, seq=1, data=b"some data")


def solicitation(
    sender: AttackHost,
    target: AttackHost,
    source: str | None = None,
    to: AttackHost | None = None,
    **option: str,
) -> Packet:
    """A question for `target`'s MAC, to its solicited-node group (RFC 4861 section 4.3) or unicast to a host.

    `lladdr` is another source link-layer address than the sender's; empty leaves the option out.
    """
    group = f"ff02::1:ff00:{target.number:x}"
    ethernet, destination = (multicast(sender, group), group) if to is None else (ether(sender, to), to.ip6)
    address = option.get("lladdr", sender.mac)
    message = IPv6(src=source or sender.link_local, dst=destination) / ICMPv6ND_NS(tgt=target.ip6)
    return ethernet / message / (ICMPv6NDOptSrcLLAddr(lladdr=address) if address else b"")


def advertisement(
    sender: AttackHost, receiver: AttackHost | str, target: str, source: str | None = None, **option: str
) -> Packet:
    """An advertisement that `target` is at the sender's MAC, to a host or all nodes, with the override flag.

    `lladdr` is another target link-layer address than the sender's; empty leaves the option out.
    """
    if isinstance(receiver, str):
        ethernet, destination = multicast(sender, receiver), receiver
    else:
        ethernet, destination = ether(sender, receiver), receiver.ip6
    address = option.get("lladdr", sender.mac)
    head = IPv6(src=source or sender.link_local, dst=destination)
    message = head / ICMPv6ND_NA(tgt=target, R=0, S=int(not isinstance(receiver, str)), O=1)
    return ethernet / message / (ICMPv6NDOptDstLLAddr(lladdr=address) if address else b"")
