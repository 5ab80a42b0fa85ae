"""Two controllers for one switch: one is in charge, the other takes over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.background_traffic import Datagrams, Stream
from lab.controller import Controller
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.policy_cli import PolicyCli
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, tcp_in
from lab.workloads import Workloads
from sgctl.store.server import PolicyServer

pytestmark = pytest.mark.switch

IN_CHARGE = "in charge of the switches"
UDP = {"direction": "ingress", "protocol": "udp", "ports": 6000}


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[str]:
    """The remote of a policy database that no controller started."""
    server = PolicyServer(tmp_path / "shared.db", tmp_path / "shared.sock")
    server.start()
    yield server.remote
    server.stop()


@pytest.fixture
def controllers(ovs: PrivateOvs, remote: str) -> Iterator[tuple[Controller, Controller]]:
    """Two controllers; the one that starts first is in charge."""
    with Controller(ovs.remote, remote) as first, Controller(ovs.remote, remote) as second:
        yield first, second


@pytest.fixture
def site(ovs: PrivateOvs, workloads: Workloads, controllers: tuple[Controller, Controller]) -> Site:
    """One bridge that connects to both controllers."""
    made = Site(ovs, workloads, controllers[0])
    made.add_bridge("br0")
    ovs.vsctl("set-controller", "br0", *(controller.target for controller in controllers))
    return made


@pytest.fixture
def pair(site: Site) -> tuple[Workload, Workload]:
    """w1 may send anything, w2 accepts TCP 80 and UDP 6000."""
    site.apply(
        document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]),
        group("client", ALL_OUT),
        group("server", tcp_in(80), UDP),
        site.port_document(1, ["client"]),
        site.port_document(2, ["server"]),
    )
    workloads = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    return workloads


def is_in_charge(controller: Controller) -> bool:
    return IN_CHARGE in controller.log.read_text()


def test_the_other_controller_takes_over(
    site: Site, controllers: tuple[Controller, Controller], pair: tuple[Workload, Workload]
) -> None:
    first, second = controllers
    client, server = pair
    assert is_in_charge(first)
    assert not is_in_charge(second)
    survivor = PolicyCli(second.environment)
    with Datagrams(client, server, "10.0.0.2", 6000) as datagrams:
        first.kill()
        survivor.apply([group("server", tcp_in(8080), UDP)])
        survivor.wait()
        assert is_in_charge(second)
        assert connects(client, server, "10.0.0.2", 8080)
        assert not connects(client, server, "10.0.0.2", 80)
        assert datagrams.lost() == 0


def test_the_first_one_stands_by_when_it_comes_back(
    site: Site, controllers: tuple[Controller, Controller], pair: tuple[Workload, Workload]
) -> None:
    first, second = controllers
    first.kill()
    PolicyCli(second.environment).wait()
    first.log.write_text("")
    first.start()
    with Stream(*pair, "10.0.0.2", 80) as stream:
        assert stream.flows()
        site.apply(group("server", UDP))
        assert not is_in_charge(first)
        assert not stream.flows(0.5)
    second.kill()
    site.apply(group("server", tcp_in(80), UDP))
    assert is_in_charge(first)
    assert connects(*pair, "10.0.0.2", 80)
