"""Several bridges under one controller: uplinks, tags, zones, transit."""

from __future__ import annotations

import csv
import socket

import pytest

from lab.netns import Workload
from lab.process import run
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, tcp_in
from tests.system.devices import own_address

pytestmark = pytest.mark.switch


def wire(site: Site, one: str, other: str, networks: str) -> None:
    """Join two bridges with a pair of patch ports that are uplinks on both ends."""
    for here, there in ((one, other), (other, one)):
        name, peer = f"{here}-{there}", f"{there}-{here}"
        columns = ["type=patch", f"options:peer={peer}", f"external_ids:sgctl-uplink={networks}"]
        site.ovs.vsctl("add-port", here, name, "--", "set", "Interface", name, *columns)


def policy(site: Site) -> None:
    site.apply(
        group("client", ALL_OUT),
        group("server", tcp_in(80, remote_group="client")),
        *(site.port_document(n, ["client" if n == 1 else "server"]) for n in (1, 2, 3)),
    )


def test_two_switches_enforce_one_policy(site: Site) -> None:
    site.add_bridge("br1")
    wire(site, "br0", "br1", NETWORK)
    policy(site)
    client, server = site.plug("br0", 1), site.plug("br1", 2)
    site.sgctl.wait()
    assert connects(client, server, "10.0.0.2", 80)
    assert not connects(client, server, "10.0.0.2", 81)
    assert not connects(server, client, "10.0.0.1", 80)


def test_tagged_uplinks_and_a_bridge_in_transit(site: Site) -> None:
    for name in ("br1", "br2"):
        site.add_bridge(name)
    site.apply(document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"], segmentation_id=77))
    wire(site, "br0", "br1", NETWORK)
    wire(site, "br1", "br2", NETWORK)
    policy(site)
    client, server = site.plug("br0", 1), site.plug("br2", 2)
    site.sgctl.wait()
    assert connects(client, server, "10.0.0.2", 80)
    assert not connects(client, server, "10.0.0.2", 81)
    assert "dl_vlan=77" in site.ovs.ofctl("-OOpenFlow14", "dump-flows", "br1")
    learned = site.ovs.ofctl("-OOpenFlow14", "dump-flows", "br1", "table=46")
    assert "dl_dst=02:00:00:00:00:01" in learned


def test_each_network_on_each_bridge_has_its_own_zone(site: Site) -> None:
    site.add_bridge("br1")
    site.apply(document("Network", "green", subnets=["192.0.2.0/24"], segmentation_id=5))
    wire(site, "br0", "br1", "*")
    policy(site)
    site.plug("br0", 1)
    site.sgctl.wait()
    dump = run(["ovsdb-client", "--data=bare", "--format=csv", "dump", site.controller.db, "sgctl", "Zone"])
    zones = list(csv.DictReader(dump.splitlines()[1:]))
    assert len(zones) == 4
    assert len({zone["zone"] for zone in zones}) == 4
    assert {zone["bridge"] for zone in zones} == {"br0", "br1"}


def test_the_host_itself_is_an_uplink_through_the_bridges_own_interface(site: Site) -> None:
    policy(site)
    server = site.plug("br0", 2)
    site.apply(group("server", tcp_in(80, remote_ip_prefix="10.0.0.254")))
    with own_address("br0", "10.0.0.254/24"):
        assert not host_connects(server)
        site.sgctl("uplink", "set", "br0", "--network", NETWORK)
        site.sgctl.wait()
        assert host_connects(server)


def host_connects(server: Workload) -> bool:
    with server.inside():
        listener = socket.create_server(("10.0.0.2", 80))
    with listener, socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("10.0.0.2", 80)) == 0
