"""Frames that vary one field, as an attacking workload sends them to make many megaflows."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from socket import AF_INET6, inet_ntop, inet_pton

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
from scapy.utils6 import in6_getnsma

from lab.attack import ATTACKER, PAIRED, ROUTER, VICTIM, AttackHost

EVERYBODY = "ff:ff:ff:ff:ff:ff"
CLOSED = 7777


def _mac(chance: Random) -> str:
    return "02:" + ":".join(f"{chance.randrange(256):02x}" for _ in range(5))


def _ip(chance: Random) -> str:
    return ".".join(str(chance.randrange(1, 224)) for _ in range(4))


def _ip6(chance: Random) -> str:
    return "2a00:" + ":".join(f"{chance.randrange(1 << 16):x}" for _ in range(7))


def _neighbouring(chance: Random) -> str:
    """Any address in the subnet of the workloads."""
    return "2001:db8::" + ":".join(f"{chance.randrange(1 << 16):x}" for _ in range(4))


def _ending_like_victim(chance: Random) -> str:
    """Any address in the victim's solicited-node group."""
    return f"{_ip6(chance).rsplit(':', 2)[0]}:0:{VICTIM.number:x}"


def _ethernet(to: str = VICTIM.mac, source: str = ATTACKER.mac) -> Packet:
    return Ether(src=source, dst=to)


def _ipv4(to: str = VICTIM.mac, **fields: object) -> Packet:
    return _ethernet(to) / IP(**{"src": ATTACKER.ip, "dst": VICTIM.ip, **fields})


def _ipv6(to: str = VICTIM.mac, **fields: object) -> Packet:
    return _ethernet(to) / IPv6(**{"src": ATTACKER.ip6, "dst": VICTIM.ip6, **fields})


def _arp(to: str = EVERYBODY, **fields: object) -> Packet:
    own = {"op": 1, "hwsrc": ATTACKER.mac, "psrc": ATTACKER.ip, "pdst": VICTIM.ip}
    return _ethernet(to) / ARP(**{**own, **fields})


def _solicitation(link: str = ATTACKER.mac, target: str = VICTIM.ip6, **fields: object) -> Packet:
    asked = ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=link)
    return _ipv6("33:33:ff:00:00:02", **{"dst": "ff02::1:ff00:2", "hlim": 255, **fields}) / asked


def _advertisement(link: str = ATTACKER.mac, target: str = ATTACKER.ip6) -> Packet:
    claimed = ICMPv6ND_NA(tgt=target) / ICMPv6NDOptDstLLAddr(lladdr=link)
    return _ipv6(ROUTER.mac, dst=ROUTER.ip6, hlim=255) / claimed


def _detection(target: str) -> Packet:
    """Duplicate address detection, sent to the group of the sender's own addresses."""
    ether = _ethernet("33:33:ff:00:00:01")
    return ether / IPv6(src="::", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=target)


def _unicast_solicitation(target: str) -> Packet:
    return _ethernet() / _solicitation(target=target, dst=VICTIM.ip6)[IPv6]


def solicited_node(address: str) -> str:
    """The solicited-node group of an IPv6 address (RFC 4291 section 2.7.1)."""
    return inet_ntop(AF_INET6, in6_getnsma(inet_pton(AF_INET6, address)))


def _report(**fields: object) -> Packet:
    return _ipv6("33:33:00:00:00:16", dst="ff02::1:2", **fields) / ICMPv6Unknown(type=131) / _BODY


def _virtual_router(**fields: object) -> Packet:
    return _ethernet("01:00:5e:00:00:12", PAIRED.mac) / IP(
        src=PAIRED.ip, dst="224.0.0.18", proto=112, **fields
    )


def _port(chance: Random) -> int:
    return chance.randrange(1, 1 << 16)


_UDP = UDP(sport=9, dport=CLOSED)
_BODY = Raw(b"x" * 40)
_Make = Callable[[Random], Packet]
_OF_PAIRED = "hop limit of a virtual router"
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
    "hop limit of a solicitation": lambda r: _solicitation(hlim=r.randrange(256)),
    "hop limit of a listener report": lambda r: _report(hlim=r.randrange(256)),
    "arp_tpa within the own subnet": lambda r: _arp(pdst=f"10.0.0.{r.randrange(256)}"),
    "arp_tpa of an answer within the own subnet": lambda r: _arp(
        VICTIM.mac, op=2, pdst=f"10.0.0.{r.randrange(256)}"
    ),
    "nw_proto": lambda r: _ipv4(proto=r.randrange(256)) / _BODY,
    "nw_proto of IPv6": lambda r: _ipv6(nh=r.randrange(256)) / _BODY,
    "nd_target": lambda r: _solicitation(target=_ip6(r)),
    "nd_target within the own subnet": lambda r: _solicitation(target=_neighbouring(r)),
    "nd_target within the group": lambda r: _solicitation(target=_ending_like_victim(r)),
    "nd_target and ipv6_dst": lambda r: _solicitation(
        target=(address := _ip6(r)), dst=solicited_node(address)
    ),
    "nd_target of a unicast solicitation": lambda r: _unicast_solicitation(_neighbouring(r)),
    "nd_target of address detection": lambda r: _detection(_ip6(r)),
    "nd_target of address detection within the own subnet": lambda r: _detection(_neighbouring(r)),
    "nd_target of an advertisement": lambda r: _advertisement(target=_ip6(r)),
    "nd_target of an advertisement within the own subnet": lambda r: _advertisement(target=_neighbouring(r)),
    _OF_PAIRED: lambda r: _virtual_router(ttl=r.randrange(256)),
}
"""By the name of the varied fields: a function that returns the sender's next frame."""
COMPARED_WHOLE: dict[str, _Make] = {
    "eth_type": lambda r: Ether(src=ATTACKER.mac, dst=VICTIM.mac, type=r.randrange(0x600, 1 << 16)) / _BODY,
    "eth_dst that nobody has": lambda r: _ipv4(_mac(r)) / _UDP,
}
"""The same for fields that the flows must compare whole (docs/decisions/megaflows.md)."""


def sender_of(name: str) -> AttackHost:
    """The host that sends the frames that vary these fields."""
    return PAIRED if name == _OF_PAIRED else ATTACKER


def varied(name: str, count: int) -> list[bytes]:
    """`count` frames that vary these fields; the same frames in every run."""
    chance = Random(name)  # noqa: S311 - no secret
    make = (FIELDS | COMPARED_WHOLE)[name]
    return [bytes(make(chance)) for _ in range(count)]
