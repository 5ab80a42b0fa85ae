"""Networks that lose all packets for a while: from the controller to the switch, to the database, or both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from lab.background_traffic import Datagrams, Stream
from lab.cable import Cable
from lab.controller import Controller
from lab.netns import Namespace, Workload
from lab.ovs import PrivateOvs
from lab.policy_cli import PolicyCli
from lab.process import run, wait_until
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, tcp_in
from lab.workloads import Workloads
from sgctl.store.server import PolicyServer

pytestmark = pytest.mark.switch

SWITCH, CONTROLLER, DATABASE = "192.0.2.1", "192.0.2.2", "198.51.100.3"
PORT = 6640
BLINK, SILENCE = 1.0, 8.0
"""Outages in seconds: TCP survives the first; in the second both ends close the connection."""
PATIENCE = 30.0


class Network(NamedTuple):
    """Switch, controller and database, each in a separate namespace; `sgctl` runs with the database."""

    site: Site
    to_switch: Cable
    to_database: Cable


@pytest.fixture
def network(ovs: PrivateOvs, workloads: Workloads, tmp_path: Path) -> Iterator[Network]:
    with ExitStack() as stack:
        places = [Namespace(name) for name in ("controller", "database")]
        for place in places:
            stack.callback(place.remove)
        controller_host, database_host = places
        to_switch = Cable("openflow", {controller_host: f"{CONTROLLER}/24"}, home=f"{SWITCH}/24")
        ends = {controller_host: "198.51.100.2/24", database_host: f"{DATABASE}/24"}
        to_database = Cable("policy", ends)
        stack.enter_context(to_switch)
        stack.enter_context(to_database)
        server = PolicyServer(tmp_path / "policy.db", tmp_path / "policy.sock")
        with database_host.inside():
            server.start()
        stack.callback(server.stop)
        _listen(tmp_path / "policy.ctl", DATABASE)
        _listen(next(ovs.rundir.glob("ovsdb-server.*.ctl")), SWITCH)
        controller = Controller(
            f"tcp:{SWITCH}:{PORT}",
            f"tcp:{DATABASE}:{PORT}",
            options=["--ofp-listen-host=0.0.0.0", f"--sgctl-openflow-peers={SWITCH}"],
        )
        with controller_host.inside():
            stack.enter_context(controller)
        site = Site(ovs, workloads, controller)
        site.sgctl = PolicyCli({**controller.environment, "SGCTL_DB": server.remote})
        ovs.add_bridge("br0")
        ovs.vsctl("set-controller", "br0", f"tcp:{CONTROLLER}:{controller.openflow_port}")
        yield Network(site, to_switch, to_database)


def _listen(control: Path, address: str) -> None:
    run(["ovs-appctl", "-t", control, "ovsdb-server/add-remote", f"ptcp:{PORT}:{address}"])


@contextmanager
def cut(*cables: Cable) -> Iterator[None]:
    """Cut the cables during the `with` block; mend them in the given order."""
    for cable in cables:
        cable.cut()
    yield
    for cable in cables:
        cable.mend()
        time.sleep(1.0)


CUTS: dict[str, Callable[[Network], tuple[Cable, ...]]] = {
    "switch": lambda network: (network.to_switch,),
    "database": lambda network: (network.to_database,),
    "both, switch first": lambda network: (network.to_switch, network.to_database),
    "both, database first": lambda network: (network.to_database, network.to_switch),
}


@pytest.fixture
def pair(network: Network) -> tuple[Workload, Workload]:
    site = network.site
    site.apply(
        document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]),
        group("client", ALL_OUT),
        _server(80),
        site.port_document(1, ["client"]),
        site.port_document(2, ["server"]),
    )
    workloads = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    return workloads


def _server(*ports: int) -> dict[str, object]:
    udp = {"direction": "ingress", "protocol": "udp", "ports": 6000}
    return group("server", udp, *map(tcp_in, ports))


@pytest.mark.parametrize(
    ("which", "seconds"), [("switch", BLINK), ("database", BLINK), *((which, SILENCE) for which in CUTS)]
)
def test_changes_during_the_loss_hold_afterwards(
    network: Network, pair: tuple[Workload, Workload], which: str, seconds: float
) -> None:
    site, (client, server) = network.site, pair
    with Datagrams(*pair, "10.0.0.2", 6000) as allowed, Stream(*pair, "10.0.0.2", 80) as stream:
        assert stream.flows()
        with cut(*CUTS[which](network)):
            sgctl = site.sgctl
            (sgctl.apply if which == "switch" else sgctl.apply_in_vain)([_server(81)])
            time.sleep(seconds)
            assert stream.flows()  # the change could not reach the switch
        wait_until(lambda: not stream.flows(0.3), "the revoked connection stops", PATIENCE)
        assert allowed.lost() == 0
    site.sgctl.wait()
    assert connects(client, server, "10.0.0.2", 81)
    assert not connects(client, server, "10.0.0.2", 80)
