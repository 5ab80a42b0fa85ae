"""Fragments wait in the connection tracker, which holds only a few: no port uses up the memory of others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab.attack import SHARED_MAC, AttackHost
from lab.controller import Controller
from lab.datapath import Datapath, let_fragments_wait, wait_for_no_fragments
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.packet_tap import PacketTap
from lab.process import wait_until
from lab.scenario.model import Document
from lab.site import ALL_OUT, Site, document, group
from lab.workloads import Workloads
from tests.system.test_drop_counters import drops

pytestmark = pytest.mark.switch

BARE = AttackHost("bare", 1, "workload without a rule")
NOISY = AttackHost("noisy", 2, "workload that may send and get everything")
STATELESS = AttackHost("stateless", 3, "the same, without connections")
TRUSTED = AttackHost("trusted", 4, "port without port security")
PAIRED = AttackHost("paired", 5, "workload that shares a MAC")
PARTNER = AttackHost("partner", 6, "workload that shares it, too")
SENDER = AttackHost("sender", 7, "workload in another network")
RECEIVER = AttackHost("receiver", 8, "another one there")
OUTSIDE = AttackHost("outside", 200, "behind the uplink")
EVERYBODY = (BARE, NOISY, STATELESS, TRUSTED, PAIRED, PARTNER, SENDER, RECEIVER, OUTSIDE)
GROUPS = {BARE: ["bare"], STATELESS: ["stateless"], TRUSTED: []}
OTHERS = (SENDER, RECEIVER)
SUBNETS = ["10.0.0.0/24", "2001:db8::/64"]
JOINED_BY_A_ROUTER = ["10.0.9.0/24", "2001:db8:9::/64"]
OUT = [ALL_OUT, {**ALL_OUT, "ethertype": "IPv6"}]
IN_AND_OUT = [*OUT, *({**rule, "direction": "ingress"} for rule in OUT)]
FLOOD, AT_ONCE = 6000, 40
"""First fragments: more than a tracker takes: 5,000 in userspace, in the kernel 4 MB for each family."""
PAYLOAD, FRAGMENT_BYTES = 4000, 1400
_PATIENCE, _SHORT_PATIENCE = 5.0, 0.5
_GIVEN_UP_SECONDS = 60.0

Taps = dict[AttackHost, PacketTap]
Drop = tuple[str, str, str]


@pytest.fixture(autouse=True)
def fragments_wait() -> Iterator[None]:
    """Sets Linux's default timeout of IPv4 fragments, whatever earlier tests have set.

    Fragments of one test do not use up the memory for another test.
    """
    let_fragments_wait(30)
    wait_for_no_fragments(_GIVEN_UP_SECONDS)
    yield
    wait_for_no_fragments(_GIVEN_UP_SECONDS)


@pytest.fixture
def taps(site: Site, workloads: Workloads) -> Iterator[Taps]:
    found = _build(site, workloads)
    yield found
    _close(found)


def _build(site: Site, workloads: Workloads) -> Taps:
    """Hosts that send only the frames of the test."""
    site.apply(
        document("Network", "blue", subnets=[*SUBNETS, *JOINED_BY_A_ROUTER]),
        document("Network", "green", subnets=SUBNETS),
        group("bare"),
        group("open", *IN_AND_OUT),
        document("SecurityGroup", "stateless", stateful=False, rules=IN_AND_OUT),
        *(_port(host) for host in EVERYBODY if host is not OUTSIDE),
    )
    found = {host: _plug(site, workloads, host) for host in EVERYBODY}
    site.sgctl.wait()
    return found


def _close(taps: Taps) -> None:
    for tap in taps.values():
        tap.close()


def _port(host: AttackHost) -> Document:
    more: dict[str, Any] = {"security_groups": GROUPS.get(host, ["open"])}
    if host is TRUSTED:
        more["port_security_enabled"] = False
    if host in (PAIRED, PARTNER):
        more["allowed_address_pairs"] = [{"ip_address": "10.0.0.100", "mac_address": SHARED_MAC}]
    network, addresses = "green" if host in OTHERS else "blue", [host.ip, host.ip6]
    return document("Port", host.name, network=network, mac_address=host.mac, fixed_ips=addresses, **more)


def _plug(site: Site, workloads: Workloads, host: AttackHost) -> PacketTap:
    workload = workloads.by_name[host.name] = Workload(host.name, host.mac)
    declared = "sgctl-uplink=blue" if host is OUTSIDE else f"iface-id={host.name}"
    site.ovs.add_port("br0", host.name, f"external_ids:{declared}")
    with workload.inside():
        return PacketTap("eth0")


class Flow(NamedTuple):
    """A stream of packets; its addresses need not be the sender's."""

    sender: AttackHost
    receiver: AttackHost
    mac: str = ""
    claims: AttackHost | None = None

    def large(self, identifier: int) -> list[list[bytes]]:
        """One datagram for IPv4, one for IPv6, in fragments."""
        source = self.claims or self.sender
        ethernet = Ether(src=self.sender.mac, dst=self.mac or self.receiver.mac)
        datagram = UDP(sport=7, dport=7) / Raw(bytes(PAYLOAD))
        head = IP(src=source.ip, dst=self.receiver.ip, id=identifier)
        four = fragment(head / datagram, fragsize=FRAGMENT_BYTES)
        head = IPv6(src=source.ip6, dst=self.receiver.ip6) / IPv6ExtHdrFragment(id=identifier)
        six = fragment6(head / datagram, FRAGMENT_BYTES)
        return [[bytes(ethernet / each) for each in parts] for parts in (four, six)]

    def flood(self, taps: Taps) -> None:
        """First fragments of datagrams that never become whole, IPv4 and IPv6 by turns."""
        parts = self.large(0)
        frames = [_renumbered(parts[number % 2][0], 1000 + number) for number in range(FLOOD)]
        for start in range(0, len(frames), AT_ONCE):
            taps[self.sender].send(frames[start : start + AT_ONCE])
            time.sleep(0.01)

    def passes(self, taps: Taps, identifier: int, four: bool = True, six: bool = True) -> bool:
        """Whether a large datagram gets to its receiver as expected, for IPv4 and for IPv6."""
        parts = zip(self.large(identifier), (four, six), strict=True)
        return all(self._arrives(taps, frames, expected) is expected for frames, expected in parts)

    def _arrives(self, taps: Taps, frames: list[bytes], expected: bool) -> bool:
        tap = taps[self.receiver]
        tap.wait(0)
        tap.received.clear()
        taps[self.sender].send(frames)
        deadline = time.monotonic() + (_PATIENCE if expected else _SHORT_PATIENCE)
        kind = frames[0][:14]  # addresses and ethertype; the kernel cuts the datagram anew

        def got() -> int:
            return sum(frame.startswith(kind) for frame in tap.received)

        while got() < len(frames) and time.monotonic() < deadline:
            tap.wait(deadline - time.monotonic())
        return got() == len(frames)


def _renumbered(frame: bytes, identifier: int) -> bytes:
    """The fragment with another identification."""
    if frame[12:14] == bytes.fromhex("0800"):
        header = IP(frame[14:34])
        header.id, header.chksum = identifier, None
        return frame[:14] + bytes(header)[:20] + frame[34:]
    return frame[:58] + identifier.to_bytes(4) + frame[62:]


HONEST = Flow(SENDER, RECEIVER)
NETWORK: Drop = ("network blue", "both", "NETWORK_FRAGMENT_BUDGET")
FLOODS: dict[Flow, Drop] = {
    Flow(BARE, NOISY): ("bare", "from", "EGRESS_FRAGMENT"),
    Flow(OUTSIDE, BARE): ("bare", "to", "INGRESS_FRAGMENT"),
    Flow(STATELESS, BARE): ("bare", "to", "INGRESS_FRAGMENT"),
    Flow(NOISY, OUTSIDE): ("noisy", "both", "FRAGMENT_BUDGET"),
    Flow(OUTSIDE, PARTNER): ("partner", "both", "FRAGMENT_BUDGET"),
    Flow(STATELESS, NOISY): ("stateless", "both", "FRAGMENT_BUDGET"),
    Flow(TRUSTED, NOISY): ("trusted", "both", "FRAGMENT_BUDGET"),
    Flow(OUTSIDE, PAIRED, mac=SHARED_MAC): NETWORK,
    Flow(OUTSIDE, NOISY, claims=PAIRED): NETWORK,
}
"""What stops each; a few pass, and wait in the tracker."""


def test_no_network_uses_up_the_fragment_memory_of_another(site: Site, taps: Taps) -> None:
    """The floods follow each other, so the test also covers their sum."""
    assert HONEST.passes(taps, 7)
    assert Flow(NOISY, OUTSIDE).passes(taps, 8)
    assert Flow(OUTSIDE, PAIRED).passes(taps, 9)
    for number, (flow, drop) in enumerate(FLOODS.items(), start=10):
        before = drops(site).get(drop, 0)
        flow.flood(taps)
        assert HONEST.passes(taps, number), flow
        assert drops(site)[drop] - before > FLOOD / 2, flow


def test_fragments_pass_as_soon_as_a_rule_could_let_them(site: Site, taps: Taps) -> None:
    assert Flow(BARE, OUTSIDE).passes(taps, 7, four=False, six=False)
    assert Flow(OUTSIDE, BARE).passes(taps, 8, four=False, six=False)
    site.apply(group("bare", ALL_OUT))
    site.sgctl.wait()
    assert Flow(BARE, OUTSIDE).passes(taps, 9, six=False)
    site.apply(group("bare", {**ALL_OUT, "direction": "ingress", "ethertype": "IPv6"}))
    site.sgctl.wait()
    assert Flow(OUTSIDE, BARE).passes(taps, 10, four=False)
    assert {("bare", "from", "EGRESS_FRAGMENT"), ("bare", "to", "INGRESS_FRAGMENT")} <= drops(site).keys()


def test_the_budget_is_a_setting(ovs: PrivateOvs, workloads: Workloads) -> None:
    """Without a limit, the same flood uses up the memory: only the limit prevented that."""
    with Controller(ovs.remote, options=["--sgctl-fragment-rate=0"]) as controller:
        site = Site(ovs, workloads, controller)
        site.add_bridge("br0")
        found = _build(site, workloads)
        Flow(NOISY, OUTSIDE).flood(found)
        assert ("noisy", "both", "FRAGMENT_BUDGET") not in drops(site)
        assert not HONEST.passes(found, 9)
        _close(found)


@pytest.mark.only_on(Datapath.USERSPACE, "the kernel's limits are its own")
def test_the_fragment_memory_is_larger_than_by_default(site: Site, taps: Taps, ovs: PrivateOvs) -> None:
    def room() -> bool:
        return "max num frags (v4/v6): 5000" in ovs.appctl("dpctl/ipf-get-status")

    assert room()
    ovs.kill_switch()
    ovs.start_switch()
    wait_until(room, "after a restart as well")
