"""The `ovs` package without loading eventlet, and with a faster and more correct message reader.

Import `idl` and `poller` from this module, so that every connection of the process uses that reader.

Gain of the reader, with 400 ports: without it, a restart takes 1.29 times as long, and adding or removing a
rule 1.85 times (`python -m bench --only optimizations`). Switch it off with `SGCTL_WITHOUT=reader`.
"""

from __future__ import annotations

import codecs
import errno
import json
import re
import sys
from collections import deque
from typing import Any

from sgctl.optimizations import is_on


def _import_ovs() -> Any:
    """Import the library without eventlet, which would cost a command 0.1 s and print a warning.

    In a process that runs on eventlet, eventlet is already loaded and the library uses it.
    """
    hidden = "eventlet" not in sys.modules
    if hidden:
        sys.modules["eventlet"] = None  # type: ignore[assignment]  # "not to be imported"
    try:
        import ovs.db.idl  # noqa: PLC0415
    finally:
        if hidden:
            del sys.modules["eventlet"]
    return ovs


ovs = _import_ovs()
idl = ovs.db.idl
poller = ovs.poller
_Connection: Any = ovs.jsonrpc.Connection

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BLANKS = re.compile(r"[ \t\r\n]*")
_READ_BYTES = 1 << 18


class MessageReader:
    """Splits a stream into JSON objects, which follow each other without separator, and parses them.

    Counts the braces outside strings, so every character is read only once, in however many parts it
    arrives.
    """

    def __init__(self) -> None:
        self._characters = codecs.getincrementaldecoder("utf-8")()
        self._decoder = json.JSONDecoder()
        self._pieces: list[str] = []
        self._open_string = ""
        self._depth = 0

    def feed(self, data: bytes) -> list[Any]:
        """The objects that these bytes complete. Raises ValueError for invalid JSON."""
        text = self._characters.decode(data)
        self._pieces.append(text)
        skeleton, quote, rest = _STRING.sub("", self._open_string + text).partition('"')
        self._open_string = quote + rest
        self._depth += skeleton.count("{") - skeleton.count("}")
        if self._depth > 0 and "}{" not in skeleton:
            return []
        return self._parse()

    def _parse(self) -> list[Any]:
        text = "".join(self._pieces)
        messages = []
        position = _after_blanks(text, 0)
        while position < len(text):
            try:
                message, end = self._decoder.raw_decode(text, position)
            except ValueError:
                if self._depth <= 0:
                    raise
                break
            messages.append(message)
            position = _after_blanks(text, end)
        self._pieces = [text[position:]]
        return messages


def _after_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    return blanks.end() if blanks else position


class JsonRpcConnection(_Connection):  # type: ignore[misc]  # the library has no types
    """A JSON-RPC connection that reads large messages in linear time, with the standard library's parser.

    The `ovs` package's own reader also loses non-ASCII characters whose bytes arrive in two parts.
    """

    output: Any

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._reader = MessageReader()
        self._received: deque[Any] = deque()

    def send(self, msg: Any) -> int:
        """Queue a message and send as much as the socket accepts; returns an errno, 0 for success."""
        if not self.status:
            data = ovs.json.to_string(msg.to_json(), sort_keys=False).encode()
            self.output = memoryview(bytes(self.output) + data if self.output else data)
            self.run()
        return int(self.status)

    def recv(self) -> tuple[int, Any]:
        """The next message if there is one: (0, message), (errno.EAGAIN, None) or (errno, None)."""
        while not self._received and not self.status:
            error, data = self.stream.recv(_READ_BYTES)
            if error == errno.EAGAIN:
                return error, None
            if error or not data:
                self.error(error or ovs.jsonrpc.EOF)
            else:
                self.received_bytes += len(data)
                self._take(data)
        return (0, self._received.popleft()) if self._received else (self.status, None)

    def recv_wait(self, waiter: Any) -> None:
        """Make the poller wake up when `recv` has a message or an error."""
        if self._received or self.status:
            waiter.immediate_wake()
        else:
            self.stream.recv_wait(waiter)

    def _take(self, data: bytes) -> None:
        try:
            contents = self._reader.feed(data)
        except ValueError:
            contents = [None]  # not a valid message: handled as a protocol error below
        for content in contents:
            message = ovs.jsonrpc.Message.from_json(content)
            if not isinstance(message, ovs.jsonrpc.Message):
                self.error(errno.EPROTO)
                return
            self._received.append(message)


if is_on("reader"):
    ovs.jsonrpc.Connection = JsonRpcConnection
