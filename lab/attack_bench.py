"""The installation that is attacked: one bridge, silent hosts that only send what they are told to.

The hosts have no addresses, so their kernels say nothing: whatever a host gets was sent by a test.
After an attack come honest frames from both uplinks, twice: the datapath takes frames port by port,
so when the second round is there, everything that was sent before has met its fate.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from flows import pipeline
from flows.reasons import Reason
from lab.attack import (
    EVERYBODY,
    GREEN,
    GREEN_VLAN,
    OUTSIDE,
    ROUTER,
    STRANGER,
    UPLINKS,
    WORKLOADS,
    Host,
    Send,
)
from lab.attack_policy import DISCARD, documents
from lab.netns import Workload
from lab.packet_tap import PacketTap
from lab.process import LabError
from lab.running import Running
from lab.site import Site

BRIDGE = "br0"
_PATIENCE = 2.0
_REASONS = {int(reason): reason for reason in Reason}
_REASON = re.compile(rf"n_packets=(\d+).*{pipeline.REASON.name}=(0x[0-9a-f]+|\d+)")


class AttackBench(Running):
    """On an empty site, for the time of a `with`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._rounds = 0
        self._taps: dict[str, PacketTap] = {}
        self._hosts: list[Workload] = []

    def start(self) -> None:
        """Build it all."""
        self._site.add_bridge(BRIDGE)
        self._site.apply(*documents())
        for host in EVERYBODY:
            self._plug(host)
        self._site.sgctl.wait()
        self.settle()

    def close(self) -> None:
        """Close the sockets and remove the hosts."""
        for tap in self._taps.values():
            tap.close()
        for host in self._hosts:
            host.remove()

    def _plug(self, host: Host) -> None:
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
        """Send one after the other; what did not arrive where it should, in words."""
        self.forget()
        missing: list[str] = []
        for send in sends:
            self._taps[send.sender.name].send(send.frames)
            for host in send.to:
                lost = self._lost(host, send.frames)
                missing += [f"{host.name} did not get {frame.hex()} of {send.sender.name}" for frame in lost]
        return missing

    def _lost(self, host: Host, frames: tuple[bytes, ...]) -> list[bytes]:
        """Those of `frames` that `host` does not get; as often as they were sent, padding apart."""
        tap, deadline = self._taps[host.name], time.monotonic() + _PATIENCE
        lost, seen = list(frames), 0
        while lost and time.monotonic() < deadline:
            for frame in tap.received[seen:]:
                found = next((sent for sent in lost if frame.startswith(sent)), None)
                if found is not None:
                    lost.remove(found)
            seen = len(tap.received)
            if lost:
                tap.wait(deadline - time.monotonic())
        return lost

    def strays(self, send: Send, witnesses: Iterable[Host]) -> list[str]:
        """Everything that the witnesses got when this was sent, in words."""
        self.settle()
        self.forget()
        self._taps[send.sender.name].send(send.frames)
        self.settle()
        return [
            f"{host.name} got {frame.hex()}"
            for host in witnesses
            for frame in self._taps[host.name].received
            if host is not send.sender and _SENTINEL not in frame
        ]

    def settle(self) -> None:
        """Return when all that was sent before has arrived or never will."""
        for _ in range(2):
            self._rounds += 1
            for sender, receiver, frame in _sentinels(self._rounds):
                self._taps[sender.name].send([frame])
                self._expect(receiver, _mark(self._rounds))

    def _expect(self, receiver: Host, mark: bytes) -> None:
        tap, deadline = self._taps[receiver.name], time.monotonic() + _PATIENCE
        while not any(mark in frame for frame in tap.received):
            if time.monotonic() > deadline:
                raise LabError(f"{receiver.name}: does not even get honest frames")
            tap.wait(deadline - time.monotonic())

    def forget(self) -> None:
        """Empty what the hosts received."""
        for tap in self._taps.values():
            tap.wait(0)
            tap.received.clear()

    def forget_connections(self) -> None:
        """Empty the switch's connection table."""
        self._site.ovs.appctl("dpctl/flush-conntrack")

    def drops(self) -> Counter[Reason]:
        """How many packets the switch has dropped so far, by reason.

        The datapath has no flow left after this: so it reports all that its flows have counted.
        """
        self._site.ovs.appctl("revalidator/purge")
        dump = self._site.ovs.ofctl("dump-flows", BRIDGE, f"table={pipeline.DROP.id}")
        found = Counter[Reason]()
        for packets, reason in _REASON.findall(dump):
            found[_REASONS[int(reason, 0)]] += int(packets)
        return found


_SENTINEL = b"sentinel:"


def _mark(number: int) -> bytes:
    return _SENTINEL + f"{number:08d}".encode()


def _sentinels(number: int) -> Iterable[tuple[Host, Host, bytes]]:
    for host in WORKLOADS:
        yield ROUTER, host, _sentinel(ROUTER, host, number)
    yield ROUTER, OUTSIDE, _sentinel(ROUTER, OUTSIDE, number)
    yield OUTSIDE, ROUTER, _sentinel(OUTSIDE, ROUTER, number)


def _sentinel(sender: Host, receiver: Host, number: int) -> bytes:
    ethernet = Ether(src=sender.mac, dst=receiver.mac)
    if receiver is GREEN:
        ethernet /= Dot1Q(vlan=GREEN_VLAN)
    datagram = IP(src=sender.ip, dst=receiver.ip) / UDP(sport=DISCARD, dport=DISCARD) / _mark(number)
    return bytes(ethernet / datagram)
