"""Traffic that needs no rule has a limit per port: a storm is cut, counted, and harms no other port."""

from __future__ import annotations

import subprocess
import time

import pytest

from lab.controller import RYU_MANAGER, Controller
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.packet_tap import PacketTap
from lab.process import wait_until
from lab.site import NETWORK, Site, document, group, mac
from lab.workloads import Workloads
from tests.system.honest import pings
from tests.system.test_drop_counters import drops

pytestmark = pytest.mark.switch

STORM, AT_ONCE = 5000, 250
FRAME_BYTES = 60
RATE, BURST = 128_000, 512_000
"""The default rate in bits per second, and the default burst in bits."""
OVER_BUDGET = ("w1", "from", "CONTROL_BUDGET")
PING = group(
    "pings", *({"direction": way, "ethertype": "IPv4", "protocol": "icmp"} for way in ("egress", "ingress"))
)


@pytest.fixture
def hosts(site: Site) -> list[Workload]:
    site.apply(PING, *(site.port_document(number, ["pings"]) for number in (1, 2, 3)))
    plugged = [site.plug("br0", number) for number in (1, 2, 3)]
    site.sgctl.wait()
    return plugged


def announcement(number: int) -> bytes:
    """Gratuitous ARP (RFC 5227 section 3), padded as on Ethernet."""
    own, address = bytes.fromhex(mac(number).replace(":", "")), bytes([10, 0, 0, number])
    frame = b"\xff" * 6 + own + bytes.fromhex("0806 0001 0800 0604 0001") + own + address + bytes(6) + address
    return frame.ljust(FRAME_BYTES, b"\0")


def storm(attacker: Workload, witness: Workload, frame: bytes) -> tuple[int, float]:
    """Send copies as fast as possible: how many the witness got, and how many seconds it took."""
    with attacker.inside():
        sender = PacketTap("eth0")
    with witness.inside():
        receiver = PacketTap("eth0")
    try:
        begin = time.monotonic()
        for _ in range(STORM // AT_ONCE):
            sender.send([frame] * AT_ONCE)
            receiver.wait(0)
        receiver.wait(0.2)
        return sum(got.startswith(frame) for got in receiver.received), time.monotonic() - begin
    finally:
        sender.close()
        receiver.close()


def test_a_storm_stays_within_the_budget_and_is_counted(site: Site, hosts: list[Workload]) -> None:
    assert OVER_BUDGET not in drops(site)
    arrived, seconds = storm(hosts[0], hosts[1], announcement(1))
    allowed = (BURST + RATE * seconds) / (8 * FRAME_BYTES)
    assert 0 < arrived <= allowed * 1.1
    # On a busy machine most get lost on their way to the switch.
    assert 0 < drops(site)[OVER_BUDGET] <= STORM - arrived
    assert not [who for who in drops(site) if who[2] == "CONTROL_BUDGET" and who != OVER_BUDGET]
    hosts[1].run("ip", "neighbour", "flush", "all")
    assert pings(hosts[1], "10.0.0.3"), "others are not delayed"
    wait_until(lambda: pings(hosts[0], "10.0.0.3"), "the budget has recovered")


def test_the_next_port_with_the_number_does_not_inherit_the_budget(site: Site, hosts: list[Workload]) -> None:
    storm(hosts[0], hosts[1], announcement(1))
    assert OVER_BUDGET in drops(site)
    site.ovs.vsctl("set", "Interface", "w1", "external_ids:iface-id=w2b")
    site.sgctl.wait()
    wait_until(
        lambda: not [who for who in drops(site) if who[2] == "CONTROL_BUDGET"], "the counter is deleted"
    )


def test_the_budget_is_a_setting(ovs: PrivateOvs, workloads: Workloads) -> None:
    options = ["--sgctl-control-rate=16", "--sgctl-control-burst=16"]
    with Controller(ovs.remote, options=options) as controller:
        site = Site(ovs, workloads, controller)
        site.add_bridge("br0")
        site.apply(document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]), PING)
        site.apply(*(site.port_document(number, ["pings"]) for number in (1, 2)))
        attacker, witness = (site.plug("br0", number) for number in (1, 2))
        site.sgctl.wait()
        arrived, seconds = storm(attacker, witness, announcement(1))
    assert 0 < arrived <= (16_000 + 16_000 * seconds) / (8 * FRAME_BYTES) * 1.1


def test_the_switch_makes_meters_again_that_somebody_deletes(site: Site, hosts: list[Workload]) -> None:
    site.ovs.ofctl("del-meters", "br0")  # also deletes the flows that use them
    site.controller.stop()
    site.controller.start()
    site.sgctl.wait()
    storm(hosts[0], hosts[1], announcement(1))
    assert OVER_BUDGET in drops(site)


def test_a_budget_must_be_a_number(site: Site) -> None:
    refused = subprocess.run(
        [RYU_MANAGER, "sgctl", "--sgctl-control-rate=fast"], capture_output=True, text=True, check=False
    )
    assert refused.returncode
    assert "sgctl-control-rate: 'fast'" in refused.stderr
