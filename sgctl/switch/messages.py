"""Parses the OpenFlow 1.4 messages of a switch strictly, and encodes all requests except changes of flows.

Every length is checked against the data, and a length that makes no progress is an error, so no peer can
block the reader. Messages that are not expected are errors as well, and end the connection.

Source: OpenFlow 1.4 sections 7.1.1 (header), 7.3.1 (handshake), 7.3.5 (multipart), 7.4.4 (error), 7.5 (hello
and echo).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from flows.openflow.wire import VERSION, Installed, installed_flow


class MessageType(IntEnum):
    """The types of messages that the controller sends or reads."""

    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    FEATURES_REQUEST = 5
    FEATURES_REPLY = 6
    SET_CONFIG = 9
    PACKET_IN = 10
    FLOW_REMOVED = 11
    PORT_STATUS = 12
    PACKET_OUT = 13
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REPLY = 21
    ROLE_REQUEST = 24
    ROLE_REPLY = 25
    ROLE_STATUS = 30
    TABLE_STATUS = 31
    BUNDLE_CONTROL = 33


UNREAD = frozenset(
    {
        *(
            MessageType.FLOW_REMOVED,
            MessageType.PORT_STATUS,
            MessageType.ROLE_STATUS,
            MessageType.TABLE_STATUS,
        ),
        MessageType.BUNDLE_CONTROL,  # the barrier reply after it already confirms the bundle
    }
)
"""Messages that a switch may send and that the controller ignores without parsing them."""

NO_MASTER = (1 << 64) - 1
"""The generation of a switch that never had a master."""

HEADER = struct.Struct("!BBHI")
LONGEST = 0xFFFF
_HELLO_ELEMENT = struct.Struct("!HH")
_VERSION_BITMAP = 1
_BITMAP = struct.Struct("!I")
_FEATURES = struct.Struct("!QIBB2xII")
_ERROR = struct.Struct("!HH")
_EXPERIMENTER_ERROR = 0xFFFF
_EXPERIMENTER = struct.Struct("!I")
_MULTIPART = struct.Struct("!HH4x")
_FLOW_STATS = 1
_TABLE_STATS = 3
_TABLE = struct.Struct("!B3xI16x")
_REPLY_MORE = 1
_ROLE = struct.Struct("!I4xQ")
_CONFIG = struct.Struct("!HH")
_FLOW_STATS_REQUEST = struct.Struct("!B3xII4xQQHH4x")
_ALL_TABLES, _ANY = 0xFF, 0xFFFFFFFF
_EMPTY_MATCH = (1, 4)
_WHOLE_PACKET_STAYS = 0xFFFF
_PACKET_IN = struct.Struct("!IHBBQ")
_PACKET_OUT = struct.Struct("!IIH6x")
_NO_BUFFER = 0xFFFFFFFF
_CONTROLLER = 0xFFFFFFFD
_OXM_MATCH = struct.Struct("!HH")
_OXM_ENTRY = struct.Struct("!HBB")
_IN_PORT = (0x8000, 0)


class MalformedError(ValueError):
    """The peer violates the protocol; the text says how."""


class Message(NamedTuple):
    """One message: `kind` 0–255, `xid` 32 bits, `body` without the header."""

    version: int
    kind: int
    xid: int
    body: bytes


class SwitchError(NamedTuple):
    """An error's type and code, 16 bits each, and the experimenter id for an experimenter error."""

    kind: int
    code: int
    experimenter: int | None = None


class Reply(NamedTuple):
    """A switch's reply to the request with the same `xid`.

    `refusal` is the error, None for success. `flows` come from flow statistics, `counts` are (table, number
    of flows), `more` tells that further parts of the reply follow. `generation` is the newest master's.
    """

    xid: int
    refusal: SwitchError | None = None
    flows: tuple[Installed, ...] = ()
    counts: tuple[tuple[int, int], ...] = ()
    more: bool = False
    generation: int = NO_MASTER


class PacketIn(NamedTuple):
    """A frame that a flow sent to the controller, possibly truncated, and the OpenFlow port it came from."""

    in_port: int
    frame: bytes


def take_messages(buffer: bytearray, longest: int = LONGEST) -> Iterator[Message]:
    """Remove the complete messages from the front of `buffer`, one at a time, and yield them.

    Raises MalformedError, also for a message of more than `longest` bytes that is still incomplete.
    """
    while len(buffer) >= HEADER.size:
        version, kind, length, xid = HEADER.unpack_from(buffer)
        if not HEADER.size <= length <= longest:
            raise MalformedError(f"message of type {kind} says it has {length} bytes")
        if length > len(buffer):
            return
        body = bytes(buffer[HEADER.size : length])
        del buffer[:length]
        yield Message(version, kind, xid, body)


def check_hello(message: Message) -> None:
    """Raise MalformedError unless the message is a hello of a peer that supports OpenFlow 1.4.

    A hello element of type 1 lists the supported versions; without it, all versions up to that in the header
    are supported.
    """
    if message.kind != MessageType.HELLO:
        raise MalformedError(f"message of type {message.kind} before a hello")
    speaks = message.version >= VERSION
    for kind, content in _hello_elements(message.body):
        if kind == _VERSION_BITMAP and len(content) >= _BITMAP.size:
            speaks = bool(_BITMAP.unpack_from(content)[0] >> VERSION & 1)
    if not speaks:
        raise MalformedError("does not speak OpenFlow 1.4")


def _hello_elements(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The type and content of each hello element; elements are padded to 8 bytes."""
    start = 0
    while start < len(body):
        if start + _HELLO_ELEMENT.size > len(body):
            raise MalformedError("hello with an element cut short")
        kind, length = _HELLO_ELEMENT.unpack_from(body, start)
        if length < _HELLO_ELEMENT.size or start + length > len(body):
            raise MalformedError(f"hello with an element of {length} bytes")
        yield kind, body[start + _HELLO_ELEMENT.size : start + length]
        start += (length + 7) // 8 * 8


def read_dpid(message: Message) -> int:
    """The datapath id in a features reply. Raises MalformedError."""
    if message.kind != MessageType.FEATURES_REPLY or len(message.body) != _FEATURES.size:
        raise MalformedError(f"message of type {message.kind} instead of its features")
    dpid, _, _, auxiliary, *_ = _FEATURES.unpack(message.body)
    if auxiliary:
        raise MalformedError("an auxiliary connection")
    return int(dpid)


def read_reply(message: Message) -> Reply:
    """Parse the reply to a request. Raises MalformedError for other messages."""
    match message.kind:
        case MessageType.BARRIER_REPLY if not message.body:
            return Reply(message.xid)
        case MessageType.ERROR if len(message.body) >= _ERROR.size:
            return Reply(message.xid, refusal=_refusal(message.body))
        case MessageType.ROLE_REPLY if len(message.body) == _ROLE.size:
            return Reply(message.xid, generation=_ROLE.unpack(message.body)[1])
        case MessageType.MULTIPART_REPLY if len(message.body) >= _MULTIPART.size:
            kind, flags = _MULTIPART.unpack_from(message.body)
            more = bool(flags & _REPLY_MORE)
            if kind == _FLOW_STATS:
                return Reply(message.xid, flows=_flows(message.body), more=more)
            if kind == _TABLE_STATS and not (len(message.body) - _MULTIPART.size) % _TABLE.size:
                counts = tuple(_TABLE.iter_unpack(message.body[_MULTIPART.size :]))
                return Reply(message.xid, counts=counts, more=more)
    raise MalformedError(f"message of type {message.kind} with {len(message.body)} bytes")


def read_packet_in(message: Message) -> PacketIn:
    """Parse a packet-in (section 7.4.1). Raises MalformedError."""
    start, body = _PACKET_IN.size, message.body
    if len(body) < start + _OXM_MATCH.size:
        raise MalformedError("packet-in cut short")
    _, length = _OXM_MATCH.unpack_from(body, start)
    end = start + (length + 7) // 8 * 8 + 2  # padding of the match, and of the data
    if length < _OXM_MATCH.size or end > len(body):
        raise MalformedError(f"packet-in with a match of {length} bytes")
    return PacketIn(_in_port(body[start + _OXM_MATCH.size : start + length]), body[end:])


def _in_port(fields: bytes) -> int:
    start = 0
    while start + _OXM_ENTRY.size <= len(fields):
        oxm_class, kind, length = _OXM_ENTRY.unpack_from(fields, start)
        start += _OXM_ENTRY.size + length
        if (oxm_class, kind >> 1) == _IN_PORT and length == 4 and start <= len(fields):
            return int.from_bytes(fields[start - length : start], "big")
    raise MalformedError("packet-in without its port")


def _flows(body: bytes) -> tuple[Installed, ...]:
    found = []
    start = _MULTIPART.size
    while start < len(body):
        try:
            length, flow = installed_flow(body, start)
        except ValueError as error:
            raise MalformedError(str(error)) from error
        found.append(flow)
        start += length
    return tuple(found)


def _refusal(body: bytes) -> SwitchError:
    kind, code = _ERROR.unpack_from(body)
    if kind == _EXPERIMENTER_ERROR and len(body) >= _ERROR.size + _EXPERIMENTER.size:
        return SwitchError(kind, code, _EXPERIMENTER.unpack_from(body, _ERROR.size)[0])
    return SwitchError(kind, code)


def message(kind: MessageType, xid: int, body: bytes = b"") -> bytes:
    """Encode a message."""
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), xid) + body


def hello() -> bytes:
    """A hello that offers OpenFlow 1.4 only."""
    element = _HELLO_ELEMENT.pack(_VERSION_BITMAP, _HELLO_ELEMENT.size + _BITMAP.size)
    return message(MessageType.HELLO, 0, element + _BITMAP.pack(1 << VERSION))


def set_config(fragments: int, xid: int) -> bytes:
    """A request to set the handling of fragments (section 7.3.2)."""
    return message(MessageType.SET_CONFIG, xid, _CONFIG.pack(fragments, _WHOLE_PACKET_STAYS))


def packet_out(actions: bytes, frame: bytes, xid: int) -> bytes:
    """A request to apply `actions` to a frame (section 7.3.7)."""
    head = _PACKET_OUT.pack(_NO_BUFFER, _CONTROLLER, len(actions))
    return message(MessageType.PACKET_OUT, xid, head + actions + frame)


def flow_stats_request(xid: int, cookie: int = 0, mask: int = 0) -> bytes:
    """A request for the flows of all tables whose cookies equal `cookie` in the bits of `mask`."""
    wanted = _FLOW_STATS_REQUEST.pack(_ALL_TABLES, _ANY, _ANY, cookie, mask, *_EMPTY_MATCH)
    return message(MessageType.MULTIPART_REQUEST, xid, _MULTIPART.pack(_FLOW_STATS, 0) + wanted)


def table_stats_request(xid: int) -> bytes:
    """A request for the number of flows in each table."""
    return message(MessageType.MULTIPART_REQUEST, xid, _MULTIPART.pack(_TABLE_STATS, 0))


class ControllerRole(IntEnum):
    """Roles of a controller (section 7.3.9)."""

    NO_CHANGE = 0
    MASTER = 2


def role_request(role: ControllerRole, generation: int, xid: int) -> bytes:
    """A request for a role; NO_CHANGE only queries the generation of the newest master."""
    return message(MessageType.ROLE_REQUEST, xid, _ROLE.pack(role, generation))
