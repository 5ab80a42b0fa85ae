"""Uplinks without a wire: a tunnel, and the bridge's own interface; and an internal interface as a port."""

from __future__ import annotations

import socket

import pytest

from lab.netns import Workload
from lab.process import run, wait_until
from lab.site import ALL_OUT, NETWORK, Site, connects, group, mac, tcp_in
from lab.workloads import Workloads
from tests.system.devices import own_address, problems

pytestmark = pytest.mark.switch

VXLAN_PORT, VNI = 4789, 5
OUTSIDE = bytes.fromhex("0200000000c8")


def policy(site: Site) -> None:
    site.apply(group("talks", ALL_OUT, tcp_in(80)), *(site.port_document(n, ["talks"]) for n in (1, 2)))


def encapsulated(question: bytes) -> bytes:
    return b"\x08\x00\x00\x00" + VNI.to_bytes(3, "big") + b"\x00" + question


def who_has(address: str) -> bytes:
    """An ARP request of 10.0.0.200, which is behind the tunnel."""
    ends = OUTSIDE + socket.inet_aton("10.0.0.200") + bytes(6) + socket.inet_aton(address)
    return b"\xff" * 6 + OUTSIDE + bytes.fromhex("08060001080006040001") + ends


def test_a_tunnel_is_an_uplink(site: Site, workloads: Workloads) -> None:
    """Frames reach the other end of a VXLAN tunnel, and frames from the other end reach the machines."""
    site.ovs.add_bridge("underlay")  # a plain switch
    far = workloads.by_name["far"] = Workload("far", mac(99), ["192.0.2.2/24"])
    site.ovs.vsctl("add-port", "underlay", "far")
    policy(site)
    site.plug("br0", 1)
    columns = ["type=vxlan", "options:remote_ip=192.0.2.2", f"options:key={VNI}"]
    site.ovs.add_port("br0", "vx0", *columns)
    with own_address("underlay", "192.0.2.1/24"), far.inside():
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind(("192.0.2.2", VXLAN_PORT))
        end.settimeout(0.5)
        site.sgctl("uplink", "set", "vx0", "--network", NETWORK, "--wait")
        assert "vx0" not in problems(site)

        def answered() -> bool:
            """Ask for the MAC of a local machine; whether the answer goes to the host that asked."""
            end.sendto(encapsulated(who_has("10.0.0.1")), ("192.0.2.1", VXLAN_PORT))
            try:
                while True:
                    data = end.recv(2000)
                    if data[8:14] == OUTSIDE and data[14:20] == bytes.fromhex("020000000001"):
                        return data[4:7] == VNI.to_bytes(3, "big") and data[28:30] == b"\x00\x02"
            except TimeoutError:
                return False

        wait_until(answered, "the answer through the tunnel", 20)
        end.close()


def test_internal_interfaces_and_the_bridges_own(site: Site, workloads: Workloads) -> None:
    """Two uplinks, one of them the bridge's own interface, which has a reserved OpenFlow number."""
    policy(site)
    local = site.plug("br0", 1)
    site.ovs.add_port("br0", "w2", "type=internal", "external_ids:iface-id=w2")
    outside = workloads.by_name["nic"] = Workload("nic", mac(200), ["10.0.0.200/24"])
    site.ovs.add_port("br0", "nic")
    site.sgctl("uplink", "set", "nic", "--network", NETWORK)
    site.sgctl("uplink", "set", "br0", "--network", NETWORK, "--wait")
    assert problems(site) == {}
    run(["ip", "link", "set", "w2", "address", mac(2)])
    with own_address("w2", "10.0.0.2/24"):
        wait_until(lambda: connects_here(local, "10.0.0.2"), "a connection to the internal interface")
    with own_address("br0", "10.0.0.254/24"):
        wait_until(lambda: connects_here(outside, "10.0.0.254"), "the path from one uplink to the other")
        assert local.succeeds("ping", "-c", "2", "-W", "1", "10.0.0.254")
        assert connects(outside, local, "10.0.0.1", 80)
    assert site.sgctl("verify").strip() == "br0: as expected"


def connects_here(client: Workload, address: str) -> bool:
    """Whether a workload can connect to this host itself."""
    with socket.create_server((address, 80)) as listener, client.inside():
        with socket.socket() as connection:
            connection.settimeout(1)
            done = connection.connect_ex((address, 80)) == 0
        listener.settimeout(1)
        return done
