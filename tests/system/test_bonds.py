"""A bond as an uplink: one link to the rest of the network, whether or not the other side knows the bond."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.netns import Workload
from lab.process import run, wait_until
from lab.site import ALL_OUT, NETWORK, Site, connects, group, mac, tcp_in
from lab.workloads import Workloads
from tests.system.devices import problems, refusal
from tests.system.lan import Lan, heard

pytestmark = pytest.mark.switch

MEMBERS = ("nic1", "nic2")


@pytest.fixture
def outside(site: Site, workloads: Workloads) -> Iterator[Workload]:
    """A machine on the outside switch, to which two wires lead; the site has two workloads."""
    host = workloads.by_name["outside"] = Workload("outside", mac(200), ["10.0.0.200/24"])
    with Lan("lan", MEMBERS) as lan:
        lan.join("outside")
        site.apply(
            group("talks", ALL_OUT, tcp_in(80)),
            site.port_document(1, ["talks"]),
            site.port_document(2, ["talks"]),
        )
        yield host


def bond(site: Site, *settings: str) -> None:
    site.ovs.vsctl("add-bond", "br0", "bond0", *MEMBERS, *settings)


def test_a_bond_is_one_uplink(site: Site, outside: Workload) -> None:
    """The other side does not know the bond: broadcast frames come in by both members."""
    bond(site, "bond_mode=active-backup")
    assert "a bond can be an uplink but not a port" in refusal(site, "port", "bind", "w1", "bond0")
    for member in MEMBERS:
        for words in (["port", "bind", "w1", member], ["uplink", "set", member, "--network", NETWORK]):
            assert f"interface {member}: it is a member of the bond bond0" in refusal(site, *words)
    site.sgctl("uplink", "set", "bond0", "--network", NETWORK)
    one, two = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    assert problems(site) == {}
    assert "bond0" in site.sgctl("uplink", "list")
    assert connects(one, outside, "10.0.0.200", 80)
    assert connects(outside, one, "10.0.0.1", 80)
    assert not connects(outside, one, "10.0.0.1", 81)
    assert connects(one, two, "10.0.0.2", 80)
    assert heard(outside, one) == 1
    assert heard(outside, outside) == 0, "a frame left through another member of the bond"
    for lost, left in (MEMBERS, MEMBERS[::-1]):
        run(["ip", "link", "set", lost, "down"])
        wait_until(lambda: connects(one, outside, "10.0.0.200", 80), f"the way by {left}")
        assert connects(outside, two, "10.0.0.2", 80)
        run(["ip", "link", "set", lost, "up"])
    assert site.sgctl("verify").strip() == "br0: as expected"
    traced = site.sgctl("trace", "--on-switch", "w1", "10.0.0.200", "--port", "80")
    assert "bundle" in traced


def test_an_lacp_bond_uses_all_members(site: Site, outside: Workload) -> None:
    far = [f"{name}-far" for name in MEMBERS]
    site.ovs.add_bridge("far")  # a switch that speaks LACP, without a controller
    for device in (*far, "outside"):
        run(["ip", "link", "set", device, "nomaster"])
    site.ovs.vsctl("add-bond", "far", "trunk", *far, "lacp=active", "bond_mode=balance-tcp")
    site.ovs.vsctl("add-port", "far", "outside")
    bond(site, "lacp=active", "bond_mode=balance-tcp")
    site.sgctl("uplink", "set", "bond0", "--network", NETWORK)
    one, two = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    assert problems(site).keys() <= {"connected"}, "the other switch is reported as not connected only"
    wait_until(lambda: "negotiated" in site.ovs.appctl("lacp/show", "bond0"), "LACP is negotiated")
    wait_until(lambda: connects(one, outside, "10.0.0.200", 80), "the first connection", 20)
    assert connects(outside, two, "10.0.0.2", 80)
    for _ in range(4):
        assert heard(outside, one) == 1
        assert heard(outside, outside) == 0
    run(["ip", "link", "set", "nic1", "down"])
    for host, address in ((one, "10.0.0.1"), (two, "10.0.0.2")):
        wait_until(lambda: connects(host, outside, "10.0.0.200", 80), "the remaining path")  # noqa: B023
        assert connects(outside, host, address, 80)
