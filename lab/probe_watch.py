"""Records what reaches a host, before the host's own filters: the proof that a denied packet did not arrive.

There are two kinds of marks: tokens anywhere in a frame, and the four-tuples of TCP SYNs (which carry no
payload).
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct

TOKEN_PREFIX = b"probe:"
_TOKEN = re.compile(TOKEN_PREFIX + rb"[0-9a-f]{16}")
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC = 263, 1, 1
_RECEIVE_BUFFER = 16 << 20
_TCP, _SYN, _ACK = 6, 0x02, 0x10


def tcp_mark(source: str, source_port: int, target: str, target_port: int) -> str:
    """The mark of a connection attempt, the same on both ends."""
    return f"tcp {source} {source_port} {target} {target_port}"


class Watcher:
    """Collects the marks of all frames that any interface receives, in promiscuous mode.

    Raises OSError without CAP_NET_RAW.
    """

    def __init__(self) -> None:
        self._marks: set[str] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, _RECEIVE_BUFFER)  # SO_RCVBUFFORCE
        for index, name in socket.if_nameindex():
            if name != "lo":
                request = struct.pack("iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
                self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)

    def start(self) -> None:
        """Watch from now on, on the running event loop."""
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    def take(self) -> list[str]:
        """The marks seen since the last call."""
        self._receive()
        marks, self._marks = sorted(self._marks), set()
        return marks

    def _receive(self) -> None:
        try:
            while True:
                frame, address = self._socket.recvfrom(2048)
                if address[2] != _PACKET_OUTGOING and address[0] != "lo":
                    self._marks.update(frame_marks(frame))
        except BlockingIOError:
            return


def frame_marks(frame: bytes) -> list[str]:
    """The marks in one Ethernet frame."""
    marks = [token.decode() for token in _TOKEN.findall(frame)]
    mark = _syn_mark(frame)
    return marks if mark is None else [*marks, mark]


def _syn_mark(frame: bytes) -> str | None:
    if frame[12:14] == b"\x08\x00" and len(frame) >= 54 and frame[23] == _TCP:
        family, addresses, tcp = socket.AF_INET, frame[26:34], frame[14 + (frame[14] & 15) * 4 :]
    elif frame[12:14] == b"\x86\xdd" and len(frame) >= 74 and frame[20] == _TCP:
        family, addresses, tcp = socket.AF_INET6, frame[22:54], frame[54:]
    else:
        return None
    if len(tcp) < 14 or tcp[13] & (_SYN | _ACK) != _SYN:
        return None
    half = len(addresses) // 2
    source_port, target_port = struct.unpack("!HH", tcp[:4])
    source, target = (socket.inet_ntop(family, part) for part in (addresses[:half], addresses[half:]))
    return tcp_mark(source, source_port, target, target_port)
