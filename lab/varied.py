"""Frames of an attacker that vary one field each, as a workload that makes many megaflows would send them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6Unknown,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from lab.attack import ATTACKER, ROUTER, VICTIM

EVERYBODY = "ff:ff:ff:ff:ff:ff"
CLOSED = 7777


def _mac(chance: Random) -> str:
    return "02:" + ":".join(f"{chance.randrange(256):02x}" for _ in range(5))


def _ip(chance: Random) -> str:
    return ".".join(str(chance.randrange(1, 224)) for _ in range(4))


def _ip6(chance: Random) -> str:
    return "2a00:" + ":".join(f"{chance.randrange(1 << 16):x}" for _ in range(7))


def _ethernet(to: str = VICTIM.mac, source: str = ATTACKER.mac) -> Packet:
    return Ether(src=source, dst=to)


def _ipv4(to: str = VICTIM.mac, **fields: object) -> Packet:
    return _ethernet(to) / IP(**{"src": ATTACKER.ip, "dst": VICTIM.ip, **fields})


def _ipv6(to: str = VICTIM.mac, **fields: object) -> Packet:
    return _ethernet(to) / IPv6(**{"src": ATTACKER.ip6, "dst": VICTIM.ip6, **fields})


def _arp(to: str = EVERYBODY, **fields: object) -> Packet:
    own = {"op": 1, "hwsrc": ATTACKER.mac, "psrc": ATTACKER.ip, "pdst": VICTIM.ip}
    return _ethernet(to) / ARP(**{**own, **fields})


def _solicitation(link: str = ATTACKER.mac, **fields: object) -> Packet:
    asked = ICMPv6ND_NS(tgt=VICTIM.ip6) / ICMPv6NDOptSrcLLAddr(lladdr=link)
    return _ipv6("33:33:ff:00:00:02", **{"dst": "ff02::1:ff00:2", "hlim": 255, **fields}) / asked


def _advertisement(link: str) -> Packet:
    claimed = ICMPv6ND_NA(tgt=ATTACKER.ip6) / ICMPv6NDOptDstLLAddr(lladdr=link)
    return _ipv6(ROUTER.mac, dst=ROUTER.ip6, hlim=255) / claimed


def _port(chance: Random) -> int:
    return chance.randrange(1, 1 << 16)


_UDP = UDP(sport=9, dport=CLOSED)
_BODY = Raw(b"x" * 40)
_Make = Callable[[Random], Packet]
FIELDS: dict[str, _Make] = {
    "eth_src": lambda r: _ethernet(source=_mac(r)) / IP(src=ATTACKER.ip, dst=VICTIM.ip) / _UDP,
    "eth_src of ARP": lambda r: Ether(src=_mac(r), dst=EVERYBODY) / _arp()[ARP],
    "eth_src of IPv6": lambda r: _ethernet(source=_mac(r)) / IPv6(src=ATTACKER.ip6, dst=VICTIM.ip6) / _UDP,
    "eth_src, for many": lambda r: _ethernet(source="03" + _mac(r)[2:]) / _ipv4()[IP] / _UDP,
    "eth_dst of a spoofed packet": lambda r: _ipv4(_mac(r), src="9.9.9.9") / _UDP,
    "eth_dst, for many": lambda r: _ipv4("01" + _mac(r)[2:]) / _UDP,
    "eth_dst of an ARP request": lambda r: _arp(_mac(r)),
    "vlan": lambda r: _ethernet() / Dot1Q(vlan=r.randrange(4096), prio=r.randrange(8)) / _ipv4()[IP] / _UDP,
    "arp_op": lambda r: _arp(op=r.randrange(256, 1 << 16)),
    "arp_spa": lambda r: _arp(psrc=_ip(r)),
    "arp_spa and arp_tpa": lambda r: _arp(psrc=(address := _ip(r)), pdst=address),
    "arp_sha": lambda r: _arp(hwsrc=_mac(r)),
    "arp_tha": lambda r: _arp(hwdst=_mac(r)),
    "arp_tpa": lambda r: _arp(pdst=_ip(r)),
    "arp_tpa and arp_tha of an answer": lambda r: _arp(VICTIM.mac, op=2, pdst=_ip(r), hwdst=_mac(r)),
    "nw_src": lambda r: _ipv4(src=_ip(r)) / _UDP,
    "nw_dst, by a router": lambda r: _ipv4(ROUTER.mac, dst=_ip(r)) / _UDP,
    "nw_dst, to another's MAC": lambda r: _ipv4(dst=_ip(r)) / _UDP,
    "nw_tos and nw_ttl": lambda r: _ipv4(tos=r.randrange(256), ttl=r.randrange(1, 256)) / _UDP,
    "ip_id and fragment offset": lambda r: _ipv4(id=_port(r), frag=r.randrange(1, 8000), proto=17) / _BODY,
    "udp_src": lambda r: _ipv4() / UDP(sport=_port(r), dport=CLOSED),
    "udp_dst": lambda r: _ipv4() / UDP(sport=9, dport=_port(r)),
    "udp_src and udp_dst, to many": lambda r: (
        _ipv4(EVERYBODY, dst="255.255.255.255") / UDP(sport=_port(r), dport=_port(r))
    ),
    "tcp_src and tcp_dst": lambda r: _ipv4() / TCP(sport=_port(r), dport=_port(r), flags="S"),
    "tcp_flags": lambda r: _ipv4() / TCP(sport=_port(r), dport=80, flags=r.randrange(512)),
    "icmp_type and icmp_code": lambda r: _ipv4(proto=1) / Raw(r.randbytes(2)) / _BODY,
    "icmpv6_type and icmpv6_code": lambda r: (
        _ipv6() / ICMPv6Unknown(type=r.randrange(256), code=r.randrange(256)) / _BODY
    ),
    "ipv6_src": lambda r: _ipv6(src=_ip6(r)) / _UDP,
    "ipv6_dst, by a router": lambda r: _ipv6(ROUTER.mac, dst=_ip6(r)) / _UDP,
    "ipv6_dst, to another's MAC": lambda r: _ipv6(dst=_ip6(r)) / _UDP,
    "ipv6_dst, a group": lambda r: _ipv6("33:33:00:00:00:01", dst=f"ff02{_ip6(r)[4:]}") / _UDP,
    "ipv6_label": lambda r: _ipv6(fl=r.randrange(1 << 20)) / _UDP,
    "hop limit and traffic class": lambda r: _ipv6(hlim=r.randrange(1, 256), tc=r.randrange(256)) / _UDP,
    "group of a listener report": lambda r: (
        _ipv6("33:33:00:00:00:16", dst=f"ff02{_ip6(r)[4:]}", hlim=1) / ICMPv6Unknown(type=131) / _BODY
    ),
    "ipv6_src of a solicitation": lambda r: _solicitation(src=_ip6(r)),
    "ipv6_dst of a solicitation": lambda r: _solicitation(dst=_ip6(r)),
    "nd_sll": lambda r: _solicitation(link=_mac(r)),
    "nd_tll": lambda r: _advertisement(link=_mac(r)),
}
"""By what varies: the next frame of the attacker."""


def varied(name: str, count: int) -> list[bytes]:
    """So many frames that vary this, always the same ones."""
    chance = Random(name)  # noqa: S311 - no secret
    return [bytes(FIELDS[name](chance)) for _ in range(count)]


def to_unknown_macs(count: int) -> list[bytes]:
    """Frames to MACs that nobody here has: they go outside, and only a lookup of the whole MAC can tell."""
    chance = Random(count)  # noqa: S311 - no secret
    return [bytes(_ipv4(_mac(chance)) / _UDP) for _ in range(count)]
