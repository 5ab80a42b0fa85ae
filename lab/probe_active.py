"""Serves and asks questions over real connections: the answer proves that packets pass both ways."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypedDict

from lab import probe_sctp
from lab.probe_frames import internet_checksum
from lab.probe_watch import tcp_mark

_QUESTION, _ANSWER = b"Q", b"A"
_RESEND_SECONDS = 0.4
_UNREACHED = {errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EPIPE}
"""Errors that mean that the other side did not answer; any other error is a fault of the test bench."""
_ECHO = {4: (8, 0), 6: (128, 129)}
"""ICMP types of request and reply (RFC 792, RFC 4443)."""


class Question(TypedDict):
    """One probe: kind tcp, udp, icmp or proto; `number` is a port or an IP protocol."""

    id: int
    kind: str
    family: int
    number: int
    device: str
    source: str
    target: str
    token: str


class ProbeAnswer(TypedDict):
    """`outcome` is answered, silent or broken (the bench failed); `mark` is the mark that the target sees."""

    id: int
    outcome: str
    mark: str
    detail: str


async def serve(kind: str, address: str, number: int) -> None:
    """Start to answer questions on one address. Raises OSError when that is not possible."""
    if kind == "tcp":
        await asyncio.start_server(_answer_connection, address, number, backlog=512)
    elif kind == "udp":
        _serve_packets(address, number, socket.SOCK_DGRAM)
    elif kind == "proto":
        _serve_packets(address, 0, socket.SOCK_RAW, number)


async def _answer_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, TimeoutError):  # the asking side notices and reports
        question = await asyncio.wait_for(reader.readline(), 10)
        writer.write(_answer(question.strip()) + b"\n")
        await writer.drain()
    writer.close()


def _serve_packets(address: str, port: int, kind: int, protocol: int = 0) -> None:
    """Answer raw packets. On a host that also asks, a raw socket receives answers, too; they are ignored."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, kind, protocol)
    server.setblocking(False)
    server.bind((address, port))

    def answer() -> None:
        with suppress(BlockingIOError):
            packet, sender = server.recvfrom(2048)
            payload = _payload(server, packet)
            is_sctp = protocol == probe_sctp.PROTOCOL
            asked = probe_sctp.text(payload) if is_sctp else payload
            if asked.startswith(_QUESTION):
                reply = _answer(asked)
                server.sendto(probe_sctp.answer(payload, reply) if is_sctp else reply, sender)

    asyncio.get_running_loop().add_reader(server, answer)


async def ask(question: Question, seconds: float) -> ProbeAnswer:
    """Ask until an answer comes or `seconds` are over; never raises."""
    answer = ProbeAnswer(id=question["id"], outcome="silent", mark=question["token"], detail="")
    try:
        async with asyncio.timeout(seconds):
            await _ASK[question["kind"]](question, answer)
        answer["outcome"] = "answered"
    except TimeoutError:
        answer["detail"] = f"no answer within {seconds:g} s"
    except OSError as error:
        answer["outcome"] = "silent" if error.errno in _UNREACHED else "broken"
        answer["detail"] = error.strerror or str(error)
    return answer


async def _ask_tcp(question: Question, answer: ProbeAnswer) -> None:
    loop = asyncio.get_running_loop()
    with _open(question, socket.SOCK_STREAM) as client:
        source, port = client.getsockname()[:2]
        answer["mark"] = tcp_mark(source, port, question["target"], question["number"])
        await loop.sock_connect(client, (question["target"], question["number"]))
        request = _QUESTION + question["token"].encode()
        await loop.sock_sendall(client, request + b"\n")
        expected, received = _answer(request) + b"\n", b""
        while len(received) < len(expected):
            chunk = await loop.sock_recv(client, 2048)
            if not chunk:
                raise ConnectionResetError(errno.ECONNRESET, "closed before the answer was complete")
            received += chunk
        if received != expected:
            raise OSError(errno.EPROTO, f"wrong answer {received!r}")


async def _ask_udp(question: Question, _unused: ProbeAnswer) -> None:
    with _open(question, socket.SOCK_DGRAM) as client:
        await _ask_packets(client, question, question["number"])


async def _ask_protocol(question: Question, _unused: ProbeAnswer) -> None:
    protocol = question["number"]
    with _open(question, socket.SOCK_RAW, protocol) as client:
        if protocol == probe_sctp.PROTOCOL:
            await _ask_sctp(client, question)
        else:
            await _ask_packets(client, question, 0)


async def _ask_packets(client: socket.socket, question: Question, port: int) -> None:
    client.connect((question["target"], port))
    request = _QUESTION + question["token"].encode()
    await _exchange(client, request, _answer(request).__eq__)


async def _ask_sctp(client: socket.socket, question: Question) -> None:
    client.connect((question["target"], 0))
    text = _QUESTION + question["token"].encode()
    expected = _answer(text)
    await _exchange(client, probe_sctp.question(text), lambda packet: probe_sctp.text(packet) == expected)


async def _ask_icmp(question: Question, _unused: ProbeAnswer) -> None:
    family = question["family"]
    request, reply = _ECHO[family]
    protocol = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
    payload = struct.pack("!HH", question["id"] & 0xFFFF, 1) + question["token"].encode()
    head = struct.pack("!BBH", request, 0, 0)
    checksum = internet_checksum(head + payload) if family == 4 else 0  # the kernel fills in ICMPv6's
    with _open(question, socket.SOCK_RAW, protocol) as client:
        client.connect((question["target"], 0))
        packet = head[:2] + struct.pack("!H", checksum) + payload
        await _exchange(
            client, packet, lambda received: received[:1] == bytes([reply]) and payload in received
        )


_ASK: dict[str, Callable[[Question, ProbeAnswer], Awaitable[None]]] = {
    "tcp": _ask_tcp,
    "udp": _ask_udp,
    "proto": _ask_protocol,
    "icmp": _ask_icmp,
}


async def _exchange(client: socket.socket, request: bytes, is_reply: Callable[[bytes], bool]) -> None:
    """Repeat the request until its reply comes."""
    loop = asyncio.get_running_loop()

    async def send() -> None:
        while True:
            await loop.sock_sendall(client, request)
            await asyncio.sleep(_RESEND_SECONDS)

    async def receive() -> None:
        while True:
            if is_reply(_payload(client, await loop.sock_recv(client, 2048))):
                return

    tasks = [asyncio.create_task(send()), asyncio.create_task(receive())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _open(question: Question, kind: int, protocol: int = 0) -> socket.socket:
    """A socket that sends only by the question's device and from its source address."""
    family = socket.AF_INET if question["family"] == 4 else socket.AF_INET6
    client = socket.socket(family, kind, protocol)
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, question["device"].encode())
    client.bind((question["source"], 0))
    return client


def _payload(receiver: socket.socket, packet: bytes) -> bytes:
    """The payload: raw IPv4 sockets prepend the IP header (raw(7)), IPv6 sockets do not (ipv6(7))."""
    has_header = receiver.type == socket.SOCK_RAW and receiver.family == socket.AF_INET
    return packet[(packet[0] & 15) * 4 :] if has_header else packet


def _answer(question: bytes) -> bytes:
    """The token reversed, so that an echo of the question does not count as the answer."""
    return _ANSWER + question.removeprefix(_QUESTION)[::-1]
