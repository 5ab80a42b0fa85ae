"""A flood in one network: the effects when a zone of the connection tracker is full."""

from __future__ import annotations

import re
import socket

import pytest

from lab.background_traffic import Datagrams, Stream
from lab.datapath import Datapath
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.process import wait_until
from lab.site import ALL_OUT, Site, connects, document, group, tcp_in

pytestmark = pytest.mark.switch

LIMIT = 50
FLOOD = 500
VICTIM_PORT, CLOSED_PORT = 6000, 6001


@pytest.fixture
def crowd(site: Site) -> tuple[Workload, ...]:
    """w1 and w2 in `blue`; w3 and w4 in `green`, which has a limit. Servers take TCP 80 and UDP 6000."""
    udp = {"direction": "ingress", "protocol": "udp", "ports": VICTIM_PORT}
    ports = [site.port_document(number, ["client" if number % 2 else "server"]) for number in (1, 2, 3, 4)]
    for port in ports[2:]:
        port["spec"]["network"] = "green"
    site.apply(
        document("Network", "green", subnets=["10.0.0.0/24", "2001:db8::/64"], connection_limit=LIMIT),
        group("client", ALL_OUT),
        group("server", tcp_in(80), udp),
        *ports,
    )
    workloads = tuple(site.plug("br0", number) for number in (1, 2, 3, 4))
    site.sgctl.wait()
    return workloads


def flood(source: Workload, address: str, port: int) -> None:
    """Send one datagram on each of many connections."""
    for _ in range(FLOOD):
        with source.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"flood", (address, port))


def connections(site: Site, limit: int = LIMIT) -> list[int]:
    """How many connections each zone with this limit has, by zone.

    The kernel's own count in `ct-get-limits` includes refused connections until they are cleaned up.
    """
    zones = re.findall(rf"zone=(\d+),limit={limit},", limits(site))
    tables = (site.ovs.appctl("dpctl/dump-conntrack", f"zone={zone}") for zone in zones)
    return [len(table.splitlines()) for table in tables]


def limits(site: Site) -> str:
    return site.ovs.appctl("dpctl/ct-get-limits")


def test_flood_fills_its_own_zone_only(site: Site, crowd: tuple[Workload, ...]) -> None:
    client, server, attacker, victim = crowd
    with Stream(client, server, "10.0.0.2", 80) as stream:
        flood(attacker, "10.0.0.4", VICTIM_PORT)
        assert connections(site) == [LIMIT]
        assert stream.flows()
    assert connects(client, server, "10.0.0.2", 8080) is False
    with Datagrams(client, server, "10.0.0.2", VICTIM_PORT) as datagrams:
        flood(attacker, "10.0.0.4", VICTIM_PORT)
        assert datagrams.lost() == 0
    assert not connects(attacker, victim, "10.0.0.4", 80), "the zone is full: its own new connections wait"


def test_a_full_zone_lets_no_denied_packet_through(site: Site, crowd: tuple[Workload, ...]) -> None:
    _, _, attacker, victim = crowd
    flood(attacker, "10.0.0.4", VICTIM_PORT)
    assert connections(site) == [LIMIT]
    with victim.inside():
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("10.0.0.4", CLOSED_PORT))
    with listener:
        flood(attacker, "10.0.0.4", CLOSED_PORT)
        listener.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listener.recv(100)


@pytest.fixture
def three_networks(site: Site) -> tuple[Workload, ...]:
    """A client and a server in each of `blue`, `green` and `red`, which set no limit."""
    udp = {"direction": "ingress", "protocol": "udp", "ports": VICTIM_PORT}
    names = ("blue", "green", "red")
    ports = [site.port_document(number, ["client" if number % 2 else "server"]) for number in range(1, 7)]
    for number, port in enumerate(ports):
        port["spec"]["network"] = names[number // 2]
    others = (document("Network", name, subnets=["10.0.0.0/24", "2001:db8::/64"]) for name in names[1:])
    site.apply(*others, group("client", ALL_OUT), group("server", tcp_in(80), udp), *ports)
    workloads = tuple(site.plug("br0", number) for number in range(1, 7))
    site.sgctl.wait()
    return workloads


@pytest.mark.only_on(Datapath.USERSPACE, "a small tracker is made by its own command")
def test_no_network_fills_the_tracker_of_the_others(
    site: Site, ovs: PrivateOvs, three_networks: tuple[Workload, ...]
) -> None:
    size = 200
    ovs.appctl("dpctl/ct-set-maxconns", str(size))
    site.controller.stop()
    site.controller.start()
    site.sgctl.wait()
    wait_until(
        lambda: limits(site).count(f"limit={size // 4}") == 3, "equal shares, and one share that stays free"
    )
    blue, blue_server, green, _, red, red_server = three_networks
    flood(blue, "10.0.0.2", VICTIM_PORT)
    flood(green, "10.0.0.4", VICTIM_PORT)
    assert connections(site, size // 4)[:2] == [size // 4] * 2
    assert connects(red, red_server, "10.0.0.6", 80), "two of three together do not stop the third"
    assert not connects(blue, blue_server, "10.0.0.2", 80), "its own new connections wait"
    ovs.kill_switch()
    ovs.start_switch()
    default_size = int(ovs.appctl("dpctl/ct-get-maxconns"))
    wait_until(lambda: limits(site).count(f"limit={default_size // 4}") == 3, "after a restart as well")
