"""The policy database may be anybody's ovsdb-server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, tcp_in
from lab.workloads import Workloads
from sgctl.store.server import PolicyServer

pytestmark = pytest.mark.switch


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[PolicyServer]:
    """A server that no controller owns."""
    server = PolicyServer(tmp_path / "shared.db", tmp_path / "shared.sock")
    server.start()
    yield server
    server.stop()


def test_two_controllers_follow_one_policy(
    ovs: PrivateOvs, workloads: Workloads, remote: PolicyServer
) -> None:
    with Controller(ovs.remote, remote.remote) as here, Controller(ovs.remote, remote.remote) as there:
        site, other = Site(ovs, workloads, here), Site(ovs, workloads, there)
        site.add_bridge("br0")
        other.add_bridge("br1")
        site.apply(
            document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]),
            group("client", ALL_OUT),
            group("server", tcp_in(80, remote_group="client")),
            *(site.port_document(number, ["client"]) for number in (1, 3)),
            *(site.port_document(number, ["server"]) for number in (2, 4)),
        )
        pairs = [(site.plug("br0", 1), site.plug("br0", 2), "10.0.0.2")]
        pairs += [(site.plug("br1", 3), site.plug("br1", 4), "10.0.0.4")]
        site.sgctl.wait()
        for client, server, address in pairs:
            assert connects(client, server, address, 80)
            assert not connects(client, server, address, 81)


def test_policy_is_followed_again_when_the_server_was_away(
    ovs: PrivateOvs, workloads: Workloads, remote: PolicyServer
) -> None:
    with Controller(ovs.remote, remote.remote) as controller:
        site = Site(ovs, workloads, controller)
        site.add_bridge("br0")
        site.apply(document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]))
        remote.stop()
        remote.start()
        site.apply(group("client", ALL_OUT), group("server", tcp_in(80)))
        site.apply(site.port_document(1, ["client"]), site.port_document(2, ["server"]))
        client, server = site.plug("br0", 1), site.plug("br0", 2)
        site.sgctl.wait()
        assert connects(client, server, "10.0.0.2", 80)
