"""Hosts that configure their addresses automatically, with the usual programs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lab.netns import Workload
from lab.packet_tap import PacketTap
from lab.probe_frames import internet_checksum
from lab.process import wait_until
from lab.site import Site
from lab.workloads import Workloads
from tests.system.honest import (
    TALKS,
    as_by_standard,
    has,
    pings,
    plug_bare,
    plug_router,
    plug_trusted_router,
    program,
)

pytestmark = pytest.mark.switch

ALL_MLD_ROUTERS = bytes.fromhex("333300000016")
SLAAC = "2001:db8::ff:fe00:1"
"""The address that workload 1 derives from the prefix and its MAC."""

CLIENT_SCRIPT = """#!/bin/sh
case $reason in
    PREINIT) ip link set "$interface" up ;;
    BOUND | RENEW | REBIND) ip address replace "$new_ip_address/24" dev "$interface" ;;
    BOUND6 | RENEW6 | REBIND6) ip address replace "$new_ip6_address/64" dev "$interface" nodad ;;
esac
exit 0
"""

ADVERTISE = """interface eth0 {
    AdvSendAdvert on;
    MinRtrAdvInterval 200;
    MaxRtrAdvInterval 600;
    prefix 2001:db8::/64 { AdvOnLink on; AdvAutonomous on; };
};
"""


@pytest.fixture(params=[plug_router, plug_trusted_router], ids=["uplink", "port-without-security"])
def router(request: pytest.FixtureRequest, site: Site, workloads: Workloads) -> Workload:
    site.apply(TALKS, site.port_document(1, ["talks"]))
    plugged: Workload = request.param(site, workloads)
    return plugged


def server(*ranges: str) -> list[str]:
    """The command for dnsmasq that leases the one address of each range."""
    options = ["--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--user=root"]
    options += ["--no-ping", "--leasefile-ro", "--dhcp-authoritative", "--log-dhcp"]
    return ["dnsmasq", *options, *(f"--dhcp-range={leased}" for leased in ranges)]


def client(folder: Path, *options: str) -> list[str | Path]:
    """The command for dhclient; its files are in `folder`."""
    script = folder / "script"
    script.write_text(CLIENT_SCRIPT)
    script.chmod(0o755)
    files: list[str | Path] = ["-sf", script, "-lf", folder / "leases", "-pf", folder / "pid"]
    return ["dhclient", "-d", *options, *files, "eth0"]


def test_a_host_gets_and_releases_a_dhcp_lease(
    site: Site, workloads: Workloads, router: Workload, tmp_path: Path
) -> None:
    host, log = plug_bare(workloads, 1), tmp_path / "server.log"
    site.sgctl.wait()
    with program(router, log, *server("10.0.0.1,10.0.0.1,255.255.255.0,1h")):
        with program(host, tmp_path / "client.log", *client(tmp_path, "-4", "-1")):
            wait_until(lambda: has(host, "10.0.0.1"), "a lease")
            assert pings(host, "10.0.0.254")
        host.run(*map(str, client(tmp_path, "-4", "-r")))
        wait_until(lambda: "DHCPRELEASE" in log.read_text(), "the release, which goes to the server alone")


def test_a_host_gets_a_dhcpv6_address(
    site: Site, workloads: Workloads, router: Workload, tmp_path: Path
) -> None:
    host = plug_bare(workloads, 1)
    site.sgctl.wait()
    with (
        program(router, tmp_path / "server.log", *server("2001:db8::1,2001:db8::1,64,1h")),
        program(host, tmp_path / "client.log", *client(tmp_path, "-6", "-1")),
    ):
        wait_until(lambda: has(host, "2001:db8::1"), "a lease")
        assert pings(host, "2001:db8::fe")


def test_a_host_makes_its_address_from_a_router_advertisement(
    site: Site, workloads: Workloads, router: Workload, tmp_path: Path
) -> None:
    port = site.port_document(1, ["talks"])
    port["spec"]["fixed_ips"] = [SLAAC]
    site.apply(port)
    host, settings = plug_bare(workloads, 1), tmp_path / "radvd.conf"
    site.sgctl.wait()
    settings.write_text(ADVERTISE)
    options = ["--nodaemon", "--username=root", "--logmethod=stderr", "--pidfile", str(tmp_path / "pid")]
    with program(router, tmp_path / "radvd.log", "radvd", *options, "--config", settings):
        as_by_standard(host)
        wait_until(lambda: has(host, SLAAC), "its SLAAC address")
        assert "default via fe80::ff:fe00:fe" in host.run("ip", "-6", "route")
        assert pings(host, "2001:db8::fe")


def test_duplicate_address_detection_finds_no_conflict_for_own_addresses(
    site: Site, workloads: Workloads, router: Workload
) -> None:
    site.apply(site.port_document(2, ["talks"]))
    hosts = plug_bare(workloads, 1), plug_bare(workloads, 2)
    site.sgctl.wait()
    for host, number in zip(hosts, (1, 2), strict=True):
        as_by_standard(host)
        host.run("ip", "address", "add", f"2001:db8::{number}/64", "dev", "eth0")
    for host, number in zip(hosts, (1, 2), strict=True):
        wait_until(lambda: has(host, f"2001:db8::{number}"), "the address")  # noqa: B023 - called at once
        assert has(host, f"fe80::ff:fe00:{number}")
        assert pings(host, "2001:db8::fe")


def test_hosts_outside_detect_the_addresses_of_local_ports(
    site: Site, workloads: Workloads, router: Workload
) -> None:
    site.plug("br0", 1)
    site.sgctl.wait()
    router.run("sysctl", "-qw", "net.ipv6.conf.eth0.forwarding=0")
    as_by_standard(router)
    router.run("ip", "address", "add", "2001:db8::1/64", "dev", "eth0")
    wait_until(lambda: "dadfailed" in router.run("ip", "address", "show", "dev", "eth0"), "a refusal")


def test_routers_receive_multicast_listener_reports(
    site: Site, workloads: Workloads, router: Workload
) -> None:
    host = plug_bare(workloads, 1)
    site.sgctl.wait()
    with router.inside():
        tap = PacketTap("eth0")
    with host.inside():
        listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        index = socket.if_nametoindex("eth0")
    try:
        membership = socket.inet_pton(socket.AF_INET6, "ff05::abcd") + index.to_bytes(4, "little")
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        wait_until(lambda: reports(tap, "ff05::abcd"), "the listener report")
        tap.received.clear()
        tap.send([general_query()])
        wait_until(lambda: reports(tap, "ff05::abcd"), "the answer to a query")
    finally:
        listener.close()
        tap.close()


def reports(tap: PacketTap, group: str) -> bool:
    """Whether a listener report (MLDv2) names the group."""
    tap.wait(0.05)
    address = socket.inet_pton(socket.AF_INET6, group)
    return any(frame.startswith(ALL_MLD_ROUTERS) and address in frame for frame in tap.received)


def general_query() -> bytes:
    """An MLDv2 query from the router's link-local address, answered within 0.1 s (RFC 3810 section 5.1)."""
    source = socket.inet_pton(socket.AF_INET6, "fe80::ff:fe00:fe")
    everybody = socket.inet_pton(socket.AF_INET6, "ff02::1")
    router_alert = bytes.fromhex("3a00050200000100")
    query = bytes.fromhex("8200000000640000") + bytes(16) + bytes.fromhex("02000000")
    checksum = _icmpv6_checksum(source, everybody, query)
    query = query[:2] + checksum.to_bytes(2, "big") + query[4:]
    head = bytes.fromhex("60000000") + (len(router_alert) + len(query)).to_bytes(2, "big") + bytes([0, 1])
    macs = bytes.fromhex("333300000001") + bytes.fromhex("0200000000fe")
    return macs + b"\x86\xdd" + head + source + everybody + router_alert + query


def _icmpv6_checksum(source: bytes, destination: bytes, message: bytes) -> int:
    pseudo = source + destination + len(message).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    return internet_checksum(pseudo + message)
