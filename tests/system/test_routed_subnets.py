"""Two subnets of one network with a router behind an uplink: hosts of both subnets reach each other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from lab.netns import Workload
from lab.site import Site, connects, document, echoes, group, mac, tcp_in
from lab.workloads import Workloads
from tests.system.honest import TALKS, pings, plug_router
from tests.system.test_address_ranges import PINGABLE
from tests.system.test_bridges import wire

pytestmark = pytest.mark.switch

SUBNETS = ["10.0.0.0/24", "10.0.9.0/24", "2001:db8::/64", "2001:db8:9::/64"]
GATEWAYS = {0: ("10.0.0.254", "2001:db8::fe"), 9: ("10.0.9.254", "2001:db8:9::fe")}
WEB = group(
    "web",
    tcp_in(80),
    tcp_in(80, ethertype="IPv6"),
    {"direction": "ingress", "protocol": "udp", "ports": 53},
)

Hosts = dict[str, Workload]
Sockets = tuple[socket.socket, socket.socket]


def addresses(number: int) -> tuple[str, str]:
    """A workload's addresses; workloads from 9 on are in the second subnet."""
    return (
        (f"10.0.9.{number}", f"2001:db8:9::{number:x}")
        if number >= 9
        else (f"10.0.0.{number}", f"2001:db8::{number:x}")
    )


def port(number: int, *groups: str) -> dict[str, object]:
    return document(
        "Port",
        f"w{number}",
        network="blue",
        mac_address=mac(number),
        fixed_ips=list(addresses(number)),
        security_groups=list(groups),
    )


def plug(workloads: Workloads, bridge: str, number: int) -> Workload:
    """Make a workload that reaches the other subnet only by the router."""
    own = addresses(number)
    host = workloads.plug(bridge, f"w{number}", mac(number), [f"{own[0]}/24", f"{own[1]}/64"])
    for version, gateway in zip(("-4", "-6"), GATEWAYS[9 if number >= 9 else 0], strict=True):
        host.run("ip", version, "route", "add", "default", "via", gateway)
    return host


@pytest.fixture
def hosts(site: Site, workloads: Workloads) -> Hosts:
    """w1 sends, w9 accepts some ports, w2 and w10 have no rules that allow anything; all are on br0."""
    site.apply(document("Network", "blue", subnets=SUBNETS), TALKS, PINGABLE, WEB, group("mute"))
    site.apply(port(1, "talks"), port(9, "talks", "pingable", "web"), port(2, "mute", "web"))
    hosts = {f"w{number}": plug(workloads, "br0", number) for number in (1, 2, 9)}
    gateways = [f"{address}/{64 if ':' in address else 24}" for pair in GATEWAYS.values() for address in pair]
    router = hosts["router"] = plug_router(site, workloads, gateways)
    router.run("sysctl", "-qw", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0")
    site.sgctl.wait()
    return hosts


def test_the_rules_of_both_ends_apply_through_the_router(hosts: Hosts) -> None:
    w1, w2, w9 = hosts["w1"], hosts["w2"], hosts["w9"]
    four, six = addresses(9)
    for address in (four, six):
        assert pings(w1, address), address
        assert pings(w1, address, "-s", "3000"), f"{address}, in fragments"
        assert connects(w1, w9, address, 80), address
        assert not connects(w1, w9, address, 81), address
        assert not pings(w2, address), "w2 may send nothing"
    assert echoes(w1, w9, four, 53)
    assert echoes(w1, w9, four, 53, 3000)
    assert not echoes(w1, w9, four, 54)
    for address in addresses(1):
        assert not pings(w9, address), "w1 allows no connection to it"
        assert not connects(w9, w1, address, 80)
    assert connects(w9, w2, addresses(2)[0], 80)


def test_a_removed_rule_stops_replies_through_the_router(site: Site, hosts: Hosts) -> None:
    with established(hosts["w1"], hosts["w9"], addresses(9)[0]) as (client, server):
        assert carries(client, server)
        assert carries(server, client)
        site.apply(port(9, "talks", "pingable"))
        assert not carries(client, server), "w9 no longer allows it"
        site.apply(port(9, "talks", "pingable", "web"))
        assert carries(client, server)
        site.apply(port(1, "mute"))
        assert not carries(client, server), "w1 may no longer send it"


@contextmanager
def established(source: Workload, target: Workload, address: str) -> Iterator[Sockets]:
    """Two UDP sockets that have exchanged datagrams, at port 53 of the target."""
    with target.inside(), closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
        server.bind((address, 53))
        with source.inside():
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect((address, 53))
        client.send(b"hello")
        server.settimeout(2)
        server.connect(server.recvfrom(100)[1])
        with client:
            yield client, server


def carries(one: socket.socket, other: socket.socket) -> bool:
    """Whether a datagram sent now arrives."""
    one.send(b"data")
    other.settimeout(0.5)
    try:
        return other.recv(100) == b"data"
    except TimeoutError:
        return False


def test_the_router_may_be_behind_another_bridge(site: Site, workloads: Workloads, hosts: Hosts) -> None:
    """w10 is on br1, w1 and the router are on br0: packets for w10 pass through br0 twice."""
    site.add_bridge("br1")
    wire(site, "br0", "br1", "blue")
    site.apply(port(10, "talks", "pingable", "web"), port(3, "talks"))
    w1, w10, w3, w9 = hosts["w1"], plug(workloads, "br1", 10), plug(workloads, "br1", 3), hosts["w9"]
    site.sgctl.wait()
    for address in addresses(10):
        assert pings(w1, address), address
        assert connects(w1, w10, address, 80), address
        assert not connects(w1, w10, address, 81), address
        assert pings(w3, address), f"{address}, both on br1"
    for address in addresses(9):
        assert pings(w3, address), address
    assert not pings(w10, addresses(1)[0]), "w1 allows no connection to it"
    assert connects(w3, w9, addresses(9)[0], 80)


def test_a_stateless_host_communicates_through_the_router(site: Site, hosts: Hosts) -> None:
    both = ("IPv4", "IPv6")
    every = [{"direction": way, "ethertype": each} for way in ("egress", "ingress") for each in both]
    free = group("free", *every)
    free["spec"]["stateful"] = False
    site.apply(free, port(2, "free"))
    for address in addresses(9):
        assert pings(hosts["w2"], address), address
    assert connects(hosts["w2"], hosts["w9"], addresses(9)[0], 80)
    assert not connects(hosts["w2"], hosts["w9"], addresses(9)[0], 81)
    site.apply(port(9, "free"), port(2, "talks"))
    assert pings(hosts["w2"], addresses(9)[0]), "a stateless receiver"
