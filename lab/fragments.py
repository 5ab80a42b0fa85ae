"""Reassembles fragments, to compare packets that were fragmented in different ways."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from lab.probe_frames import internet_checksum

_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_ETHERNET_BYTES, _IPV6_BYTES, _FRAGMENT_HEADER_BYTES = 14, 40, 8
_FRAGMENT_HEADER = 44
_MORE, _OFFSET = 0x2000, 0x1FFF


class _Piece(NamedTuple):
    """A fragment: the key that all fragments of its packet share, its offset, and its payload."""

    frame: bytes
    head: bytes
    identification: bytes
    offset: int
    more: bool
    payload: bytes


def whole(frames: Iterable[bytes]) -> list[bytes]:
    """The frames, with the fragments of each complete packet replaced by the whole packet in one frame.

    Fragments of an incomplete packet, and fragments that come after their packet was complete, stay
    unchanged, at the end. Frames have no VLAN tag. Where fragments overlap, the one with the lower offset
    counts.
    """
    found: list[bytes] = []
    pieces: dict[tuple[bytes, bytes], list[_Piece]] = defaultdict(list)
    for frame in frames:
        piece = _piece4(frame) or _piece6(frame)
        if piece is None:
            found.append(frame)
            continue
        held = pieces[piece.head, piece.identification]
        held.append(piece)
        payload = _joined(held)
        if payload is not None:
            found.append(_packet(piece.head, payload))
            held.clear()
    return [*found, *(piece.frame for held in pieces.values() for piece in held)]


def _joined(pieces: list[_Piece]) -> bytes | None:
    payload = b""
    for piece in sorted(pieces, key=lambda each: each.offset):
        if piece.offset > len(payload):
            return None
        payload += piece.payload[len(payload) - piece.offset :]
        if not piece.more:
            return payload
    return None


def _piece4(frame: bytes) -> _Piece | None:
    """An IPv4 fragment (RFC 791 section 3.1), or None."""
    header = frame[_ETHERNET_BYTES:]
    if frame[12:14] != _IPV4 or len(header) < 20:
        return None
    length, identification, flags = struct.unpack_from("!H2sH", header, 2)
    if not flags & (_MORE | _OFFSET):
        return None
    own = (header[0] & 15) * 4
    head = frame[: _ETHERNET_BYTES + 2] + bytes(2) + identification + bytes(2) + header[8:10] + bytes(2)
    payload = header[own:length]
    place, more = (flags & _OFFSET) * 8, bool(flags & _MORE)
    return _Piece(frame, head + header[12:own], identification, place, more, payload)


def _piece6(frame: bytes) -> _Piece | None:
    """An IPv6 fragment whose fragment header comes first (RFC 8200 section 4.5), or None."""
    header = frame[_ETHERNET_BYTES:]
    if frame[12:14] != _IPV6 or len(header) < _IPV6_BYTES or header[6] != _FRAGMENT_HEADER:
        return None
    length = _IPV6_BYTES + int.from_bytes(header[4:6])
    following, place, identification = struct.unpack_from("!BxH4s", header, _IPV6_BYTES)
    head = frame[: _ETHERNET_BYTES + 4] + bytes(2) + bytes([following]) + header[7:_IPV6_BYTES]
    payload = header[_IPV6_BYTES + _FRAGMENT_HEADER_BYTES : length]
    return _Piece(frame, head, identification, place & ~7, bool(place & 1), payload)


def _packet(head: bytes, payload: bytes) -> bytes:
    """The packet with these headers (`head`) and this payload; sets lengths and checksum."""
    ethernet, header = head[:_ETHERNET_BYTES], head[_ETHERNET_BYTES:]
    if ethernet[12:14] == _IPV6:
        return ethernet + header[:4] + len(payload).to_bytes(2) + header[6:] + payload
    header = header[:2] + (len(header) + len(payload)).to_bytes(2) + header[4:]
    checksum = internet_checksum(header).to_bytes(2)
    return ethernet + header[:10] + checksum + header[12:] + payload
