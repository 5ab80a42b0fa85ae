"""A host, a bridge and an interface may have any name that Open vSwitch and the kernel accept."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.controller import Controller
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.policy_cli import PolicyCli
from lab.process import wait_until
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, mac, tcp_in
from lab.workloads import Workloads
from sgctl.store.server import PolicyServer

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
    """w1 may send anything, w2 accepts TCP 80; both are bound by name."""
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


def test_two_hosts_with_the_same_name_are_reported(tmp_path: Path) -> None:
    """The first host is enforced; without a message the other host would wait forever."""
    server = PolicyServer(tmp_path / "shared.db", tmp_path / "shared.sock")
    server.start()
    with PrivateOvs(dummy=True) as one, PrivateOvs(dummy=True) as other:
        for ovs in (one, other):
            ovs.vsctl("set", "Open_vSwitch", ".", "external_ids:system-id=copy")
        with Controller(one.remote, server.remote) as first:
            one.add_bridge("br0")
            one.vsctl("set-controller", "br0", first.target)
            PolicyCli(first.environment).wait()
            with Controller(other.remote, server.remote) as second:
                told = "another host is called 'copy', too, and only that one is enforced"
                wait_until(lambda: told in second.log.read_text(), "the log has the error")
                assert told in PolicyCli(second.environment).run("status").stdout
                assert PolicyCli(first.environment).run("status").returncode == 0
                other.vsctl("set", "Open_vSwitch", ".", "external_ids:system-id=original")
                other.add_bridge("br0")
                other.vsctl("set-controller", "br0", second.target)
                in_charge = "in charge of the switches of original"
                wait_until(lambda: in_charge in second.log.read_text(), "it has its new name")
                PolicyCli(second.environment).wait()
                assert PolicyCli(second.environment).run("status").returncode == 0
    server.stop()
