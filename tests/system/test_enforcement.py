"""Policy edits and real packets: an edit by the command line takes effect at once."""

from __future__ import annotations

import socket
import time

import pytest

from lab.background_traffic import Datagrams, Stream
from lab.netns import Workload
from lab.site import ALL_OUT, Site, connects, document, echoes, group, tcp_in

pytestmark = pytest.mark.switch

AT_ONCE = 0.1
"""How many seconds after the command has returned no packet may pass any more."""


@pytest.fixture
def pair(site: Site) -> tuple[Workload, Workload]:
    """w1 in `client` (all egress), w2 in `server` (TCP 80 and UDP 6000 from `client`)."""
    udp = {"direction": "ingress", "protocol": "udp", "ports": 6000, "remote_group": "client"}
    site.apply(
        group("client", ALL_OUT),
        group("server", tcp_in(80, remote_group="client"), udp),
        site.port_document(1, ["client"]),
        site.port_document(2, ["server"]),
    )
    workloads = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    return workloads


def stops(stream: Stream) -> bool:
    time.sleep(AT_ONCE)
    return not stream.flows(0.5)


def test_only_allowed_traffic_passes(pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    assert connects(client, server, "10.0.0.2", 80)
    assert not connects(client, server, "10.0.0.2", 81)
    assert not connects(server, client, "10.0.0.1", 80)
    assert echoes(client, server, "10.0.0.2", 6000)
    assert not echoes(client, server, "10.0.0.2", 6001)


def test_large_datagrams_pass_a_port_rule_from_the_first(pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    assert echoes(client, server, "10.0.0.2", 6000, size=4000)
    assert not echoes(client, server, "10.0.0.2", 6001, size=4000)


def gets_a_file(client: Workload, server: Workload) -> bool:
    """Whether TFTP works: the request goes to port 69, data come from another port (RFC 1350 section 4)."""
    with client.inside():
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server.inside():
        listening, sending = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with asking, listening, sending:
        for end in (asking, listening):
            end.settimeout(0.5)
        listening.bind(("10.0.0.2", 69))
        sending.bind(("10.0.0.2", 0))
        try:
            asking.sendto(b"request", ("10.0.0.2", 69))
            sending.sendto(b"data", listening.recvfrom(100)[1])
            return asking.recv(100) == b"data"
        except TimeoutError:
            return False


def test_tftp_needs_the_rules_that_are_documented(site: Site, pair: tuple[Workload, Workload]) -> None:
    request = {"direction": "ingress", "protocol": "udp", "ports": 69}
    site.apply(group("server", request, ALL_OUT))
    assert not gets_a_file(*pair)
    data = {"direction": "ingress", "protocol": "udp", "remote_group": "server"}
    site.apply(group("client", ALL_OUT, data))
    assert gets_a_file(*pair)


def test_removed_rule_stops_an_open_connection(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    with Stream(client, server, "10.0.0.2", 80) as stream:
        assert stream.flows()
        site.apply(group("server"))
        assert stops(stream)
    assert not connects(client, server, "10.0.0.2", 80)


def test_removed_egress_rule_stops_what_the_server_pushes(
    site: Site, pair: tuple[Workload, Workload]
) -> None:
    with Stream(*pair, "10.0.0.2", 80) as stream:
        assert stream.flows()
        site.apply(group("client"))
        assert stops(stream)


def test_added_rule_works_at_once(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    assert not connects(client, server, "10.0.0.2", 8080)
    site.apply(group("server", tcp_in(8080)))
    assert connects(client, server, "10.0.0.2", 8080)


def test_a_connection_continues_when_its_rule_is_restored(
    site: Site, pair: tuple[Workload, Workload]
) -> None:
    with Stream(*pair, "10.0.0.2", 80) as stream:
        assert stream.flows()
        site.apply(group("server"))
        assert stops(stream)
        site.apply(group("server", tcp_in(80)))
        assert stream.flows(3.0)


def test_second_group_is_attached_and_detached(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    site.apply(group("admin", tcp_in(22)))
    assert not connects(client, server, "10.0.0.2", 22)
    site.apply(site.port_document(2, ["server", "admin"]))
    assert connects(client, server, "10.0.0.2", 80)
    with Stream(client, server, "10.0.0.2", 22) as stream:
        assert stream.flows()
        site.apply(site.port_document(2, ["server"]))
        assert stops(stream)


def test_a_port_that_leaves_the_remote_group_is_cut_off(site: Site, pair: tuple[Workload, Workload]) -> None:
    site.apply(group("other", ALL_OUT))
    with Stream(*pair, "10.0.0.2", 80) as stream:
        assert stream.flows()
        site.apply(site.port_document(1, ["other"]))
        assert stops(stream)


def test_allowed_traffic_loses_nothing_while_policy_changes(
    site: Site, pair: tuple[Workload, Workload]
) -> None:
    udp = {"direction": "ingress", "protocol": "udp", "ports": 6000}
    site.apply(group("server", tcp_in(80), udp))
    with Datagrams(*pair, "10.0.0.2", 6000) as datagrams:
        for port in range(7000, 7010):
            site.apply(group("server", tcp_in(80), udp, tcp_in(port, remote_group="client")))
        site.apply(group("extra", tcp_in(9000)), site.port_document(2, ["server", "extra"]))
        assert datagrams.arrived > 100
        assert datagrams.lost() == 0


def test_ports_come_and_go_while_others_talk(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    site.apply(site.port_document(3, ["server"]))
    with Datagrams(*pair, "10.0.0.2", 6000) as datagrams:
        third = site.plug("br0", 3)
        site.sgctl.wait()
        assert connects(client, third, "10.0.0.3", 80)
        site.unplug(3)
        site.sgctl.wait()
        assert not connects(client, third, "10.0.0.3", 80)
        site.replug("br0", 3)
        site.sgctl.wait()
        assert connects(client, third, "10.0.0.3", 80)
        assert not connects(client, third, "10.0.0.3", 81)
        assert datagrams.lost() == 0
    assert connects(client, server, "10.0.0.2", 80)


def test_the_iface_id_binds_the_port(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    site.ovs.vsctl("set", "Interface", "w2", "external_ids:iface-id=somebody-else")
    site.sgctl.wait()
    assert not connects(client, server, "10.0.0.2", 80)
    assert "somebody-else" in site.sgctl("get", "bindings", "-o", "json")
    site.sgctl("port", "bind", "w2", "w2")
    site.sgctl.wait()
    assert connects(client, server, "10.0.0.2", 80)


def test_undeclared_interface_is_quarantined(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, _ = pair
    stranger = site.plug("br0", 9)
    site.sgctl.wait()
    assert not connects(stranger, client, "10.0.0.1", 80)
    assert not connects(client, stranger, "10.0.0.9", 80)
    assert '"quarantined"' in site.sgctl("get", "bindings", "-o", "json")


def test_a_changed_openflow_port_is_noticed(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    site.ovs.vsctl("set", "Interface", "w2", "ofport_request=77")
    assert site.ovs.vsctl("get", "Interface", "w2", "ofport").strip() == "77"
    site.sgctl.wait()
    assert connects(client, server, "10.0.0.2", 80)


def test_port_administratively_down_is_closed(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    down = site.port_document(2, ["server"])
    down["spec"]["admin_state_up"] = False
    site.apply(down)
    assert not connects(client, server, "10.0.0.2", 80)
    site.apply(site.port_document(2, ["server"]))
    assert connects(client, server, "10.0.0.2", 80)


def test_address_group_and_ipv6(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    site.apply(
        document("AddressGroup", "trusted", addresses=["2001:db8::1"]),
        group("server", tcp_in(80, remote_address_group="trusted", ethertype="IPv6")),
        group("client", ALL_OUT, {"direction": "egress", "ethertype": "IPv6"}),
    )
    assert connects(client, server, "2001:db8::2", 80)
    assert not connects(client, server, "10.0.0.2", 80)
    site.apply(document("AddressGroup", "trusted", addresses=["2001:db8::99"]))
    assert not connects(client, server, "2001:db8::2", 80)
