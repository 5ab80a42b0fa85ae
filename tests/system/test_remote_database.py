"""The policy database may be on an ovsdb-server that sgctl did not start."""

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
    """A server that no controller started."""
    server = PolicyServer(tmp_path / "shared.db", tmp_path / "shared.sock")
    server.start()
    yield server
    server.stop()


def test_the_policy_is_followed_again_after_the_server_was_away(
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
