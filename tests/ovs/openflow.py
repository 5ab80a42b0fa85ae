"""A minimal OpenFlow 1.4 client that loads flows into a bridge and reads them, over its `.mgmt` socket."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from flows.openflow import wire
from flows.openflow.flow import Flow

_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY = 0, 1, 2, 3
_MULTIPART_REQUEST, _MULTIPART_REPLY, _BARRIER_REPLY = 18, 19, 21
_FLOW_STATISTICS = 1
_MORE = 1
_HEADER = struct.Struct("!BBHI")


class Refused(Exception):
    """The switch answered with an OpenFlow error."""


class Message(NamedTuple):
    """One message that the switch sent."""

    kind: int
    xid: int
    body: bytes


class OpenFlow:
    """A connection to one bridge. Every call waits until the switch is done."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")
        self._xid = 0
        self._bundle = 0
        self._meters: set[int] = set()
        self._send(_HELLO)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def bundle(self, edits: Sequence[wire.Edit]) -> None:
        """Make a change: all of it at once, or nothing. Raises Refused on any error.

        The switch leaves a message that it cannot read out of the bundle, and would commit the rest.
        """
        self._bundle += 1
        self._make_meters({edit.meter for edit in edits if isinstance(edit, Flow)} - {0} - self._meters)
        adds = [wire.bundle_add(self._bundle, wire.encode(edit), xid) for xid, edit in enumerate(edits, 2)]
        self._ask([wire.bundle_control(self._bundle, wire.BUNDLE_OPEN, 1), *adds], edits)
        self._ask([wire.bundle_control(self._bundle, wire.BUNDLE_COMMIT, len(edits) + 2)], edits)

    def _make_meters(self, numbers: set[int]) -> None:
        for number in numbers:
            self._ask([wire.meter_mod(wire.MeterCommand.ADD, number, wire.BUDGETS.of_meter(number))], [])
        self._meters |= numbers

    def _ask(self, messages: Sequence[bytes], edits: Sequence[wire.Edit]) -> None:
        """Send messages and wait until the switch is done with them."""
        self._socket.sendall(b"".join([*messages, wire.barrier_request(0)]))
        errors = []
        while (message := self._receive()).kind != _BARRIER_REPLY:
            if message.kind == _ERROR:
                position = message.xid - 2
                culprit = edits[position] if 0 <= position < len(edits) else "bundle control"
                errors.append("type {} code {}: {}".format(*struct.unpack_from("!HH", message.body), culprit))
        if errors:
            raise Refused("; ".join(errors))

    def installed(self) -> list[wire.Installed]:
        """Table and cookie of all flows."""
        any_group_or_port, all_tables = 0xFFFFFFFF, 0xFF
        body = struct.pack("!HH4x", _FLOW_STATISTICS, 0)
        body += struct.pack("!B3xII4xQQ", all_tables, any_group_or_port, any_group_or_port, 0, 0)
        self._send(_MULTIPART_REQUEST, body + struct.pack("!HH4x", 1, 4))
        found: list[wire.Installed] = []
        more = True
        while more:
            message = self._receive()
            if message.kind == _MULTIPART_REPLY:
                found += _flow_entries(message.body[8:])
                more = bool(struct.unpack_from("!HH", message.body)[1] & _MORE)
        return found

    def _send(self, kind: int, body: bytes = b"", xid: int | None = None) -> None:
        self._xid += 1
        head = _HEADER.pack(wire.VERSION, kind, _HEADER.size + len(body), self._xid if xid is None else xid)
        self._socket.sendall(head + body)

    def _receive(self) -> Message:
        _, kind, length, xid = _HEADER.unpack(self._stream.read(_HEADER.size))
        message = Message(kind, xid, self._stream.read(length - _HEADER.size))
        if kind == _ECHO_REQUEST:
            self._send(_ECHO_REPLY, message.body, xid)
        return message


def _flow_entries(body: bytes) -> Iterator[wire.Installed]:
    offset = 0
    while offset < len(body):
        length, entry = wire.installed_flow(body, offset)
        yield entry
        offset += length
