"""Hosts behind a port without port security: a nested bridge, whose MACs the policy does not know."""

from __future__ import annotations

from itertools import islice

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from flows.openflow.numbers import FDB_LIMIT
from flows.openflow.pipeline import FDB
from lab.netns import Workload
from lab.packet_tap import PacketTap
from lab.process import wait_until
from lab.site import Site, connects, document, group, mac, tcp_in
from lab.workloads import Workloads
from tests.system.honest import TALKS, pings, plug_router
from tests.system.test_address_ranges import PINGABLE
from tests.system.test_bridges import wire

pytestmark = pytest.mark.switch

INNER_MAC = "02:00:00:00:05:01"
INNER = ("10.0.0.50", "2001:db8::50")


@pytest.fixture
def inner(site: Site, workloads: Workloads) -> Workload:
    """A host behind w5, which has a nested bridge. There is no uplink. w1 and w3 answer requests."""
    unsecured = {"security_groups": [], "port_security_enabled": False, "fixed_ips": []}
    site.apply(
        TALKS,
        PINGABLE,
        group("web", tcp_in(80)),
        *(site.port_document(number, ["talks", "pingable", "web"]) for number in (1, 3)),
        document("Port", "w5", network="blue", mac_address=mac(5), **unsecured),
    )
    host = workloads.plug("br0", "w5", mac(5), [])
    addresses = [f"{INNER[0]}/24", f"{INNER[1]}/64"]
    inner = workloads.by_name["inner"] = Workload("inner", INNER_MAC, addresses, host)
    for command in (
        "link add nest type bridge forward_delay 0",
        "link set nest up",
        "link set inner master nest",
        "link set eth0 master nest",
    ):
        host.run("ip", *command.split())
    return inner


def reach_each_other(one: Workload, addresses: tuple[str, str], inner: Workload) -> None:
    """Check pings in both directions over IPv4 and IPv6, and TCP connections."""
    for address in INNER:
        assert pings(one, address), address
    for address in addresses:
        assert pings(inner, address), address
    assert connects(one, inner, INNER[0], 8080)


def test_hosts_behind_the_port_are_reached(site: Site, workloads: Workloads, inner: Workload) -> None:
    near = site.plug("br0", 1)
    site.sgctl.wait()
    reach_each_other(near, ("10.0.0.1", "2001:db8::1"), inner)
    assert connects(inner, near, "10.0.0.1", 80)
    assert not connects(inner, near, "10.0.0.1", 81), "w1's rules hold"
    site.add_bridge("br1")
    wire(site, "br0", "br1", "blue")
    far, router = site.plug("br1", 3), plug_router(site, workloads)
    site.sgctl.wait()
    reach_each_other(far, ("10.0.0.3", "2001:db8::3"), inner)
    assert not connects(inner, far, "10.0.0.3", 81), "w3's rules hold"
    reach_each_other(router, ("10.0.0.254", "2001:db8::fe"), inner)


def test_many_macs_behind_the_port_affect_only_that_port(
    site: Site, inner: Workload, workloads: Workloads
) -> None:
    near, router = site.plug("br0", 1), plug_router(site, workloads)
    site.sgctl.wait()
    with workloads.by_name["w5"].inside():
        tap = PacketTap("eth0")
    frame = bytes(Ether(src="02:77:00:00:00:00", dst=mac(1)) / IP(src="192.0.2.1", dst="10.0.0.1") / UDP())
    sources = (b"\x02\x77" + number.to_bytes(4) for number in range(8 * FDB_LIMIT))

    def full() -> bool:
        """Send more frames: a full socket drops frames without an error."""
        tap.send(frame[:6] + source + frame[12:] for source in islice(sources, 1024))
        return learned(site) >= FDB_LIMIT - 5  # w5 also has MACs

    try:
        wait_until(full, "the learned MACs reach their limit", timeout=150)
    finally:
        tap.close()
    assert pings(router, "10.0.0.1"), "other ports are not affected"
    assert pings(near, "10.0.0.254")
    assert learned(site) <= FDB_LIMIT


def learned(site: Site) -> int:
    """How many MACs the switch has learned behind w5."""
    flows = site.ovs.ofctl("dump-flows", "br0", f"table={FDB.id}").splitlines()
    return sum("dl_dst=02:77:" in flow for flow in flows)
