"""The physical network outside the host: a plain learning switch, to which a host may have several wires."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from lab.netns import Workload
from lab.packet_tap import PacketTap
from lab.process import run
from lab.running import Running

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "10.0.0.77"


class Lan(Running):
    """A Linux bridge called `name`; each of `wires` is the host's end of a wire to this bridge."""

    def __init__(self, name: str, wires: Sequence[str]) -> None:
        self.name = name
        self._wires = wires

    def start(self) -> None:
        """Create the bridge and its wires."""
        run(["ip", "link", "add", self.name, "type", "bridge", "forward_delay", "0"])
        run(["ip", "link", "set", self.name, "up"])
        for wire in self._wires:
            run(["ip", "link", "add", wire, "type", "veth", "peer", "name", f"{wire}-far"])
            run(["ip", "link", "set", wire, "up"])
            self.join(f"{wire}-far")

    def join(self, device: str) -> None:
        """Connect a device."""
        run(["ip", "link", "set", device, "master", self.name, "up"])

    def leave(self, device: str) -> None:
        """Disconnect a device."""
        run(["ip", "link", "set", device, "nomaster"])

    def close(self) -> None:
        """Remove the bridge and its wires."""
        for wire in self._wires:
            run(["ip", "link", "delete", wire])
        run(["ip", "link", "delete", self.name])


def heard(host: Workload, sender: Workload, seconds: float = 0.5) -> int:
    """How often a host receives one broadcast ARP request of `sender`, for an address that no host has."""
    with host.inside():
        tap = PacketTap("eth0")
    with sender.inside():
        mouth = PacketTap("eth0")
    try:
        frame = _who_has(sender)
        mouth.send([frame])
        for _ in range(5):
            tap.wait(seconds / 5)
        return sum(each[: len(frame)] == frame for each in tap.received)
    finally:
        tap.close()
        mouth.close()


def _who_has(sender: Workload) -> bytes:
    mac, address = _bytes(sender.mac), socket.inet_aton(_ipv4(sender))
    question = bytes.fromhex("0001080006040001") + mac + address + bytes(6) + socket.inet_aton(NOBODY)
    return _bytes(BROADCAST) + mac + b"\x08\x06" + question


def _ipv4(host: Workload) -> str:
    words = host.run("ip", "-4", "-oneline", "address", "show", "dev", "eth0").split()
    return words[words.index("inet") + 1].partition("/")[0]


def _bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
