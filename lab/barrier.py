"""Waits until the kernel datapath has delivered or dropped every frame that was sent before.

The kernel forwards a frame at once if a datapath flow matches it, and queues every other frame for
ovs-vswitchd. So the arrival of a later frame says nothing about an earlier one, unless both were queued: the
queue of a processor keeps its order, and a guest has one processor.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.packet_tap import PacketTap
from lab.process import LabError
from lab.running import Running

_BRIDGE = "barrier"
_STAGES = 8
"""How often a packet is queued at most: once at first, and again after each conntrack lookup."""
_PATIENCE_SECONDS = 10.0
_LOCAL_EXPERIMENT = bytes.fromhex("88b5")


class Barrier(Running):
    """A separate bridge in the same datapath, through which a frame is sent from one device to the other."""

    def __init__(self, ovs: PrivateOvs) -> None:
        self._ovs = ovs
        self._frames = _frames()
        self._ends: list[Workload] = []
        self._taps: list[PacketTap] = []

    def start(self) -> None:
        """Create the bridge and its devices."""
        self._ovs.add_bridge(_BRIDGE, "fail_mode=standalone")
        for number in range(2):
            name = f"{_BRIDGE}{number}"
            end = Workload(name, f"02:00:00:01:00:0{number}")
            self._ends.append(end)
            end.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            self._ovs.add_port(_BRIDGE, name)
            with end.inside():
                self._taps.append(PacketTap("eth0"))

    def close(self) -> None:
        """Remove the bridge; if the switch has ended, `ovs-vsctl` must not wait for it."""
        if not self._ovs.ended():
            self._ovs.vsctl("--if-exists", "del-br", _BRIDGE)
        for tap in self._taps:
            tap.close()
        for end in self._ends:
            end.remove()

    def wait(self) -> None:
        """Return when every frame sent before has been delivered or dropped."""
        for _ in range(_STAGES):
            self._pass(next(self._frames))

    def _pass(self, frame: bytes) -> None:
        sender, receiver = self._taps
        receiver.received.clear()
        sender.send([frame])
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while frame not in receiver.received:
            if time.monotonic() > deadline:
                raise LabError("the datapath does not deliver frames that it queues for ovs-vswitchd")
            receiver.wait(deadline - time.monotonic())


def _frames() -> Iterator[bytes]:
    """Each frame has a new source MAC: a learning bridge has no datapath flow for it, so it is queued."""
    for number in count(1):
        yield b"\xff" * 6 + b"\x02\x01" + number.to_bytes(4) + _LOCAL_EXPERIMENT + bytes(46)
