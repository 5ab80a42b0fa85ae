"""The watcher of the switch database, with a real switch and simulated devices."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from lab.ovs import PrivateOvs
from sgctl.store import StoreError
from sgctl.vswitch.devices import Interface
from sgctl.vswitch.local_switches import Bridge, LocalSwitches
from sgctl.vswitch.uplinks import Declaration
from tests.store.waiting import watch_until


@pytest.fixture
def local(dummy_ovs: PrivateOvs) -> Iterator[LocalSwitches]:
    """A watcher of a switch with one bridge, `br0`, of datapath id 1."""
    dummy_ovs.add_bridge("br0", "other_config:datapath-id=0000000000000001", "fail_mode=secure")
    with closing(LocalSwitches.connect(dummy_ovs.remote)) as local:
        yield local


def interfaces(local: LocalSwitches, dpid: int = 1) -> dict[str, Interface]:
    return {interface.name: interface for interface in local.bridges[dpid].interfaces}


def seen(local: LocalSwitches, name: str) -> Callable[[], bool]:
    return lambda: name in interfaces(local)


def test_a_bridge_without_ports_has_no_interfaces(local: LocalSwitches) -> None:
    assert local.bridges == {1: Bridge("br0", 1, "secure", (), "netdev")}


def test_the_chassis_is_open_vswitchs_system_id_or_the_host(
    local: LocalSwitches, dummy_ovs: PrivateOvs
) -> None:
    dummy_ovs.vsctl("remove", "Open_vSwitch", ".", "external_ids", "system-id")
    watch_until(local, lambda: local.chassis == socket.gethostname())
    dummy_ovs.vsctl("set", "Open_vSwitch", ".", "external_ids:system-id=host-7")
    watch_until(local, lambda: local.chassis == "host-7")


def test_ports_appear_with_what_their_interface_says(local: LocalSwitches, dummy_ovs: PrivateOvs) -> None:
    dummy_ovs.add_port("br0", "p2", "ofport_request=2", "external_ids:iface-id=web1", "external_ids:x=y")
    dummy_ovs.add_port("br0", "p1", "ofport_request=1", 'external_ids:sgctl-uplink="blue,red"')
    watch_until(local, lambda: len(interfaces(local)) == 2)
    assert local.bridges[1].interfaces == (
        Interface("p1", 1, "", "blue,red"),
        Interface("p2", 2, "web1", None),
    )


def test_every_change_of_an_interface_is_seen(local: LocalSwitches, dummy_ovs: PrivateOvs) -> None:
    dummy_ovs.add_port("br0", "p1", "ofport_request=1", "external_ids:iface-id=web1")
    watch_until(local, seen(local, "p1"))

    dummy_ovs.vsctl("set", "Interface", "p1", "ofport_request=9")
    watch_until(local, lambda: interfaces(local)["p1"].ofport == 9)

    dummy_ovs.vsctl("set", "Interface", "p1", "external_ids:iface-id=web2")
    watch_until(local, lambda: interfaces(local)["p1"].iface_id == "web2")

    dummy_ovs.vsctl("remove", "Interface", "p1", "external_ids", "iface-id")
    watch_until(local, lambda: interfaces(local)["p1"].iface_id == "")

    dummy_ovs.vsctl("del-port", "p1", "--", "add-port", "br0", "renamed")
    watch_until(local, lambda: set(interfaces(local)) == {"renamed"})

    dummy_ovs.vsctl("del-port", "renamed")
    watch_until(local, lambda: not interfaces(local))


def test_run_tells_whether_something_has_changed(local: LocalSwitches, dummy_ovs: PrivateOvs) -> None:
    assert not local.run()
    dummy_ovs.add_port("br0", "p1", "ofport_request=1")
    local.block(5)
    watch_until(local, seen(local, "p1"))
    dummy_ovs.vsctl("set", "Interface", "p1", "external_ids:unrelated=1")
    local.block(5)
    assert not local.run()


def test_bridges_come_and_go(local: LocalSwitches, dummy_ovs: PrivateOvs) -> None:
    dummy_ovs.add_bridge("br1", "other_config:datapath-id=00000000000000ff")
    dummy_ovs.add_port("br1", "p1", "ofport_request=1")
    watch_until(local, lambda: 0xFF in local.bridges and "p1" in interfaces(local, 0xFF))
    assert local.bridges[0xFF].fail_mode == ""
    dummy_ovs.vsctl("del-br", "br0")
    watch_until(local, lambda: set(local.bridges) == {0xFF})


def test_binding_declaring_an_uplink_and_securing_are_written(
    local: LocalSwitches, dummy_ovs: PrivateOvs
) -> None:
    dummy_ovs.add_bridge("br1", "other_config:datapath-id=0000000000000002")
    dummy_ovs.add_port("br1", "p1", "ofport_request=1", "external_ids:other=kept")
    watch_until(local, lambda: 2 in local.bridges and "p1" in interfaces(local, 2))

    local.bind("p1", "web1")
    declared = Declaration("blue,red", "blue=1,red=2")
    local.set_uplink("p1", declared)
    local.secure("br1")
    local.run()
    p1 = Interface("p1", 1, "web1", declared.names, uplink_ids=declared.ids)
    assert local.bridges[2] == Bridge("br1", 2, "secure", (p1,), "netdev")
    assert "other=kept" in dummy_ovs.vsctl("get", "Interface", "p1", "external_ids")

    local.settle_uplink("p1", Declaration("green"), Declaration("grey", "grey=4"))
    local.run()
    assert interfaces(local, 2)["p1"].declaration == declared
    local.settle_uplink("p1", declared, Declaration("white,red", "white=1,red=2"))
    local.run()
    assert interfaces(local, 2)["p1"].declaration == Declaration("white,red", "white=1,red=2")

    local.bind("p1", "")
    local.set_uplink("p1", None)
    local.run()
    assert interfaces(local, 2)["p1"] == Interface("p1", 1, "", None)


def test_a_bond_is_declared_on_its_port(local: LocalSwitches, dummy_ovs: PrivateOvs) -> None:
    dummy_ovs.vsctl("add-bond", "br0", "bond0", "m1", "m2")
    watch_until(local, lambda: "bond0" in interfaces(local, 1))
    for declared in (Declaration("blue", "blue=1"), Declaration("sky", "sky=1")):
        before = interfaces(local, 1)["bond0"].declaration
        if before is None:
            local.set_uplink("bond0", declared)
        else:
            local.settle_uplink("bond0", before, declared)
        local.run()
        assert interfaces(local, 1)["bond0"].declaration == declared
    assert "sky" in dummy_ovs.vsctl("get", "Port", "bond0", "external_ids:sgctl-uplink-ids")


def test_a_failed_write_is_an_error(local: LocalSwitches) -> None:
    with pytest.raises(StoreError, match="there is no interface nope"):
        local.bind("nope", "web1")
    with pytest.raises(StoreError, match="there is no bridge nope"):
        local.secure("nope")
    with pytest.raises(StoreError, match="at least one network"):
        local.set_uplink("br0", Declaration(""))


def test_a_restart_of_the_switch_changes_nothing_that_has_not_changed(
    local: LocalSwitches, dummy_ovs: PrivateOvs
) -> None:
    dummy_ovs.add_port("br0", "p1", "ofport_request=5", "external_ids:iface-id=web1")
    watch_until(local, seen(local, "p1"))
    before = local.bridges
    dummy_ovs.stop()
    local.run()
    assert not local.connected
    assert local.bridges == before
    dummy_ovs.start_database()
    dummy_ovs.start_switch()
    watch_until(local, lambda: local.connected)
    assert local.bridges == before


def test_without_open_vswitch_connecting_fails_in_time() -> None:
    with pytest.raises(StoreError, match="is Open vSwitch running"):
        LocalSwitches.connect("unix:/nonexistent/db.sock", 0.3)


def test_prefixes_are_set_unless_a_user_has_set_others(local: LocalSwitches, dummy_ovs: PrivateOvs) -> None:
    own = "--id=@own", "create", "Flow_Table", "name=own"
    dummy_ovs.vsctl("set", "Bridge", "br0", "flow_tables:5=@own", "--", *own)
    ranked = {5: ["ipv6_dst"], 6: ["ipv6_dst", "nw_dst"], 7: ["ipv6_src", "nw_src", "nw_dst", "ipv6_dst"]}
    for _ in range(2):
        local.track_prefixes("br0", ranked)
    prefixes = {}
    for number in ranked:
        row = dummy_ovs.vsctl("get", "Bridge", "br0", f"flow_tables:{number}").strip()
        fields = dummy_ovs.vsctl("get", "Flow_Table", row, "prefixes").strip("[]\n")
        prefixes[number] = set(filter(None, fields.split(", ")))
    assert prefixes[5] == set()
    assert prefixes[6] == {"ipv6_dst", "nw_dst"}
    assert prefixes[7] in ({"ipv6_src", "nw_src", "nw_dst"}, set(ranked[7]))
