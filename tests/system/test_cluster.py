"""Two hosts, each with its own controller, one policy on three servers of which one dies now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random

import pytest

from lab.cluster import Cluster
from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.policy_cli import PolicyCli
from lab.scenario.model import Document
from lab.site import ALL_OUT, document, group, mac, tcp_in

pytestmark = pytest.mark.switch

DEATHS = 4


class Host:
    """A simulated switch with workload `number` and an uplink, and its controller."""

    def __init__(self, stack: ExitStack, cluster: Cluster, number: int) -> None:
        self.ovs = stack.enter_context(PrivateOvs(dummy=True))
        self.ovs.vsctl("set", "Open_vSwitch", ".", f"external_ids:system-id=host{number}")
        controller = stack.enter_context(Controller(self.ovs.remote, cluster.remote))
        self.ovs.add_bridge("br0", "fail_mode=secure", "protocols=OpenFlow14")
        self.ovs.vsctl("set-controller", "br0", controller.target)
        self.ovs.add_port("br0", f"w{number}", f"external_ids:iface-id=w{number}")
        self.ovs.add_port("br0", "up", "external_ids:sgctl-uplink=blue")
        self.sgctl = PolicyCli(controller.environment)

    def holds(self, address: str) -> bool:
        """Whether the switch knows an address as a member of a remote group."""
        flows = self.ovs.ofctl("dump-flows", "br0", "table=71")
        return f"nw_src={address}" in flows


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
def hosts(cluster: Cluster) -> Iterator[tuple[Host, Host]]:
    with ExitStack() as stack:
        yield Host(stack, cluster, 1), Host(stack, cluster, 2)


def port(number: int, *groups: str) -> Document:
    address = f"10.0.0.{number}"
    spec = {"network": "blue", "mac_address": mac(number), "fixed_ips": [address]}
    return document("Port", f"w{number}", security_groups=list(groups), **spec)


def test_remote_groups_span_hosts_while_members_die(cluster: Cluster, hosts: tuple[Host, Host]) -> None:
    first, second = hosts
    first.sgctl.apply(
        [
            document("Network", "blue", subnets=["10.0.0.0/24"]),
            group("client", ALL_OUT),
            group("server", tcp_in(80, remote_group="client")),
            port(1, "client"),
            port(2, "server"),
        ]
    )
    first.sgctl.wait()
    assert second.holds("10.0.0.1")
    assert not second.holds("10.0.0.9")

    random, ports = Random(3), []
    for round_number in range(DEATHS):
        victim = random.choice(cluster.members)
        if round_number % 2 == 0:
            victim = next(member for member in cluster.members if member.leads)
        victim.kill()
        for step in range(2):
            ports.append(8000 + 10 * round_number + step)
            rules = [tcp_in(number, remote_group="client") for number in [80, *ports]]
            (first, second)[step].sgctl.apply([group("server", *rules)])
        first.sgctl.wait()
        victim.start()
        victim.wait_joined()
    for host in hosts:
        assert host.sgctl("verify") == "br0: as expected\n"
    assert f"tp_dst={ports[-1]}" in second.ovs.ofctl("dump-flows", "br0", "table=73")
    for member in cluster.members:
        held = {line.split()[-1] for line in member.dump("Rule", "port_range_min")}
        assert held >= set(map(str, ports)), "every member has all that was acknowledged"


def test_takeover_of_the_leader_is_quick(cluster: Cluster, hosts: tuple[Host, Host]) -> None:
    first, _ = hosts
    first.sgctl.apply([document("Network", "blue", subnets=["10.0.0.0/24"])])
    first.sgctl.wait()
    next(member for member in cluster.members if member.leads).kill()
    begin = time.monotonic()
    first.sgctl.apply([group("client", ALL_OUT)])
    first.sgctl.wait()
    assert time.monotonic() - begin < 10
