"""Frames of connection attempts from random sources, with checksums, since conntrack verifies them."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

_TCP = 6
_SYN = 2
_TEST_NETWORK = 0xAC100000
"""172.16.0.0/12: no port of the workload has such an address."""


def random_sources(to_mac: str, to_address: int, port: int, count: int) -> Iterator[bytes]:
    """Ethernet frames with one SYN each, from the MAC of one router."""
    chance = random.Random(port)  # noqa: S311 - the same packets every time
    ethernet = _mac(to_mac) + _mac("02:ff:00:00:00:01") + b"\x08\x00"
    for _ in range(count):
        source = _TEST_NETWORK | chance.getrandbits(20)
        yield ethernet + _packet(source, to_address, chance.randrange(1024, 65536), port)


def _packet(source: int, target: int, from_port: int, to_port: int) -> bytes:
    segment = struct.pack("!HHIIBBHHH", from_port, to_port, 1, 0, 5 << 4, _SYN, 1024, 0, 0)
    pseudo = struct.pack("!IIBBH", source, target, 0, _TCP, len(segment))
    segment = segment[:16] + _checksum(pseudo + segment) + segment[18:]
    header = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(segment), 0, 0, 64, _TCP, 0, source, target)
    return header[:10] + _checksum(header) + header[12:] + segment


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
