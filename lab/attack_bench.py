"""The installation that is attacked: one bridge, and hosts that send nothing but the frames of a test.

The hosts have no addresses, so their kernels send nothing: whatever a host gets was sent by a test.
After an attack, both uplinks send honest frames, twice. The userspace datapath polls the ports in turn, so
when the second round has arrived, every earlier frame has been delivered or dropped. The kernel datapath
needs a barrier for that.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from flows.openflow.reasons import Reason
from lab.attack import (
    EVERYBODY,
    GREEN,
    GREEN_VLAN,
    OUTSIDE,
    ROUTER,
    STRANGER,
    UPLINKS,
    WORKLOADS,
    AttackHost,
    Send,
)
from lab.attack_policy import DISCARD, documents
from lab.barrier import Barrier
from lab.datapath import DATAPATH, Datapath, let_fragments_wait
from lab.drop_counts import drop_counts
from lab.fragments import whole
from lab.netns import Workload
from lab.packet_tap import PacketTap
from lab.process import LabError
from lab.running import Running
from lab.site import Site
from sgctl.controller.loops import PROBE_GROUP

BRIDGE = "br0"
_PATIENCE = 10.0
_AT_ONCE = 100
"""How many small frames fit into the buffer of the socket from which the switch reads them."""


class AttackBench(Running):
    """On an empty site, for the time of a `with`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._rounds = 0
        self._taps: dict[str, PacketTap] = {}
        self._hosts: list[Workload] = []
        self._barrier = Barrier(site.ovs) if DATAPATH is Datapath.KERNEL else None

    def start(self) -> None:
        """Create the bridge, its policy and the hosts."""
        if self._barrier is not None:
            self._barrier.start()
            let_fragments_wait(1)  # none until the next attack
        self._site.add_bridge(BRIDGE)
        self._site.apply(*documents())
        for host in EVERYBODY:
            self._plug(host)
        self._site.sgctl.wait()
        self.settle()

    def close(self) -> None:
        """Close the sockets and remove the hosts."""
        if self._barrier is not None:
            self._barrier.close()
        for tap in self._taps.values():
            tap.close()
        for host in self._hosts:
            host.remove()

    def _plug(self, host: AttackHost) -> None:
        workload = Workload(host.name, host.mac)
        self._hosts.append(workload)
        workload.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        columns: dict[str, str] = {}
        if host in UPLINKS:
            columns["sgctl-uplink"] = "blue,green"
        elif host is not STRANGER:
            columns["iface-id"] = host.name
        settings = [f'external_ids:{name}="{value}"' for name, value in columns.items()]
        self._site.ovs.add_port(BRIDGE, host.name, *settings)
        with workload.inside():
            self._taps[host.name] = PacketTap("eth0")

    def achieve(self, sends: Iterable[Send]) -> list[str]:
        """Send one after the other; returns a sentence for each frame that did not arrive."""
        self.forget()
        missing: list[str] = []
        for send in sends:
            self._taps[send.sender.name].send(send.frames)
            for host in send.to:
                lost = self._lost(host, send.frames)
                missing += [f"{host.name} did not get {frame.hex()} of {send.sender.name}" for frame in lost]
        return missing

    def _lost(self, host: AttackHost, frames: tuple[bytes, ...]) -> list[bytes]:
        """Those of `frames` that `host` does not get; a frame sent several times counts each time."""
        tap, deadline = self._taps[host.name], time.monotonic() + _PATIENCE
        while True:
            lost, _ = _compared(frames, tap.received)
            if not lost or time.monotonic() > deadline:
                return lost
            tap.wait(deadline - time.monotonic())

    def strays(self, send: Send, witnesses: Iterable[AttackHost], passes: Iterable[Send] = ()) -> list[str]:
        """A sentence for each frame that a witness got besides `passes`, and each missing one of `passes`."""
        self.settle()
        self.forget()
        self._taps[send.sender.name].send(send.frames)
        self.settle()
        found: list[str] = []
        for host in witnesses:
            if host is send.sender:
                continue
            expected = [frame for each in passes if host in each.to for frame in each.frames]
            received = [frame for frame in self._taps[host.name].received if not _is_ours(host, frame)]
            missing, stray = _compared(expected, received)
            found += [f"{host.name} got {frame.hex()}" for frame in stray]
            found += [f"{host.name} did not get {frame.hex()}" for frame in missing]
        return found

    def settle(self) -> None:
        """Wait until every frame sent before has been delivered or dropped."""
        for _ in range(2):
            self._rounds += 1
            for sender, receiver, frame in _sentinels(self._rounds):
                self._taps[sender.name].send([frame])
                self._expect(receiver, _mark(self._rounds))
        if self._barrier is not None:
            self._barrier.wait()
            for tap in self._taps.values():
                tap.wait(0)

    def _expect(self, receiver: AttackHost, mark: bytes) -> None:
        tap, deadline = self._taps[receiver.name], time.monotonic() + _PATIENCE
        while not any(mark in frame for frame in tap.received):
            if time.monotonic() > deadline:
                raise LabError(f"{receiver.name} does not get honest frames either")
            tap.wait(deadline - time.monotonic())

    def forget(self) -> None:
        """Discard the frames that the hosts received."""
        for tap in self._taps.values():
            tap.wait(0)
            tap.received.clear()

    def forget_connections(self) -> None:
        """Empty the switch's connection table."""
        self._site.ovs.appctl("dpctl/flush-conntrack")

    def send(self, sender: AttackHost, frames: Iterable[bytes]) -> None:
        """Send frames without waiting for their arrival."""
        self._taps[sender.name].send(frames)

    def received(self, host: AttackHost, frame: bytes) -> int:
        """How often `host` has got this frame since the last `forget`."""
        self._taps[host.name].wait(0)
        return sum(got.startswith(frame) for got in self._taps[host.name].received)

    def megaflows(self, sender: AttackHost, frames: Sequence[bytes]) -> int:
        """How many megaflows the sender's port has after it has sent only these frames."""
        self._site.ovs.appctl("dpctl/del-flows")
        self.forget_connections()
        for start in range(0, len(frames), _AT_ONCE):
            self._taps[sender.name].send(frames[start : start + _AT_ONCE])
            self.settle()
        self.forget()
        dump = self._site.ovs.appctl("dpctl/dump-flows", "--names")
        return dump.count(f"in_port({sender.name})")

    def drops(self) -> Counter[Reason]:
        """How many packets the switch has dropped so far, by reason. Removes all datapath flows."""
        return drop_counts(self._site.ovs, BRIDGE)


def _compared(sent: Iterable[bytes], received: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The frames of `sent` that were not received, and the received ones that were not sent; ignores padding.

    The kernel's connection tracker reassembles fragments and fragments the packet again in another way.
    """
    as_it_is = whole if DATAPATH is Datapath.KERNEL else list
    lost, besides = as_it_is(sent), list[bytes]()
    for frame in as_it_is(received):
        found = next((each for each in lost if frame.startswith(each)), None)
        if found is None:
            besides.append(frame)
        else:
            lost.remove(found)
    return lost, besides


def _is_ours(host: AttackHost, frame: bytes) -> bool:
    """Whether the frame is a sentinel of `settle`, or a probe by which a controller looks for loops."""
    return _SENTINEL in frame or (host in UPLINKS and frame.startswith(PROBE_GROUP))


_SENTINEL = b"sentinel:"


def _mark(number: int) -> bytes:
    return _SENTINEL + f"{number:08d}".encode()


def _sentinels(number: int) -> Iterable[tuple[AttackHost, AttackHost, bytes]]:
    for host in WORKLOADS:
        yield ROUTER, host, _sentinel(ROUTER, host, number)
    yield ROUTER, OUTSIDE, _sentinel(ROUTER, OUTSIDE, number)
    yield OUTSIDE, ROUTER, _sentinel(OUTSIDE, ROUTER, number)


def _sentinel(sender: AttackHost, receiver: AttackHost, number: int) -> bytes:
    ethernet = Ether(src=sender.mac, dst=receiver.mac)
    if receiver is GREEN:
        ethernet /= Dot1Q(vlan=GREEN_VLAN)
    datagram = IP(src=sender.ip, dst=receiver.ip) / UDP(sport=DISCARD, dport=DISCARD) / _mark(number)
    return bytes(ethernet / datagram)
