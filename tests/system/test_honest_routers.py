"""A virtual router of keepalived on two workloads that share an address by an allowed address pair."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.netns import Workload
from lab.process import wait_until
from lab.site import Site, connects, group, tcp_in
from lab.workloads import Workloads
from tests.system.honest import TALKS, has, keepalived, pings, plug_router, program

pytestmark = pytest.mark.switch

SHARED = "10.0.0.100"
VRRP = {"direction": "ingress", "protocol": "vrrp", "remote_group": "routers"}
PING = {"direction": "ingress", "protocol": "icmp", "type": 8}


@pytest.fixture
def pair(site: Site, workloads: Workloads) -> tuple[Workload, Workload]:
    """w1 and w2, which may both use the shared address; w3 is a neighbour."""
    site.apply(TALKS, group("routers", VRRP, PING, tcp_in(80)))
    ports = [site.port_document(number, ["talks", "routers"]) for number in (1, 2)]
    for port in ports:
        port["spec"]["allowed_address_pairs"] = [{"ip_address": SHARED}]
    site.apply(*ports, site.port_document(3, ["talks"]))
    return site.plug("br0", 1), site.plug("br0", 2)


@pytest.fixture
def neighbour(site: Site, pair: tuple[Workload, Workload]) -> Workload:
    third = site.plug("br0", 3)
    site.sgctl.wait()
    return third


@pytest.fixture
def routers(
    pair: tuple[Workload, Workload], neighbour: Workload, tmp_path: Path
) -> Iterator[tuple[Workload, Workload]]:
    """keepalived runs on both; w1 has the higher priority and gets the address."""
    with ExitStack() as running:
        for host, priority in zip(pair, (150, 100), strict=True):
            command = keepalived(tmp_path / host.name, priority, SHARED)
            running.enter_context(program(host, tmp_path / f"{host.name}.log", *command))
        wait_until(lambda: has(pair[0], SHARED) and not has(pair[1], SHARED), "a master")
        yield pair


def test_the_shared_address_moves_when_its_host_fails(
    routers: tuple[Workload, Workload], neighbour: Workload
) -> None:
    master, backup = routers
    assert pings(neighbour, SHARED)
    assert connects(neighbour, master, SHARED, 80)
    assert not has(backup, SHARED)
    master.run("ip", "link", "set", "eth0", "down")
    wait_until(lambda: has(backup, SHARED), "the failover")
    assert pings(neighbour, SHARED)
    assert connects(neighbour, backup, SHARED, 80)
    master.run("ip", "link", "set", "eth0", "up")
    wait_until(lambda: has(master, SHARED) and not has(backup, SHARED), "the failback")
    assert pings(neighbour, SHARED)
    assert connects(neighbour, master, SHARED, 80)


def test_hosts_outside_reach_the_shared_address_after_it_moves(
    site: Site, workloads: Workloads, routers: tuple[Workload, Workload]
) -> None:
    outside = plug_router(site, workloads)
    site.sgctl.wait()
    master, backup = routers
    assert pings(outside, SHARED)
    master.run("ip", "link", "set", "eth0", "down")
    wait_until(lambda: has(backup, SHARED), "the failover")
    assert pings(outside, SHARED)


def test_without_a_rule_for_vrrp_both_routers_become_master(
    site: Site, pair: tuple[Workload, Workload], neighbour: Workload, tmp_path: Path
) -> None:
    site.apply(group("routers", PING))
    with ExitStack() as running:
        for host, priority in zip(pair, (150, 100), strict=True):
            command = keepalived(tmp_path / host.name, priority, SHARED)
            running.enter_context(program(host, tmp_path / f"{host.name}.log", *command))
        wait_until(lambda: has(pair[0], SHARED) and has(pair[1], SHARED), "two masters")
