"""Packets that Open vSwitch's tracker releases at another packet's lookup must not go where that packet goes.

Fragments wait in the tracker until their packet is complete. Fragments that expire after 15 seconds, and the
fragments of a packet that has more than a batch can hold (32), are added to the packets that are looked up
next.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import UDP, fragment
from scapy.layers.inet6 import IPv6ExtHdrFragment, fragment6

from lab.attack import AttackHost
from lab.datapath import DATAPATH, Datapath, let_fragments_wait, wait_for_no_fragments
from lab.netns import Workload
from lab.packet_tap import PacketTap
from lab.scenario.model import Document
from lab.site import ALL_OUT, NETWORK, Site, document, group
from lab.workloads import Workloads
from tests.attacks.packets import ip, ip6

pytestmark = pytest.mark.switch

SHUT = AttackHost("shut", 1, "workload that may not send")
CLOSED = AttackHost("closed", 2, "workload that takes nothing, and may send")
OPEN = AttackHost("open", 3, "workload to which and from which everything may go")
SECOND = AttackHost("second", 4, "another")
STATELESS = AttackHost("stateless", 5, "another, without connections")
TRUSTED = AttackHost("trusted", 6, "port without port security")
OUTSIDE = AttackHost("outside", 200, "behind the uplink")
WORKLOADS = {SHUT: "shut", CLOSED: "closed", OPEN: "open", SECOND: "open", STATELESS: "stateless"}
EVERYBODY = (*WORKLOADS, TRUSTED, OUTSIDE)
HONEST = (OPEN, SECOND, STATELESS, TRUSTED, OUTSIDE)

STRAY, CARRIER = b"stray!!!", b"carrier!"
_PORT = 7000
_FRAGMENT_BYTES = 1400
_GIVEN_UP_SECONDS, _EARLIER_SECONDS = 16, 60
_LISTS = 120
"""How many packets of two fragments, for IPv4 and IPv6 each: within the budgets of ports and network."""

Taps = dict[AttackHost, PacketTap]


@pytest.fixture
def taps(site: Site, workloads: Workloads) -> Iterator[Taps]:
    """Hosts that send only the frames of the test."""
    out = [ALL_OUT, {**ALL_OUT, "ethertype": "IPv6"}]
    all_in = [{**rule, "direction": "ingress"} for rule in out]
    site.apply(
        group("shut", *({**rule, "protocol": "tcp", "ports": 1} for rule in out)),
        group("closed", *out),
        group("open", *out, *all_in),
        document("SecurityGroup", "stateless", stateful=False, rules=[*out, *all_in]),
        *(_port(host, security_groups=[name]) for host, name in WORKLOADS.items()),
        _port(TRUSTED, security_groups=[], port_security_enabled=False),
    )
    found = {host: _plug(site, workloads, host) for host in EVERYBODY}
    site.sgctl.wait()
    yield found
    for tap in found.values():
        tap.close()


def _port(host: AttackHost, **more: Any) -> Document:
    addresses = [host.ip, host.ip6]
    return document("Port", host.name, network=NETWORK, mac_address=host.mac, fixed_ips=addresses, **more)


def _plug(site: Site, workloads: Workloads, host: AttackHost) -> PacketTap:
    workload = workloads.by_name[host.name] = Workload(host.name, host.mac)
    declared = f"sgctl-uplink={NETWORK}" if host is OUTSIDE else f"iface-id={host.name}"
    site.ovs.add_port("br0", host.name, f"external_ids:{declared}")
    with workload.inside():
        return PacketTap("eth0")


def stray_packets(
    sender: AttackHost, receiver: AttackHost, payload: int, identifier: int
) -> list[list[bytes]]:
    """One datagram over IPv4 and one over IPv6, in fragments."""
    datagram = UDP(sport=_PORT, dport=_PORT) / (STRAY * (payload // len(STRAY)))
    four = fragment(ip(sender, receiver, id=identifier) / datagram, fragsize=_FRAGMENT_BYTES)
    head = ip6(sender, receiver) / IPv6ExtHdrFragment(id=identifier)
    six = fragment6(head / datagram, _FRAGMENT_BYTES)
    return [[bytes(each) for each in parts] for parts in (four, six)]


def carry(taps: Taps, source_port: int) -> None:
    """Send allowed packets in every direction: new connections, answers, and packets for stateless hosts."""
    pairs = (OPEN, SECOND), (OPEN, OUTSIDE), (STATELESS, SECOND), (STATELESS, OUTSIDE), (OUTSIDE, SECOND)
    for sender, receiver in (*pairs, *((b, a) for a, b in pairs), (TRUSTED, OPEN), (OPEN, TRUSTED)):
        for head in (ip(sender, receiver), ip6(sender, receiver)):
            ports = (source_port, _PORT) if sender.number < receiver.number else (_PORT, source_port)
            taps[sender].send([bytes(head / UDP(sport=ports[0], dport=ports[1]) / CARRIER)])


def strays(taps: Taps, honest: Iterable[AttackHost] = ()) -> list[str]:
    found = []
    for host, tap in taps.items():
        tap.wait(0)
        found += [f"{host.name} got {frame[:60].hex()}" for frame in tap.received if STRAY in frame]
        if host in honest:
            assert any(CARRIER in frame for frame in tap.received), f"{host.name} got no honest packet"
        tap.received.clear()
    return found


def test_expired_fragments_are_dropped(site: Site, taps: Taps) -> None:
    """There are enough fragments that each honest packet after the pause releases some of them."""
    let_fragments_wait(_GIVEN_UP_SECONDS - 1)
    wait_for_no_fragments(_EARLIER_SECONDS)
    sent, before = 0, _given_up_by_kernel()
    ways = (SHUT, CLOSED), (SHUT, OPEN), (SHUT, OUTSIDE), (OUTSIDE, CLOSED)
    for number in range(_LISTS):
        sender, receiver = ways[number % len(ways)]
        for parts in stray_packets(sender, receiver, 4000, 100 + number):
            taps[sender].send(parts[:-1])
            sent += len(parts) - 1
    time.sleep(_GIVEN_UP_SECONDS)
    for source_port in range(10000, 10020):
        carry(taps, source_port)
        time.sleep(0.1)
        assert strays(taps, HONEST) == []
    if DATAPATH is Datapath.KERNEL:
        assert _given_up_by_kernel() - before == _LISTS
    else:
        assert _given_up(site) == sent


def _given_up(site: Site) -> int:
    """How many IPv4 and IPv6 fragments have expired in the userspace datapath."""
    status = site.ovs.appctl("dpctl/ipf-get-status")
    return sum(map(int, re.findall(r"v[46] frags expired: (\d+)", status)))


def _given_up_by_kernel() -> int:
    """How many incomplete IPv4 packets have expired in the kernel."""
    names, numbers = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()[:2])
    return int(numbers[names.index("ReasmTimeout")])


@pytest.fixture
def no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting is for a controller that starts after this."""
    monkeypatch.setenv("SGCTL_FRAGMENT_RATE", "0")


def test_left_over_fragments_of_a_large_packet_are_dropped(no_budget: None, taps: Taps) -> None:
    for number in range(10):
        for sender, receiver in ((SHUT, OPEN), (SHUT, OUTSIDE), (OPEN, CLOSED), (OUTSIDE, CLOSED)):
            for parts in stray_packets(sender, receiver, 60000, 300 + number):
                assert len(parts) > 40
                taps[sender].send(parts)
                carry(taps, 20000 + number)
        time.sleep(0.1)
        assert strays(taps, HONEST) == []
