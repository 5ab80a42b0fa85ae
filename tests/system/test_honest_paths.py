"""Path discovery by hosts: ping, traceroute, and path MTU."""

from __future__ import annotations

import socket
import threading

import pytest

from lab.datapath import DATAPATH, Datapath
from lab.netns import Workload
from lab.process import run
from lab.site import Site, group
from lab.workloads import Workloads
from tests.system.honest import TALKS, pings, plug_router

pytestmark = pytest.mark.switch

FAR4, FAR6 = "198.51.100.2", "2001:db8:1::2"
GATEWAY4, GATEWAY6 = "10.0.0.254", "2001:db8::fe"
NARROW = 1300
"""The MTU of the link behind the router, in bytes."""
JUMBO = 9000
"""An MTU in bytes: 60 KB need 7 fragments. The userspace tracker accepts at most 32."""
_LARGE = 200_000
PING = {"direction": "ingress", "protocol": "icmp", "type": 8}
PING6 = {"direction": "ingress", "ethertype": "IPv6", "protocol": "ipv6-icmp", "type": 128}


@pytest.fixture
def host(site: Site, workloads: Workloads) -> Workload:
    """w1: it may send, no host may open a connection to it. Its router leads to `far` by a narrow link."""
    site.apply(TALKS, group("pingable", PING, PING6))
    site.apply(site.port_document(1, ["talks"]), site.port_document(2, ["talks", "pingable"]))
    host = site.plug("br0", 1)
    router = plug_router(site, workloads)
    far = workloads.by_name["far"] = Workload("far", "02:00:00:00:01:02")
    run(
        [
            "ip",
            "link",
            "add",
            "wide",
            "netns",
            "router",
            "type",
            "veth",
            "peer",
            "name",
            "end",
            "netns",
            "far",
        ]
    )
    for each, device, number in ((router, "wide", 1), (far, "end", 2)):
        each.run("ip", "address", "add", f"198.51.100.{number}/24", "dev", device)
        each.run("ip", "address", "add", f"2001:db8:1::{number}/64", "dev", device, "nodad")
        each.run("ip", "link", "set", device, "up")
    router.run("ip", "link", "set", "wide", "mtu", str(NARROW))
    for each, gateways in ((host, (GATEWAY4, GATEWAY6)), (far, ("198.51.100.1", "2001:db8:1::1"))):
        for version, gateway in zip(("-4", "-6"), gateways, strict=True):
            each.run("ip", version, "route", "add", "default", "via", gateway)
    site.sgctl.wait()
    return host


def test_ping_works_in_both_families_and_in_fragments(site: Site, host: Workload) -> None:
    neighbour = site.plug("br0", 2)
    site.sgctl.wait()
    for address in (GATEWAY4, GATEWAY6, FAR4, FAR6, "10.0.0.2", "2001:db8::2"):
        assert pings(host, address), address
    for address in (GATEWAY4, GATEWAY6, "10.0.0.2", "2001:db8::2"):
        assert pings(host, address, "-s", "3000"), address
    if DATAPATH is Datapath.USERSPACE:
        for each in (host, neighbour):
            each.run("ip", "link", "set", "eth0", "mtu", str(JUMBO))
            run(["ip", "link", "set", each.name, "mtu", str(JUMBO)])
    for address in ("10.0.0.2", "2001:db8::2"):
        answers = host.run("ping", "-c", "3", "-i", "0.2", "-W", "5", "-s", "60000", address)
        assert " 0% packet loss" in answers
    for address in ("10.0.0.1", "2001:db8::1"):
        assert not pings(neighbour, address), address


def test_traceroute_sees_every_hop(host: Workload) -> None:
    options = ["-n", "-q", "1", "-N", "1", "-w", "2", "-m", "4"]
    for far, gateway in ((FAR4, GATEWAY4), (FAR6, GATEWAY6)):
        for method in ("--udp", "--icmp", "--tcp"):
            hops = host.run("traceroute", *options, method, far).splitlines()[1:]
            assert [line.split()[1] for line in hops] == [gateway, far], method


def test_connections_find_the_path_mtu(workloads: Workloads, host: Workload) -> None:
    for far in (FAR4, FAR6):
        transfer(host, workloads.by_name["far"], far)
        assert f"mtu {NARROW}" in host.run("ip", "route", "get", far)


def transfer(host: Workload, server: Workload, far: str) -> None:
    with server.inside():
        listener = socket.create_server((far, 8080), family=socket.AF_INET6 if ":" in far else socket.AF_INET)
    listener.settimeout(5)
    with host.inside():
        sender = socket.socket(socket.AF_INET6 if ":" in far else socket.AF_INET, socket.SOCK_STREAM)
    sender.settimeout(5)
    with listener, sender:
        sender.connect((far, 8080))
        receiver, _ = listener.accept()
        threading.Thread(target=sender.sendall, args=(bytes(_LARGE),), daemon=True).start()
        assert _received(receiver, _LARGE) == _LARGE


def _received(receiver: socket.socket, wanted: int) -> int:
    receiver.settimeout(5)
    count = 0
    with receiver:
        while count < wanted:
            count += len(receiver.recv(1 << 16))
    return count
