"""Devices of real hosts: a device that cannot do what it is declared for is reported and closed."""

from __future__ import annotations

import json

import pytest

from lab.datapath import DATAPATH, Datapath
from lab.netns import Namespace, Workload
from lab.process import run, wait_until
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, mac, tcp_in
from lab.workloads import Workloads
from tests.system.devices import problems, refusal, sgctl, told

pytestmark = pytest.mark.switch

TALKS = group("talks", ALL_OUT, tcp_in(80))
TAKEN_AWAY = {
    Datapath.USERSPACE: "its device has been deleted",
    Datapath.KERNEL: "could not open network device w1 (No such device)",
}
"""The problem of a removed device: the kernel datapath loses the device, the userspace datapath keeps it."""


def plug_pair(site: Site) -> tuple[Workload, Workload]:
    site.apply(TALKS, site.port_document(1, ["talks"]), site.port_document(2, ["talks"]))
    pair = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    assert problems(site) == {}
    return pair


def test_an_interface_that_cannot_be_opened_is_reported(site: Site, workloads: Workloads) -> None:
    site.apply(TALKS, site.port_document(1, ["talks"]), site.port_document(2, ["talks"]))
    add = site.ovs.vsctl
    add("add-port", "br0", "w1", "--", "set", "Interface", "w1", "external_ids:iface-id=w1")
    add("add-port", "br0", "vh", "--", "set", "Interface", "vh", "type=dpdkvhostuser")
    told(site, "w1", "Open vSwitch could not open it: could not open network device w1 (No such device)")
    told(site, "vh", "Open vSwitch could not open it")
    assert "No such device" in refusal(site, "port", "bind", "w1", "w1")
    assert "could not open network device vh" in refusal(site, "uplink", "set", "vh", "--network", NETWORK)
    assert json.loads(site.sgctl("get", "port", "w1", "-o", "json"))["bound_to"] == []
    client, server = Workload("w1", mac(1), ["10.0.0.1/24"]), site.plug("br0", 2)
    workloads.by_name["w1"] = client
    add("del-port", "vh")
    wait_until(lambda: problems(site) == {}, "the device that has appeared")
    assert connects(client, server, "10.0.0.2", 80)
    run(["ip", "link", "delete", "w1"])
    told(site, "w1", TAKEN_AWAY[DATAPATH])
    site.unplug(1)
    Namespace.remove(workloads.by_name.pop("w1"))


def test_an_interface_without_a_device_does_not_hold_its_port(site: Site) -> None:
    """A machine comes back with another tap, and its old tap stays in the database."""
    site.apply(TALKS, site.port_document(1, ["talks"]), site.port_document(2, ["talks"]))
    site.ovs.vsctl(
        "add-port", "br0", "a-stale", "--", "set", "Interface", "a-stale", "external_ids:iface-id=w1"
    )
    pair = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    assert problems(site).keys() == {"a-stale"}
    assert connects(*pair, "10.0.0.2", 80)


def test_vlan_columns_are_obeyed_or_refused(site: Site) -> None:
    site.apply(document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"], segmentation_id=7))
    client, server = plug_pair(site)
    site.ovs.vsctl("set", "port", "w2", "tag=7", "vlan_mode=access")
    site.sgctl.wait()
    assert problems(site) == {}
    assert connects(client, server, "10.0.0.2", 80)
    site.ovs.vsctl("set", "port", "w2", "tag=8")
    told(
        site,
        "w2",
        "its port has tag=8, but network blue has the segmentation_id 7: ovs-vsctl clear port w2 tag",
    )
    assert not connects(client, server, "10.0.0.2", 80)
    site.sgctl("port", "unbind", "w2")
    assert "tag=8" in refusal(site, "port", "bind", "w2", "w2")
    site.apply(document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"], segmentation_id=8))
    site.sgctl("port", "bind", "w2", "w2", "--wait")
    assert connects(client, server, "10.0.0.2", 80)
    site.ovs.vsctl("clear", "port", "w2", "tag", "vlan_mode")
    for column, text in (
        ("trunks=8,9", "its port has trunks=8,9, but a machine may not send tagged frames"),
        ("vlan_mode=native-untagged", "its port has vlan_mode=native-untagged"),
        ("protected=true", "its port is protected"),
    ):
        site.ovs.vsctl("set", "port", "w2", column)
        told(site, "w2", text)
        assert not connects(client, server, "10.0.0.2", 80)
        clear = ("clear", "port", "w2", "trunks", "vlan_mode")
        site.ovs.vsctl(*clear, "--", "set", "port", "w2", "protected=false")
    wait_until(lambda: problems(site) == {}, "no problem is reported")
    assert connects(client, server, "10.0.0.2", 80)


def test_vlan_columns_of_an_uplink(site: Site, workloads: Workloads) -> None:
    red = document("Network", "red", segmentation_id=5)
    site.apply(red, document("Network", "green", segmentation_id=6))
    workloads.by_name["nic"] = Workload("nic", mac(99))
    site.ovs.add_port("br0", "nic")
    site.sgctl("uplink", "set", "nic", "--all", "--wait")
    assert problems(site) == {}
    site.ovs.vsctl("set", "port", "nic", "trunks=5")
    told(site, "nic", "not among the trunks of its port: blue, green")
    flows = site.ovs.ofctl("dump-flows", "br0", "table=0")
    assert "dl_vlan=5" in flows
    assert "dl_vlan=6" not in flows
    site.ovs.vsctl("set", "port", "nic", "trunks=0,5,6")
    wait_until(lambda: problems(site) == {}, "trunks with all VLANs")
    site.ovs.vsctl("set", "port", "nic", "tag=5")
    told(site, "nic", "its port has tag=5, but on an uplink the segmentation_id of a network is its tag")
    site.sgctl("uplink", "unset", "nic")
    assert "ovs-vsctl clear port nic tag vlan_mode" in refusal(
        site, "uplink", "set", "nic", "--network", "red"
    )


def test_the_bridges_own_interface_is_no_port(site: Site) -> None:
    site.apply(TALKS, site.port_document(1, ["talks"]))
    assert "can be an uplink but not a port" in refusal(site, "port", "bind", "w1", "br0")
    site.ovs.vsctl("set", "interface", "br0", "external_ids:iface-id=w1")
    told(site, "br0", "ovs-vsctl add-port br0 NAME -- set interface NAME type=internal")
    site.ovs.vsctl("remove", "interface", "br0", "external_ids", "iface-id")
    wait_until(lambda: problems(site) == {}, "no problem is reported")


def test_mirrors(site: Site) -> None:
    client, server = plug_pair(site)
    mirror = ("--id=@m", "create", "mirror", "name=m0", "select_all=true")
    site.ovs.vsctl(
        "--",
        "--id=@p",
        "get",
        "port",
        "w2",
        "--",
        *mirror,
        "output-port=@p",
        "--",
        "set",
        "bridge",
        "br0",
        "mirrors=@m",
    )
    told(site, "w2", "it is the output of the mirror m0")
    assert not connects(client, server, "10.0.0.2", 80)
    site.sgctl("port", "unbind", "w2")
    wait_until(lambda: problems(site) == {}, "an interface that is only a mirror output")
    assert "1 mirror" in site.sgctl("status")
    assert "by mirror m0" in site.sgctl("get", "bindings", "-o", "wide")
    assert "the output of the mirror m0" in refusal(site, "port", "bind", "w2", "w2")
    site.ovs.vsctl("clear", "bridge", "br0", "mirrors")
    site.sgctl("port", "bind", "w2", "w2", "--wait")
    assert problems(site) == {}
    assert connects(client, server, "10.0.0.2", 80)
    site.ovs.vsctl("--", *mirror, "output-vlan=7", "--", "set", "bridge", "br0", "mirrors=@m")
    wait_until(lambda: "in VLAN 7" in sgctl(site, "status").stdout, "the mirror into a VLAN")


def test_patch_ports_and_tunnels_whose_other_end_is_not_known(site: Site) -> None:
    site.add_bridge("br1")
    for name, peer, bridge in (("here", "there", "br0"), ("there", "elsewhere", "br1")):
        site.ovs.vsctl(
            "add-port", bridge, name, "--", "set", "interface", name, "type=patch", f"options:peer={peer}"
        )
    assert "its peer 'there' is not a patch port to here" in refusal(site, "uplink", "set", "here", "--all")
    site.ovs.vsctl("set", "interface", "there", "options:peer=here")
    site.sgctl("uplink", "set", "here", "--network", NETWORK, "--wait")
    wait_until(lambda: "here" not in problems(site), "a pair of patch ports")
    site.ovs.vsctl("del-port", "there")
    told(site, "here", "its peer 'there' does not exist")
    site.ovs.vsctl("del-port", "here")
    columns = [
        "type=vxlan",
        "options:remote_ip=flow",
        "options:key=flow",
        f"external_ids:sgctl-uplink={NETWORK}",
    ]
    site.ovs.vsctl("add-port", "br0", "vx", "--", "set", "interface", "vx", *columns)
    told(
        site,
        "vx",
        "sgctl's flows do not set the end points of a tunnel: options:remote_ip=flow, options:key=flow",
    )
