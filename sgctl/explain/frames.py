"""A raw Ethernet frame as the packet that the reference verdict judges.

Sources: IEEE 802.3 and 802.1Q; RFC 791, RFC 8200 (extension headers), RFC 9293, RFC 768, RFC 792, RFC 4443.
"""

from __future__ import annotations

from dataclasses import dataclass

from flows.model import Prefix
from flows.verdict import Conversation
from sgctl.explain.expected import Unexplained

_VLAN, _IPV4, _IPV6 = 0x8100, 0x0800, 0x86DD
_WITH_PORTS = frozenset({6, 17, 33, 132, 136})
_ICMP = frozenset({1, 58})
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _OPTIONS = 0, 43, 44, 60


@dataclass(frozen=True)
class Frame:
    """What a frame says. `header` is None for what is not IP; `vlan` is None when it is untagged."""

    source_mac: str
    destination_mac: str
    ethertype: int
    vlan: int | None = None
    header: Conversation | None = None
    later_fragment: bool = False


def read_frame(text: str) -> Frame:
    """Read a frame in hexadecimal, in which spaces and colons may stand. Raises Unexplained."""
    try:
        data = bytes.fromhex(text.replace(":", "").replace(" ", ""))
    except ValueError as error:
        raise Unexplained(f"the frame is not hexadecimal: {error}") from error
    if len(data) < 14:
        raise Unexplained(f"a frame has 14 bytes or more, this one {len(data)}")
    ethertype, at, vlan = _number(data, 12, 2), 14, None
    if ethertype == _VLAN:
        vlan, ethertype, at = _number(data, 14, 2) & 0xFFF, _number(data, 16, 2), 18
    macs = _mac(data[6:12]), _mac(data[:6])
    if ethertype == _IPV4:
        return Frame(*macs, ethertype, vlan, *_read_ipv4(data, at))
    if ethertype == _IPV6:
        return Frame(*macs, ethertype, vlan, *_read_ipv6(data, at))
    return Frame(*macs, ethertype, vlan)


def _read_ipv4(data: bytes, at: int) -> tuple[Conversation, bool]:
    protocol, later = _number(data, at + 9, 1), bool(_number(data, at + 6, 2) & 0x1FFF)
    header_length = (_number(data, at, 1) & 0xF) * 4
    ends = Prefix(4, _number(data, at + 12, 4), 32), Prefix(4, _number(data, at + 16, 4), 32)
    return Conversation(*ends, protocol, *_numbers(data, at + header_length, protocol, later)), later


def _read_ipv6(data: bytes, at: int) -> tuple[Conversation, bool]:
    ends = Prefix(6, _number(data, at + 8, 16), 128), Prefix(6, _number(data, at + 24, 16), 128)
    protocol, later = _number(data, at + 6, 1), False
    at += 40
    while protocol in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _OPTIONS):
        following = _number(data, at, 1)
        if protocol == _FRAGMENT:
            later = bool(_number(data, at + 2, 2) & 0xFFF8)
        length = 8 if protocol == _FRAGMENT else (_number(data, at + 1, 1) + 1) * 8
        protocol, at = following, at + length
        if later:
            break
    return Conversation(*ends, protocol, *_numbers(data, at, protocol, later)), later


def _numbers(data: bytes, at: int, protocol: int, later: bool) -> tuple[int, int]:
    """Ports, or ICMP type and code; a later fragment has neither."""
    if later:
        return 0, 0
    if protocol in _WITH_PORTS:
        return _number(data, at, 2), _number(data, at + 2, 2)
    if protocol in _ICMP:
        return _number(data, at, 1), _number(data, at + 1, 1)
    return 0, 0


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise Unexplained(f"the frame ends at byte {len(data)}, within a header")
    return int.from_bytes(data[at : at + size], "big")


def _mac(data: bytes) -> str:
    return data.hex(":")
