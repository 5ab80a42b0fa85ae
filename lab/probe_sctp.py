"""A question and its answer as valid SCTP chunks: connection trackers accept nothing else as SCTP.

The question is the parameter of an INIT; the answer is the state cookie of its INIT ACK (RFC 9260, 3.3.2 and
3.3.3). Each question has a separate source port: a tracker identifies associations by their ports.
"""

from __future__ import annotations

import secrets
import struct

from scapy.layers.sctp import crc32c

PROTOCOL = 132
_INIT, _INIT_ACK = 1, 2
_STATE_COOKIE, _SKIPPED_IF_UNKNOWN = 7, 0xBF00
_DISCARD = 9
_HEADER, _CHUNK, _PARAMETER = struct.Struct("!HHII"), struct.Struct("!BBHIIHHI"), struct.Struct("!HH")
_WINDOW, _STREAMS, _FIRST_TSN = 65535, 1, 1


def question(text: bytes) -> bytes:
    """A packet that asks, from a new source port."""
    source = 49152 + secrets.randbelow(16384)
    return _packet(source, _DISCARD, 0, _INIT, _SKIPPED_IF_UNKNOWN, text)


def answer(asked: bytes, text: bytes) -> bytes:
    """The packet that answers the packet `asked`."""
    source, target, *_ = _HEADER.unpack_from(asked)
    tag = _CHUNK.unpack_from(asked, _HEADER.size)[3]
    return _packet(target, source, tag, _INIT_ACK, _STATE_COOKIE, text)


def text(packet: bytes) -> bytes:
    """The text of a question or an answer; empty for any other packet."""
    start = _HEADER.size + _CHUNK.size
    if len(packet) < start + _PARAMETER.size:
        return b""
    _, length = _PARAMETER.unpack_from(packet, start)
    return packet[start + _PARAMETER.size : start + length]


def _packet(source: int, target: int, tag: int, kind: int, parameter: int, text: bytes) -> bytes:
    inside = _PARAMETER.pack(parameter, _PARAMETER.size + len(text)) + text
    own_tag = 1 + secrets.randbelow(0xFFFFFFFF)
    size = _CHUNK.size + len(inside)
    chunk = _CHUNK.pack(kind, 0, size, own_tag, _WINDOW, _STREAMS, _STREAMS, _FIRST_TSN) + inside
    chunk += bytes(-len(chunk) % 4)
    checksum = crc32c(_HEADER.pack(source, target, tag, 0) + chunk)
    return _HEADER.pack(source, target, tag, checksum) + chunk
