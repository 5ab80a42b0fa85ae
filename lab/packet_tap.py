"""A raw socket on one device: sends frames unchanged, and collects every frame that the device receives."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterable

_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISCUOUS, _AUXDATA = 263, 1, 1, 8
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 8 << 20
_TAG_VALID, _TAG_ETHERTYPE_VALID = 0x10, 0x40
_AUXILIARY = struct.Struct("=IIIHHHH")
"""struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid (packet(7))."""


class PacketTap:
    """Promiscuous on `device` of the calling thread's namespace. Raises OSError without CAP_NET_RAW.

    `received` holds the frames that others sent, with the VLAN tags that the kernel delivers separately.
    """

    def __init__(self, device: str) -> None:
        self.received: list[bytes] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._socket.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        self._socket.bind((device, _ETH_P_ALL))
        request = struct.pack("iHH8s", socket.if_nametoindex(device), _PROMISCUOUS, 0, b"")
        self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, request)

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames, in order."""
        for frame in frames:
            select.select([], [self._socket], [])
            self._socket.send(frame)

    def wait(self, seconds: float) -> None:
        """Wait at most `seconds` for a frame, then collect all frames that have arrived."""
        select.select([self._socket], [], [], max(seconds, 0))
        try:
            while True:
                frame, extra, _, address = self._socket.recvmsg(1 << 16, 256)
                if address[2] != _PACKET_OUTGOING:
                    self.received.append(_with_tag(frame, extra))
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _with_tag(frame: bytes, extra: list[tuple[int, int, bytes]]) -> bytes:
    for level, kind, data in extra:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, *_, tag, ethertype = _AUXILIARY.unpack(data)
            if status & _TAG_VALID:
                outer = ethertype if status & _TAG_ETHERTYPE_VALID else 0x8100
                return frame[:12] + struct.pack("!HH", outer, tag) + frame[12:]
    return frame
