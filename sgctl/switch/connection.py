"""One OpenFlow connection: handshake, messages, echo requests and a bounded send queue."""

from __future__ import annotations

import random
import socket
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from flows.openflow.wire import VERSION
from sgctl import runtime
from sgctl.runtime import Event, Queue, Thread
from sgctl.switch import messages
from sgctl.switch.error_names import error_text
from sgctl.switch.messages import MalformedError, Message, MessageType, PacketIn, Reply, message

HANDSHAKE_SECONDS = 5.0
ECHO_SECONDS = 15.0
SILENT_SECONDS = 60.0
"""A switch that sends nothing for this long, despite an echo request every 15 s, is disconnected."""
READ_BYTES = 1 << 14
MESSAGES_AT_A_TIME = 32
"""Messages that are processed at once before other green threads run."""
UNSENT_CHUNKS = 16
UNSENT_ECHOES = 64
"""Echo replies that may wait to be sent; a peer that requests more without reading is disconnected."""
LARGEST_HANDSHAKE = 1 << 12
"""Bytes that a switch may send in the handshake; hello and features reply have less than a hundred."""
LAST_XID = 0xFFFFFFFF


class Connection:
    """A connection with a switch. One green thread reads, one writes, one sends echo requests.

    `direct` is true if this controller connected to the bridge's management socket. `dpid` is -1 until
    `greet` has succeeded.
    """

    def __init__(self, stream: Any, peer: str, *, direct: bool = False) -> None:
        """`stream` is a connected socket of eventlet; `peer` names the other side in the log."""
        self.peer = peer
        self.direct = direct
        self.dpid = -1
        self._stream = stream
        self._received = bytearray()
        self._greeted = False
        self._closed = False
        self._chunks: Queue = runtime.queue(UNSENT_CHUNKS)
        self._echoes: deque[bytes] = deque()
        self._xid = random.randrange(1 << 31)  # noqa: S311 - only has to differ from earlier connections
        self._alive = Event()
        self._helpers: list[Thread] = []

    def greet(self) -> None:
        """Do the handshake and read the switch's datapath id. Raises MalformedError or OSError."""
        late = MalformedError(f"no handshake within {HANDSHAKE_SECONDS:.0f} s")
        with runtime.timeout(HANDSHAKE_SECONDS, late):
            self._stream.sendall(messages.hello())
            arriving = self._before_known()
            messages.check_hello(next(arriving))
            self._greeted = True
            self._stream.sendall(message(MessageType.FEATURES_REQUEST, self.reserve(1)))
            self.dpid = messages.read_dpid(next(arriving))
        self._helpers = [runtime.spawn(self._write), runtime.spawn(self._watch)]

    def serve(self, receive: Callable[[Reply], None], take_in: Callable[[PacketIn], None]) -> None:
        """Pass the switch's replies to `receive` and its frames to `take_in` until the connection ends.

        Raises MalformedError or OSError.
        """
        for each in self._messages():
            if each.kind == MessageType.ECHO_REQUEST:
                self._echo(each)
            elif each.kind == MessageType.PACKET_IN:
                take_in(messages.read_packet_in(each))
            elif each.kind not in messages.UNREAD and each.kind != MessageType.ECHO_REPLY:
                receive(messages.read_reply(each))

    def reserve(self, count: int) -> int:
        """Reserve `count` consecutive transaction ids; returns the first."""
        first = self._xid + 1
        if first + count > LAST_XID:
            first = 1
        self._xid = first + count - 1
        return first

    def send(self, data: bytes) -> bool:
        """Wait for room in the send queue and queue the data; returns whether the connection is open then."""
        if not self._closed:
            self._chunks.put(data)
        return not self._closed

    def offer(self, data: bytes) -> None:
        """Queue the data, or drop it if the send queue is full."""
        if not self._closed and not self._chunks.full():
            self._chunks.put_nowait(data)

    def answers(self, seconds: float) -> bool:
        """Whether the switch sends anything within `seconds`; sends it an echo request."""
        self._alive.clear()
        if not self._chunks.full():  # if full, there are enough other requests to answer
            self._chunks.put_nowait(message(MessageType.ECHO_REQUEST, 0))
        return self._alive.wait(seconds) and not self._closed

    def close(self) -> None:
        """End the connection: `serve` returns, and nothing more is sent."""
        self._closed = True
        try:
            self._stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the connection has already ended
        finally:
            while self._chunks.qsize():  # wakes green threads that wait for room
                self._chunks.get_nowait()

    def release(self) -> None:
        """Close and free all resources; the caller of `serve` calls this at the end."""
        self.close()
        for helper in self._helpers:
            helper.kill()
        self._stream.close()
        self._received.clear()  # the garbage collector runs rarely

    def _before_known(self) -> Iterator[Message]:
        """The messages of the handshake that matter. Raises MalformedError."""
        seen = 0
        for each in self._messages():
            seen += messages.HEADER.size + len(each.body)
            if seen > LARGEST_HANDSHAKE:
                raise MalformedError("sent too much data before the end of the handshake")
            if each.kind == MessageType.ERROR and (refusal := messages.read_reply(each).refusal):
                raise MalformedError(f"the switch refused the handshake: {error_text(refusal)}")
            if each.kind == MessageType.ECHO_REQUEST:
                self._stream.sendall(message(MessageType.ECHO_REPLY, each.xid, each.body))
            elif each.kind not in messages.UNREAD and each.kind != MessageType.PACKET_IN:
                yield each
        raise MalformedError("ended before the end of the handshake")

    def _messages(self) -> Iterator[Message]:
        """Received messages until the connection ends. Only a hello may have another protocol version."""
        while True:
            longest = LARGEST_HANDSHAKE if self.dpid < 0 else messages.LONGEST
            for number, each in enumerate(messages.take_messages(self._received, longest), 1):
                if not number % MESSAGES_AT_A_TIME:
                    runtime.sleep(0)
                if self._greeted and each.version != VERSION:
                    raise MalformedError(f"message of protocol version {each.version}")
                yield each
            data = b"" if self._closed else self._stream.recv(READ_BYTES)
            if not data:
                return
            self._received += data
            self._alive.set()
            runtime.sleep(0)

    def _echo(self, request: Message) -> None:
        """Answer ahead of queued data, so that the switch does not time out during a large change."""
        if len(self._echoes) >= UNSENT_ECHOES:
            raise MalformedError("sends echo requests but does not read the replies")
        self._echoes.append(message(MessageType.ECHO_REPLY, request.xid, request.body))
        if not self._chunks.full():
            self._chunks.put_nowait(b"")

    def _write(self) -> None:
        try:
            while True:
                chunk = self._chunks.get()
                while self._echoes:
                    self._stream.sendall(self._echoes.popleft())
                self._stream.sendall(chunk)
        except OSError:
            self.close()

    def _watch(self) -> None:
        silent = 0.0
        while silent < SILENT_SECONDS:
            if self.answers(ECHO_SECONDS):
                silent = 0.0
                runtime.sleep(ECHO_SECONDS)
            else:
                silent += ECHO_SECONDS
        self.close()
