"""What is attached to the ports of a test's bridge: captures of simulated devices, or real links."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from lab import process
from lab.barrier import Barrier
from lab.netns import Namespace
from lab.ovs import PrivateOvs
from lab.packet_tap import PacketTap

_SETTLE_SECONDS = 0.02


class Lines(Protocol):
    """The other ends of the ports of one bridge."""

    def settings(self, port: str) -> list[str]:
        """What to set in the Interface of a port."""

    def inject(self, port: str, frame: bytes) -> None:
        """Let a frame come in by a port."""

    def settle(self) -> None:
        """Return when every injected frame has left or was dropped."""

    def sent(self, port: str) -> list[bytes]:
        """All frames that went out by a port, so far."""

    def close(self) -> None:
        """Remove them."""


class Captures:
    """For simulated devices: frames come in by the switch's control socket, and go out to a capture file."""

    def __init__(self, ovs: PrivateOvs, bridge: str, ports: Iterable[str]) -> None:
        self._control = ovs.control()
        self._captures = {port: ovs.rundir / f"{bridge}-{port}.pcap" for port in ports}

    def settings(self, port: str) -> list[str]:
        """The capture file."""
        return [f"options:tx_pcap={self._captures[port]}"]

    def inject(self, port: str, frame: bytes) -> None:
        """`netdev-dummy/receive` of ovs-vswitchd."""
        self._control.call("netdev-dummy/receive", port, frame.hex())

    def settle(self) -> None:
        """Inject frames without a receiver after the others; they are processed last."""
        port = next(iter(self._captures))
        for _ in range(2):
            self.inject(port, _TO_ITSELF)
        time.sleep(_SETTLE_SECONDS)

    def sent(self, port: str) -> list[bytes]:
        """The frames in the file."""
        return list(_frames(self._captures[port].read_bytes()))

    def close(self) -> None:
        """The files are deleted with the switch."""
        self._control.__exit__()


class Cables:
    """For real devices: each port is one end of a cable, the other end is in a namespace, with a tap."""

    def __init__(self, ovs: PrivateOvs, bridge: str, ports: Iterable[str]) -> None:
        self._place = Namespace(bridge)
        self._place.silence()
        self._taps = {port: self._lay(port) for port in ports}
        self._barrier = Barrier(ovs)
        self._barrier.start()

    def _lay(self, port: str) -> PacketTap:
        other_end = ["peer", "name", port, "netns", self._place.name]
        process.run(["ip", "link", "add", port, "type", "veth", *other_end])
        process.run(["ip", "link", "set", port, "up"])
        self._place.run("ip", "link", "set", port, "up")
        with self._place.inside():
            return PacketTap(port)

    def settings(self, port: str) -> list[str]:  # noqa: ARG002 - the other kind needs it
        """None: it is an ordinary device."""
        return []

    def inject(self, port: str, frame: bytes) -> None:
        """Send it from the other end."""
        self._taps[port].send([frame])

    def settle(self) -> None:
        """Wait until ovs-vswitchd has processed its queue."""
        self._barrier.wait()

    def sent(self, port: str) -> list[bytes]:
        """The frames that the tap has received."""
        self._taps[port].wait(0)
        return self._taps[port].received

    def close(self) -> None:
        """Remove the devices and the namespace."""
        self._barrier.close()
        for port, tap in self._taps.items():
            tap.close()
            process.run(["ip", "link", "delete", port])
        self._place.remove()


_TO_ITSELF = bytes.fromhex("02000000000102000000000188b5") + bytes(46)


def _frames(capture: bytes) -> Iterator[bytes]:
    """The frames of a capture file in the byte order of this machine (pcap-savefile(5))."""
    offset = 24
    while offset + 16 <= len(capture):
        (length,) = struct.unpack_from("=I", capture, offset + 8)
        yield capture[offset + 16 : offset + 16 + length]
        offset += 16 + length
