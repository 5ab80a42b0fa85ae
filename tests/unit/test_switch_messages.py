"""Messages of a switch are parsed strictly: for any bytes, parsing ends and raises only MalformedError."""

from __future__ import annotations

import itertools
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.openflow.actions import Output
from flows.openflow.wire import Installed
from sgctl.switch import messages as m
from sgctl.switch.messages import MalformedError, Message, MessageType, Reply, SwitchError
from tests.unit import ryu_encoding as ryu

READERS: tuple[Callable[[Message], object], ...] = (
    m.check_hello,
    m.read_dpid,
    m.read_reply,
    m.read_packet_in,
)
FILLS = (b"\0", b"\xff", b"\0\1", b"\0\0\0\1", b"\0\4\0\0", b"\0\x12\0\0", b"\0\2\0\0")
LENGTHS = (0, 1, 3, 4, 8, 16, 24, 40, 56, 200, 65527)
MULTIPART = (17, 19)
MULTIPART_HEADS = [struct.pack("!HH4x", kind, flags) for kind in range(20) for flags in (0, 1)]


@pytest.fixture
def no_endless_loop() -> Iterator[None]:
    """Fails a test that does not end by itself."""

    def fail(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError("a parser does not end")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def bodies(kind: int) -> Iterator[bytes]:
    """Message bodies in which each length field is zero, one or far too large."""
    heads = MULTIPART_HEADS if kind in MULTIPART else [b""]
    for head, fill, length in itertools.product(heads, FILLS, LENGTHS):
        yield (head + fill * length)[:length]


@pytest.mark.parametrize("version", range(1, 7))
def test_parsing_ends_for_every_message_form_and_version(version: int, no_endless_loop: None) -> None:
    for kind in range(40):
        for body in bodies(kind):
            for read in READERS:
                with suppress(MalformedError):
                    read(Message(version, kind, 1, body))


@given(st.binary(max_size=300))
def test_parsing_ends_for_any_bytes(data: bytes) -> None:
    buffer = bytearray(data)
    with suppress(MalformedError):
        for each in m.take_messages(buffer):
            for read in READERS:
                with suppress(MalformedError):
                    read(each)
    assert len(buffer) <= len(data)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=6), st.integers(1, 60))
def test_openflow_messages_are_complete_however_they_are_split(
    sent: list[tuple[int, bytes]], size: int
) -> None:
    data = b"".join(m.HEADER.pack(5, kind, 8 + len(body), 7) + body for kind, body in sent)
    buffer, found = bytearray(), []
    for start in range(0, len(data), size):
        buffer += data[start : start + size]
        found += [(each.kind, each.body) for each in m.take_messages(buffer)]
    assert found == sent
    assert not buffer


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_message_shorter_than_its_header_is_malformed(length: int) -> None:
    with pytest.raises(MalformedError, match=f"says it has {length} bytes"):
        list(m.take_messages(bytearray(m.HEADER.pack(5, 0, length, 1))))


def hello(version: int, body: bytes = b"") -> Message:
    return Message(version, MessageType.HELLO, 1, body)


def bitmap(*versions: int) -> bytes:
    return struct.pack("!HHI", 1, 8, sum(1 << version for version in versions))


@pytest.mark.parametrize(
    "message",
    [hello(5), hello(6), hello(6, bitmap(1, 5, 6)), hello(5, struct.pack("!HH4x", 9, 4) + bitmap(5))],
)
def test_a_switch_with_openflow_1_4_is_accepted(message: Message) -> None:
    m.check_hello(message)


@pytest.mark.parametrize(
    "message",
    [
        hello(4),
        hello(6, bitmap(4, 6)),
        hello(5, struct.pack("!HH", 2, 0)),
        hello(5, struct.pack("!HH", 1, 0)),
        hello(5, struct.pack("!HH", 1, 3)),
        hello(5, struct.pack("!HH", 1, 400)),
        hello(5, b"\0\1"),
        Message(5, MessageType.FEATURES_REPLY, 1, bytes(24)),
    ],
)
def test_a_switch_without_openflow_1_4_is_refused(message: Message) -> None:
    with pytest.raises(MalformedError):
        m.check_hello(message)


def features(dpid: int, auxiliary: int = 0) -> bytes:
    return struct.pack("!QIBB2xII", dpid, 0, 254, auxiliary, 0x4F, 0)


def test_features_name_the_switch() -> None:
    assert m.read_dpid(Message(5, MessageType.FEATURES_REPLY, 1, features(0xABC))) == 0xABC
    for body in (features(1, auxiliary=1), features(1)[:-1], features(1) + b"\0"):
        with pytest.raises(MalformedError):
            m.read_dpid(Message(5, MessageType.FEATURES_REPLY, 1, body))


def statistics(length: int, table: int, cookie: int) -> bytes:
    return struct.pack("!HB21xQ", length, table, cookie) + bytes(max(0, length - 32))


REPLIES: list[tuple[MessageType, bytes, dict[str, Any]]] = [
    (MessageType.BARRIER_REPLY, b"", {}),
    (
        MessageType.ERROR,
        struct.pack("!HH", 4, 9) + b"request",
        {"refusal": SwitchError(4, 9)},
    ),
    (MessageType.ERROR, struct.pack("!HH", 77, 88), {"refusal": SwitchError(77, 88)}),
    (
        MessageType.ERROR,
        struct.pack("!HHI", 0xFFFF, 2600, 0x2320),
        {"refusal": SwitchError(0xFFFF, 2600, 0x2320)},
    ),
    (MessageType.ROLE_REPLY, struct.pack("!I4xQ", 2, 12), {"generation": 12}),
    (
        MessageType.MULTIPART_REPLY,
        struct.pack("!HH4x", 1, 1) + statistics(56, 207, 70) + statistics(64, 208, 80),
        {"flows": (Installed(207, 70), Installed(208, 80)), "more": True},
    ),
    (
        MessageType.MULTIPART_REPLY,
        struct.pack("!HH4x", 3, 0) + struct.pack("!B3xIQQB3xIQQ", 0, 40, 1, 2, 253, 0, 3, 4),
        {"counts": ((0, 40), (253, 0))},
    ),
]


@pytest.mark.parametrize(("kind", "body", "expected"), REPLIES)
def test_replies_are_read(kind: MessageType, body: bytes, expected: dict[str, Any]) -> None:
    assert m.read_reply(Message(5, kind, 3, body)) == Reply(3, **expected)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MessageType.BARRIER_REPLY, b"\0"),
        (MessageType.ERROR, b"\0\1\0"),
        (MessageType.ROLE_REPLY, bytes(15)),
        (MessageType.MULTIPART_REPLY, struct.pack("!HH4x", 13, 0)),
        (MessageType.MULTIPART_REPLY, struct.pack("!HH4x", 1, 0) + statistics(0, 1, 1)),
        (MessageType.MULTIPART_REPLY, struct.pack("!HH4x", 1, 0) + statistics(31, 1, 1)),
        (MessageType.MULTIPART_REPLY, struct.pack("!HH4x", 1, 0) + statistics(56, 1, 1)[:-1]),
        (MessageType.MULTIPART_REPLY, struct.pack("!HH4x", 3, 0) + bytes(23)),
        (MessageType.FEATURES_REPLY, features(1)),
        (MessageType.HELLO, b""),
        (4, struct.pack("!II", 0x2320, 1)),
    ],
)
def test_a_message_that_is_no_reply_is_malformed(kind: int, body: bytes) -> None:
    with pytest.raises(MalformedError):
        m.read_reply(Message(5, kind, 3, body))


def test_packet_in_and_packet_out_match_ryus_encoding() -> None:
    match = ryu.parser.OFPMatch(in_port=0xFFFFFFFE)
    frame = bytes(range(60))
    out = ryu.parser.OFPPacketOut(
        ryu.DATAPATH,
        buffer_id=ryu.ofproto.OFP_NO_BUFFER,
        in_port=ryu.ofproto.OFPP_CONTROLLER,
        actions=[ryu.parser.OFPActionOutput(7, 0)],
        data=frame,
    )
    assert m.packet_out(Output(7).encode(), frame, 9) == ryu.message_bytes(out, 9)
    fields = bytearray()
    match.serialize(fields, 0)
    for register in (b"", bytes.fromhex("0001160400000007")):  # others may come before or after the port
        length = 4 + 8 + len(register)
        body = struct.pack("!IHBBQHH", 0xFFFFFFFF, 60, 1, 0, 5, 1, length) + register + bytes(fields[4:12])
        body = body.ljust(16 + (length + 7) // 8 * 8, b"\0") + bytes(2) + frame
        assert m.read_packet_in(Message(5, MessageType.PACKET_IN, 0, body)) == (0xFFFFFFFE, frame)
    for cut in range(16 + 24 + 2):
        with pytest.raises(MalformedError):
            m.read_packet_in(Message(5, MessageType.PACKET_IN, 0, body[:cut]))
