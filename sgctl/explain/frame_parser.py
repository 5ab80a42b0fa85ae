"""Parses a raw Ethernet frame for the reference evaluator: into an IP header, ARP or neighbour discovery.

Malformed parts are read as Open vSwitch reads them, so that both decide about the same fields.
Sources: IEEE 802.3 and 802.1Q; RFC 791, RFC 8200 (extension headers), RFC 9293, RFC 768, RFC 792, RFC 4443,
RFC 826, RFC 4861 section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flows.policy.objects import Prefix
from flows.policy.validate import WITH_PORTS
from flows.reference.exempt import is_discovery
from flows.reference.frame import ADVERTISEMENT, SOLICITATION, Arp, Neighbour
from flows.reference.verdict import Conversation
from sgctl.explain.expected import Unexplained

_IPV4, _IPV6, _ARP, _VLANS = 0x0800, 0x86DD, 0x0806, (0x8100, 0x88A8)
_ARP_FOR_IPV4 = bytes.fromhex("0001 0800 06 04")
_ARP_LENGTH = 28
_LINK_ADDRESS_OPTION = {SOLICITATION: 1, ADVERTISEMENT: 2}
_ICMP, _ICMPV6 = 1, 58
_ERRORS = {4: frozenset({3, 4, 5, 11, 12}), 6: frozenset({1, 2, 3, 4})}
"""The ICMP types that quote the beginning of the packet that caused them."""
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _OPTIONS = 0, 43, 44, 60
_NOBODY4, _NOBODY6 = Prefix(4, 0, 32), Prefix(6, 0, 128)
_NO_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True)
class ReadFrame:
    """A parsed frame. `header` is None if it is not IP; `about` is the packet that an ICMP error quotes."""

    source_mac: str
    destination_mac: str
    ethertype: int
    tagged: bool = False
    header: Conversation | None = None
    later_fragment: bool = False
    message: Arp | Neighbour | None = None
    hops: int = 0
    about: Conversation | None = None


@dataclass(frozen=True)
class _Packet:
    """An IP packet's header, and the offset of its payload."""

    header: Conversation
    later_fragment: bool
    payload: int
    hops: int


def frame_bytes(text: str) -> bytes:
    """The bytes of a frame in hexadecimal, which may contain spaces and colons. Raises Unexplained."""
    try:
        data = bytes.fromhex(text.replace(":", "").replace(" ", ""))
    except ValueError as error:
        raise Unexplained(f"the frame is not hexadecimal: {error}") from error
    if len(data) < 14:
        raise Unexplained(f"an Ethernet frame has at least 14 bytes, this one has {len(data)}")
    return data


def read_frame(text: str) -> ReadFrame:
    """Parse a frame in hexadecimal. Raises Unexplained for an IP packet that ends within a header."""
    data = frame_bytes(text)
    ethertype, at = _number(data, 12, 2), 14
    tagged = ethertype in _VLANS
    if tagged:
        ethertype, at = _number(data, 16, 2), 18
    plain = ReadFrame(_mac(data[6:12]), _mac(data[:6]), ethertype, tagged)
    if ethertype == _ARP:
        return replace(plain, message=_read_arp(data, at))
    if ethertype not in (_IPV4, _IPV6):
        return plain
    packet = _read_ip(data, at, 4 if ethertype == _IPV4 else 6)
    frame = replace(plain, header=packet.header, later_fragment=packet.later_fragment, hops=packet.hops)
    if packet.later_fragment:
        return frame
    return replace(frame, message=_read_neighbour(data, packet), about=_read_about(data, packet))


def _read_arp(data: bytes, at: int) -> Arp:
    if len(data) < at + _ARP_LENGTH or data[at : at + 6] != _ARP_FOR_IPV4:
        return Arp(0, _NO_MAC, _NOBODY4, _NOBODY4)
    operation = _number(data, at + 6, 2)
    addresses = (Prefix(4, _number(data, at + offset, 4), 32) for offset in (14, 24))
    return Arp(operation if operation <= 0xFF else 0, _mac(data[at + 8 : at + 14]), *addresses)


def _read_ip(data: bytes, at: int, version: int) -> _Packet:
    return _read_ipv4(data, at) if version == 4 else _read_ipv6(data, at)


def _read_ipv4(data: bytes, at: int) -> _Packet:
    protocol, later = _number(data, at + 9, 1), bool(_number(data, at + 6, 2) & 0x1FFF)
    payload = at + (_number(data, at, 1) & 0xF) * 4
    ends = Prefix(4, _number(data, at + 12, 4), 32), Prefix(4, _number(data, at + 16, 4), 32)
    dscp = _number(data, at + 1, 1) >> 2
    header = Conversation(*ends, protocol, *_numbers(data, payload, protocol, later), dscp)
    return _Packet(header, later, payload, _number(data, at + 8, 1))


def _read_ipv6(data: bytes, at: int) -> _Packet:
    ends = Prefix(6, _number(data, at + 8, 16), 128), Prefix(6, _number(data, at + 24, 16), 128)
    protocol, later, hops = _number(data, at + 6, 1), False, _number(data, at + 7, 1)
    dscp = _number(data, at, 2) >> 6 & 0x3F
    at += 40
    while protocol in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _OPTIONS):
        following = _number(data, at, 1)
        if protocol == _FRAGMENT:
            later = bool(_number(data, at + 2, 2) & 0xFFF8)
        length = 8 if protocol == _FRAGMENT else (_number(data, at + 1, 1) + 1) * 8
        protocol, at = following, at + length
        if later:
            break
    header = Conversation(*ends, protocol, *_numbers(data, at, protocol, later), dscp)
    return _Packet(header, later, at, hops)


def _read_neighbour(data: bytes, packet: _Packet) -> Neighbour | None:
    """None unless the ICMPv6 code and the hop limit are those of neighbour discovery.

    A message that is truncated or contains two MACs is read as one without a target. A MAC of zeros counts
    as none.
    """
    header, at = packet.header, packet.payload
    if header.source.version != 6 or not is_discovery(header, packet.hops):
        return None
    unreadable = Neighbour(header.first, header.source, None, None, header.destination)
    if len(data) < at + 24:
        return unreadable
    macs = [mac for kind, mac in _link_options(data, at + 24) if kind == _LINK_ADDRESS_OPTION[header.first]]
    target = Prefix(6, _number(data, at + 8, 16), 128)
    if set(macs[:-1]) - {_NO_MAC} or target == _NOBODY6:
        return unreadable
    link_address = next((mac for mac in macs[-1:] if mac != _NO_MAC), None)
    return Neighbour(header.first, header.source, target, link_address, header.destination)


def _link_options(data: bytes, at: int) -> list[tuple[int, str]]:
    found = []
    while at + 8 <= len(data) and data[at + 1] and at + 8 * data[at + 1] <= len(data):
        if data[at + 1] == 1:
            found.append((data[at], _mac(data[at + 2 : at + 8])))
        at += 8 * data[at + 1]
    return found


def _read_about(data: bytes, packet: _Packet) -> Conversation | None:
    """The packet whose beginning an ICMP error quotes; None when it cannot be read."""
    if not is_error(packet.header):
        return None
    try:
        return _read_ip(data, packet.payload + 8, packet.header.source.version).header
    except Unexplained:
        return None


def is_error(header: Conversation) -> bool:
    """Whether this is the header of an ICMP error."""
    version = header.source.version
    return header.protocol == (_ICMP if version == 4 else _ICMPV6) and header.first in _ERRORS[version]


def _numbers(data: bytes, at: int, protocol: int, later: bool) -> tuple[int, int]:
    """Source and destination port, or ICMP type and code; zeros for a later fragment, which has neither."""
    if later:
        return 0, 0
    if protocol in WITH_PORTS:
        return _number(data, at, 2), _number(data, at + 2, 2)
    if protocol in (_ICMP, _ICMPV6):
        return _number(data, at, 1), _number(data, at + 1, 1)
    return 0, 0


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise Unexplained(f"the frame ends at byte {len(data)}, within a header")
    return int.from_bytes(data[at : at + size], "big")


def _mac(data: bytes) -> str:
    return data.hex(":")
