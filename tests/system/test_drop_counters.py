"""Drop counters survive changes of other ports and the end of the controller, but not the port's binding."""

from __future__ import annotations

import json
import subprocess

import pytest

from lab.netns import Workload
from lab.process import wait_until
from lab.site import ALL_OUT, NETWORK, Site, group, tcp_in
from tests.system.devices import own_address

pytestmark = pytest.mark.switch

OFPORT = 7
TO_W2 = ("w2", "to", "INGRESS_POLICY")
FROM_W2 = ("w2", "from", "EGRESS_POLICY")


@pytest.fixture
def client(site: Site) -> Workload:
    """A workload that may send anything, and to which no other may send."""
    site.apply(
        group("client", ALL_OUT),
        group("server"),
        site.port_document(1, ["client"]),
        *(site.port_document(number, ["server"]) for number in (2, 3)),
    )
    return site.plug("br0", 1)


def drops(site: Site) -> dict[tuple[str, str, str], int]:
    records = json.loads(site.sgctl("get", "drops", "-o", "json"))
    return {(drop["port"], drop["direction"], drop["reason"]): drop["packets"] for drop in records}


def ping(source: Workload, address: str) -> None:
    assert not source.succeeds("ping", "-c", "2", "-i", "0.2", "-W", "0.2", address)


def occupy(site: Site, number: int) -> Workload:
    """Plug a workload that gets this OpenFlow port, and wait until the switch has its flows."""
    workload = site.plug("br0", number)
    site.ovs.vsctl("del-port", f"w{number}")
    site.ovs.add_port("br0", f"w{number}", f"ofport_request={OFPORT}", f"external_ids:iface-id=w{number}")
    site.sgctl.wait()
    return workload


def refused_both_ways(client: Workload, second: Workload, address: str) -> None:
    ping(client, address)
    ping(second, "10.0.0.1")


def test_drops_of_an_earlier_port_with_the_same_number_are_not_inherited(
    site: Site, client: Workload
) -> None:
    refused_both_ways(client, occupy(site, 2), "10.0.0.2")
    site.apply(group("nobody"))
    before = drops(site)
    assert (before[TO_W2], before[FROM_W2]) == (2, 2)
    site.unplug(2)
    third = occupy(site, 3)
    assert not [key for key in drops(site) if "POLICY" in key[2]]

    def counted_anew() -> bool:
        refused_both_ways(client, third, "10.0.0.3")
        return drops(site).keys() >= {("w3", "to", "INGRESS_POLICY"), ("w3", "from", "EGRESS_POLICY")}

    wait_until(counted_anew, "the new occupant's own drops are counted")


def test_counters_are_removed_with_the_binding(site: Site, client: Workload) -> None:
    second = occupy(site, 2)
    refused_both_ways(client, second, "10.0.0.2")
    site.ovs.vsctl("remove", "Interface", "w2", "external_ids", "iface-id")
    site.sgctl.wait()
    wait_until(lambda: not drops(site).keys() & {TO_W2, FROM_W2}, "the counters of the binding are gone")


def test_counters_survive_other_changes_and_the_end_of_the_controller(site: Site, client: Workload) -> None:
    refused_both_ways(client, occupy(site, 2), "10.0.0.2")
    site.apply(group("server", tcp_in(80)), site.port_document(2, ["server", "client"]))
    for end in (site.controller.kill, site.controller.stop):
        end()
        site.controller.start()
        site.sgctl.wait()
    found = drops(site)
    assert (found[TO_W2], found[FROM_W2]) == (2, 2)
    assert ": 0 flows to add, 0 to remove" in site.controller.log.read_text()


def test_the_bridge_itself_has_its_drops_counted(site: Site, client: Workload) -> None:
    """The bridge's packets come from LOCAL, a name instead of a port number. It becomes an uplink later."""
    out = ["ping", "-c", "1", "-W", "0.2", "-I", "br0"]

    def told(address: str, *key: str) -> bool:
        subprocess.run([*out, address], check=False, capture_output=True)
        return key in drops(site)

    with own_address("br0", "10.0.0.254/24"):
        wait_until(lambda: told("10.0.0.1", "br0", "from", "UNKNOWN_PORT"), "the drops of br0 are shown")
        site.sgctl("uplink", "set", "br0", "--network", NETWORK, "--wait")
        wait_until(lambda: told("10.0.0.1", "w1", "to", "INGRESS_POLICY"), "br0 is an uplink")
        assert "in_port=br0" in site.sgctl("flows", "--table", "DROPPED", "-o", "json")
