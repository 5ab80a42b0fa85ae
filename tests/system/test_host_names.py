"""A host, a bridge and an interface may be called anything that Open vSwitch and the kernel take."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from lab.controller import Controller
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, mac, tcp_in
from lab.workloads import Workloads

pytestmark = pytest.mark.switch

HOSTS = [
    "c8b29d5a-4c0c-4d1e-9a63-5d4ad7b8b1f0",
    "compute-1",
    "node1.example.org",
    "n" * 64,
    "höst-東京",
    "o'brien\"s, [bold]host[/bold]",
]
BRIDGE = "br\"ü'"


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_of_any_name_is_enforced(ovs: PrivateOvs, workloads: Workloads, name: str) -> None:
    ovs.vsctl("set", "Open_vSwitch", ".", f"external_ids:system-id={json.dumps(name, ensure_ascii=False)}")
    with Controller(ovs.remote) as controller, ExitStack() as removal:
        site = Site(ovs, workloads, controller)
        ovs.add_bridge(BRIDGE)
        ovs.vsctl("set-controller", BRIDGE, controller.target)
        client, server = _pair(site)
        removal.callback(client.remove)
        removal.callback(server.remove)
        status = json.loads(site.sgctl("status", "-o", "json"))
        assert status["problems"] == []
        assert [switch["name"] for switch in status["switches"]] == [f"{name}/{BRIDGE}"]
        assert connects(client, server, "10.0.0.2", 80)
        assert not connects(client, server, "10.0.0.2", 81)
        assert site.sgctl("verify") == f"{BRIDGE}: as expected\n"


def _pair(site: Site) -> tuple[Workload, Workload]:
    """w1 may send anything, w2 takes TCP 80; both are bound by name."""
    site.apply(
        document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]),
        group("client", ALL_OUT),
        group("server", tcp_in(80)),
        site.port_document(1, ["client"], iface_id="w\"1' ü"),
        site.port_document(2, ["server"], iface_id="another"),
    )
    pair = [Workload(f'w"{number}ü', mac(number), [f"10.0.0.{number}/24"]) for number in (1, 2)]
    for number, workload in enumerate(pair, 1):
        site.ovs.vsctl("add-port", BRIDGE, workload.name)
        site.sgctl("port", "bind", f"w{number}", workload.name, "--wait")
    return pair[0], pair[1]
