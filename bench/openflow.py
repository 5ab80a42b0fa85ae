"""A minimal OpenFlow client: it sends the same messages as the controller, directly to the bridge.

Its time is the switch's own time; the rest of a measured time is spent by sgctl.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from flows.openflow import wire
from flows.openflow.flow import Flow

_HEADER = struct.Struct("!BBHI")
_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY, _BARRIER_REPLY = 0, 1, 2, 3, 21
_METER_EXISTS = (wire.METER_FAILED, wire.METER_EXISTS)
_PATIENCE = 120.0


class BareClient:
    """One OpenFlow connection to a bridge's management socket."""

    def __init__(self, rundir: Path, bridge: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_PATIENCE)
        self._socket.connect(str(rundir / f"{bridge}.mgmt"))
        self._xid = 1
        self._bundle = 0
        self._socket.sendall(_HEADER.pack(wire.VERSION, _HELLO, _HEADER.size, 0))
        self._await(_HELLO)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def push(self, edits: Sequence[wire.Edit]) -> float:
        """Seconds for these edits in one bundle until the barrier's reply.

        Encoding the edits and making the meters that the flows use are not counted.
        """
        self._make_meters(edits)
        self._bundle += 1
        first = self._xid
        messages = [wire.bundle_control(self._bundle, wire.BUNDLE_OPEN, first)]
        for xid, edit in enumerate(edits, first + 1):
            messages.append(wire.bundle_add(self._bundle, wire.encode(edit), xid))
        last = first + len(edits) + 1
        messages.append(wire.bundle_control(self._bundle, wire.BUNDLE_COMMIT, last))
        messages.append(wire.barrier_request(last + 1))
        self._xid = last + 2
        data = b"".join(messages)
        start = time.perf_counter()
        self._socket.sendall(data)
        self._await(_BARRIER_REPLY)
        return time.perf_counter() - start

    def _make_meters(self, edits: Sequence[wire.Edit]) -> None:
        numbers = {edit.meter for edit in edits if isinstance(edit, Flow)} - {0}
        add, budget_of = wire.MeterCommand.ADD, wire.BUDGETS.of_meter
        mods = [wire.meter_mod(add, each, budget_of(each), self._xid) for each in numbers]
        self._socket.sendall(b"".join([*mods, wire.barrier_request(self._xid)]))
        self._await(_BARRIER_REPLY)

    def _await(self, wanted: int) -> None:
        while True:
            _, kind, length, xid = _HEADER.unpack(self._receive(_HEADER.size))
            body = self._receive(length - _HEADER.size)
            if kind == wanted:
                return
            if kind == _ECHO_REQUEST:
                self._socket.sendall(_HEADER.pack(wire.VERSION, _ECHO_REPLY, length, xid) + body)
            elif kind == _ERROR and struct.unpack_from("!HH", body) != _METER_EXISTS:
                raise OSError(f"the switch refused: {body[:4].hex()}")

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise OSError("the switch closed the connection")
            data += more
        return data
