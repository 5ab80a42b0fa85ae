"""Allowed address pairs that are ranges: a host that uses an address of its range is found everywhere."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import pytest

from lab.netns import Workload
from lab.packet_tap import PacketTap
from lab.site import Site, group
from lab.workloads import Workloads
from tests.system.honest import TALKS, pings, plug_router
from tests.system.test_bridges import wire

pytestmark = pytest.mark.switch

WIDE = ("10.0.0.0/24", "2001:db8::/64")
NARROW = ("10.0.0.64/28", "2001:db8::40/124")
IN_WIDE, IN_NARROW = ("10.0.0.90", "2001:db8::5a"), ("10.0.0.70", "2001:db8::46")
PINGABLE = group(
    "pingable",
    {"direction": "ingress", "protocol": "icmp"},
    {"direction": "ingress", "ethertype": "IPv6", "protocol": "ipv6-icmp"},
)
ASKERS = ("w2", "w3", "router")
"""The hosts that ask: on the same bridge, on another bridge, and behind an uplink."""

Hosts = dict[str, Workload]


@pytest.fixture
def hosts(site: Site, workloads: Workloads) -> Hosts:
    """w1 may use a range that covers all hosts' addresses, w4 a narrower range within it; w3 is on br1."""
    site.add_bridge("br1")
    wire(site, "br0", "br1", "blue")
    ports = {number: site.port_document(number, ["talks", "pingable"]) for number in (1, 2, 3, 4)}
    for number, ranges in ((1, WIDE), (4, NARROW)):
        ports[number]["spec"]["allowed_address_pairs"] = [{"ip_address": each} for each in ranges]
    site.apply(TALKS, PINGABLE, *ports.values())
    hosts = {f"w{number}": site.plug("br1" if number == 3 else "br0", number) for number in ports}
    hosts["router"] = plug_router(site, workloads)
    site.sgctl.wait()
    return hosts


def change(host: Workload, what: str, addresses: Iterable[str]) -> None:
    """Add or delete addresses; the host does not announce them."""
    for address in addresses:
        length, silent = ("64", ["nodad"]) if ":" in address else ("24", [])
        silent = silent if what == "add" else []
        host.run("ip", "address", what, f"{address}/{length}", "dev", "eth0", *silent)


def finders(hosts: Hosts, address: str, askers: Iterable[str] = ASKERS) -> set[str]:
    """The askers that reach the address; each first forgets earlier answers."""
    for asker in askers:
        hosts[asker].run("ip", "neighbour", "flush", "dev", "eth0")
    return {asker for asker in askers if pings(hosts[asker], address)}


def test_an_address_of_a_range_is_found_from_everywhere(hosts: Hosts) -> None:
    for address in IN_WIDE:
        assert not finders(hosts, address, ["w3"]), "no host has the address yet"
    change(hosts["w1"], "add", IN_WIDE)
    for address in IN_WIDE:
        assert finders(hosts, address) == set(ASKERS), address


def test_a_range_hides_neither_hosts_outside_nor_ports_with_single_addresses(hosts: Hosts) -> None:
    with hosts["w1"].inside():
        tap = PacketTap("eth0")
    try:
        for address in ("10.0.0.2", "2001:db8::2"):
            assert finders(hosts, address, ["w3", "router"]) == {"w3", "router"}, address
        tap.wait(0)
        assert not [frame for frame in tap.received if names(frame, "10.0.0.2", "2001:db8::2")]
        for address in ("10.0.0.254", "2001:db8::fe"):
            assert finders(hosts, address, ["w2", "w3"]) == {"w2", "w3"}, address
        tap.wait(0)
        assert [frame for frame in tap.received if names(frame, "10.0.0.254")], "the tap receives frames"
    finally:
        tap.close()


def names(frame: bytes, *addresses: str) -> bool:
    """Whether ARP or neighbour discovery is about one of the addresses."""
    families = ((address, socket.AF_INET6 if ":" in address else socket.AF_INET) for address in addresses)
    packed = [socket.inet_pton(family, address) for address, family in families]
    about = {b"\x08\x06": frame[38:42], b"\x86\xdd": frame[62:78]}
    return about.get(frame[12:14]) in packed


def test_the_narrowest_of_nested_ranges_is_asked(hosts: Hosts) -> None:
    change(hosts["w1"], "add", IN_NARROW)
    for address in IN_NARROW:
        assert not finders(hosts, address, ["w3"]), "w1 gets no request"
    change(hosts["w1"], "delete", IN_NARROW)
    change(hosts["w4"], "add", IN_NARROW)
    for address in IN_NARROW:
        assert finders(hosts, address) == set(ASKERS), address
