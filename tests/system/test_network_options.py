"""Options of networks and ports, and their effect on real packets."""

from __future__ import annotations

import json
import socket

import pytest

from lab.netns import Workload
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, tcp_in

pytestmark = pytest.mark.switch

LLDP = 0x88CC


@pytest.fixture
def pair(site: Site) -> tuple[Workload, Workload]:
    """w1 may send anything, w2 accepts TCP 80."""
    site.apply(
        group("client", ALL_OUT),
        group("server", tcp_in(80)),
        site.port_document(1, ["client"]),
        site.port_document(2, ["server"]),
    )
    workloads = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    return workloads


def opened(source: Workload, target: Workload, count: int) -> int:
    """How many of `count` connections can be open at once."""
    with target.inside():
        listener = socket.create_server(("10.0.0.2", 80), backlog=count)
    clients = []
    with listener:
        for _ in range(count):
            with source.inside():
                client = socket.socket()
            client.settimeout(0.3)
            clients.append(client)
        connected = [client.connect_ex(("10.0.0.2", 80)) == 0 for client in clients]
        for client in clients:
            client.close()
    return sum(connected)


def test_connection_limit_of_a_network(site: Site, pair: tuple[Workload, Workload]) -> None:
    subnets = ["10.0.0.0/24", "2001:db8::/64"]
    site.apply(document("Network", NETWORK, subnets=subnets, connection_limit=5))
    site.ovs.appctl("dpctl/flush-conntrack")
    assert opened(*pair, 8) == 5
    site.apply(document("Network", NETWORK, subnets=subnets))
    site.ovs.appctl("dpctl/flush-conntrack")
    assert opened(*pair, 8) == 8


def test_a_connection_limit_that_the_switch_refuses_is_reported(
    site: Site, pair: tuple[Workload, Workload]
) -> None:
    subnets, pid = ["10.0.0.0/24", "2001:db8::/64"], site.ovs.rundir / "ovs-vswitchd.pid"
    hidden = pid.rename(pid.with_suffix(".hidden"))
    site.apply(document("Network", NETWORK, subnets=subnets, connection_limit=5))
    told = site.sgctl.run("status")
    assert told.returncode == 1
    assert "a connection limit is not enforced: " in told.stdout
    hidden.rename(pid)
    site.apply(document("Network", NETWORK, subnets=subnets, connection_limit=6))
    assert site.sgctl.run("status").returncode == 0


def frame_arrives(source: Workload, target: Workload, ethertype: int) -> bool:
    """Whether a frame of this type from one workload's MAC to the other's arrives."""
    frame = (
        bytes.fromhex((target.mac + source.mac).replace(":", "")) + ethertype.to_bytes(2, "big") + bytes(60)
    )
    with target.inside():
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
    with source.inside():
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind(("eth0", 0))
    listener.settimeout(0.3)
    with listener, sender:
        sender.send(frame)
        try:
            return listener.recv(2000)[:14] == frame[:14]
        except TimeoutError:
            return False


def test_permitted_ethertype_on_both_ends(site: Site, pair: tuple[Workload, Workload]) -> None:
    assert not frame_arrives(*pair, LLDP)
    for number, group_name in ((1, "client"), (2, "server")):
        assert not frame_arrives(*pair, LLDP)
        port = site.port_document(number, [group_name])
        port["spec"]["permitted_ethertypes"] = [LLDP]
        site.apply(port)
    assert frame_arrives(*pair, LLDP)
    assert not frame_arrives(*pair, LLDP + 1)


def test_stateless_groups_need_a_rule_for_each_direction(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    answers = {"direction": "egress", "protocol": "tcp"}
    site.apply(document("SecurityGroup", "server", stateful=False, rules=[tcp_in(80)]))
    assert not connects(client, server, "10.0.0.2", 80)
    site.apply(document("SecurityGroup", "server", stateful=False, rules=[tcp_in(80), answers]))
    assert connects(client, server, "10.0.0.2", 80)
    assert not connects(client, server, "10.0.0.2", 81)


def test_port_without_port_security_is_not_checked(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    assert not connects(server, client, "10.0.0.1", 22)
    free = site.port_document(1, [])
    free["spec"]["port_security_enabled"] = False
    site.apply(free, group("server", ALL_OUT))
    assert connects(server, client, "10.0.0.1", 22)


def test_drops_are_counted_by_port_and_reason(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    assert not client.succeeds("ping", "-c", "3", "-i", "0.2", "-W", "1", "10.0.0.2")
    assert not server.succeeds("ping", "-c", "2", "-i", "0.2", "-W", "1", "10.0.0.1")
    found = {
        (drop["port"], drop["direction"], drop["reason"]): drop["packets"]
        for drop in json.loads(site.sgctl("get", "drops", "-o", "json"))
    }
    assert found["w2", "to", "INGRESS_POLICY"] == 3
    assert found["w2", "from", "EGRESS_POLICY"] == 2
