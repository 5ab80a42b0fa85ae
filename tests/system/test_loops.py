"""Two uplinks into one segment: one of them is closed, and opened when the other is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.netns import Workload
from lab.packet_tap import PacketTap
from lab.process import wait_until
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, mac, tcp_in
from lab.workloads import Workloads
from tests.system.devices import problems, told
from tests.system.lan import Lan, heard

pytestmark = pytest.mark.switch

WIRES = ("nic1", "nic2")
PROBE = bytes.fromhex("03736763746c")


@pytest.fixture
def lan(site: Site) -> Iterator[Lan]:
    """The outside switch, and two wires from the bridge to it."""
    with Lan("lan", WIRES) as made:
        for wire in WIRES:
            site.ovs.vsctl("add-port", "br0", wire)
        site.apply(group("talks", ALL_OUT, tcp_in(80)), site.port_document(1, ["talks"]))
        yield made


def machine(lan: Lan, workloads: Workloads, name: str, number: int) -> Workload:
    """A machine on the outside switch."""
    made = workloads.by_name[name] = Workload(name, mac(number), [f"10.0.0.{number}/24"])
    lan.join(name)
    return made


def declare(site: Site, *wires: str) -> None:
    for wire in wires:
        site.sgctl("uplink", "set", wire, "--network", NETWORK)
    site.sgctl.wait()


def test_one_of_two_uplinks_to_the_same_segment_is_closed(site: Site, lan: Lan, workloads: Workloads) -> None:
    outside, local = machine(lan, workloads, "outside", 200), site.plug("br0", 1)
    declare(site, *WIRES)
    told(site, "nic2", "network blue is closed here: nic1 leads to the same segment")
    assert problems(site).keys() == {"nic2"}
    assert "nic2 leads to the same segment as nic1" in site.controller.log.read_text()
    assert connects(local, outside, "10.0.0.200", 80)
    assert connects(outside, local, "10.0.0.1", 80)
    assert heard(outside, local) == 1
    assert heard(outside, outside) == 0, "the broadcast came back"
    assert site.sgctl("verify").strip() == "br0: as expected"

    site.controller.kill()
    site.controller.start()
    site.sgctl.wait()
    assert "nic2" in problems(site), "another controller sees the loop at once"
    wait_until(lambda: problems(site).keys() == {"nic2"}, "there is no other problem")

    lan.leave("nic1-far")
    wait_until(lambda: problems(site) == {}, "the remaining path", 40)
    assert connects(local, outside, "10.0.0.200", 80)
    assert heard(outside, local) == 1
    lan.join("nic1-far")
    told(site, "nic2", "closed here")
    site.sgctl("uplink", "unset", "nic1")
    site.sgctl("uplink", "set", "nic2", "--network", NETWORK, "--wait")
    assert "nic2" not in problems(site)
    assert connects(local, outside, "10.0.0.200", 80)


def test_only_networks_with_a_loop_are_closed(site: Site, lan: Lan) -> None:
    assert lan.name
    site.apply(document("Network", "red", segmentation_id=5), document("Network", "green", segmentation_id=6))
    site.sgctl("uplink", "set", "nic1", "--network", NETWORK, "--network", "red")
    site.sgctl("uplink", "set", "nic2", "--network", NETWORK, "--network", "green")
    told(site, "nic2", "network blue is closed here")
    flows = site.ovs.ofctl("--names", "dump-flows", "br0", "table=0,in_port=nic2")
    assert "dl_vlan=6" in flows
    assert "vlan_tci=0x0000" not in flows
    assert problems(site).keys() == {"nic2"}


def test_replayed_probes_close_nothing(site: Site, lan: Lan, workloads: Workloads) -> None:
    """Two segments; a host on each replays all probes, and uses the MACs of our workloads."""
    with Lan("other", []) as other:
        lan.leave("nic2-far")
        other.join("nic2-far")
        local = site.plug("br0", 1)
        mallory, trent = machine(lan, workloads, "mallory", 66), machine(other, workloads, "trent", 77)
        declare(site, *WIRES)
        taps = []
        for host in (mallory, trent):
            with host.inside():
                taps.append(PacketTap("eth0"))
        for tap in taps:
            for _ in range(30):
                tap.wait(0.2)
                probes = [frame for frame in tap.received if frame.startswith(PROBE)]
                if len(probes) > 1:
                    break
            assert len(probes) > 1
            forged = bytes.fromhex("ffffffffffff020000000001") + bytes.fromhex("0806") + bytes(46)
            tap.send([*probes, forged] * 20)
        site.sgctl.wait()
        assert heard(trent, mallory) == 1
        assert connects(local, mallory, "10.0.0.66", 80)
        assert connects(local, trent, "10.0.0.77", 80)
        assert problems(site) == {}
        for tap in taps:
            tap.close()
        lan.join("nic2-far")
