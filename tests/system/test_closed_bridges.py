"""Bridges that cannot connect to the controller: they are closed, and `sgctl status` names the remedy."""

from __future__ import annotations

import json
import shlex

import pytest

from lab import process
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, tcp_in

pytestmark = pytest.mark.switch


def problems(site: Site) -> list[str]:
    """The problems in `sgctl status`, without the host's name."""
    report = json.loads(site.sgctl.run("status", "-o", "json").stdout)
    names = [host["name"] for host in report["hosts"]]
    return [str(problem).replace(f"{names[0]}/", "") if names else problem for problem in report["problems"]]


def settled(site: Site, expected: list[str]) -> None:
    """Wait until status reports exactly these problems."""
    process.wait_until(lambda: problems(site) == expected, f"status says {expected}")


def mend(site: Site, problem: str) -> None:
    """Run the command at the end of a problem's text."""
    program, *arguments = shlex.split(problem.rpartition("run `")[2].removesuffix("`"))
    assert program == "ovs-vsctl"
    site.ovs.vsctl(*arguments)


def policy(site: Site) -> None:
    site.sgctl.apply(
        [
            document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]),
            group("client", ALL_OUT),
            group("server", tcp_in(80)),
            site.port_document(1, ["client"]),
            site.port_document(2, ["server"]),
        ]
    )


def test_a_bridge_with_another_openflow_version_is_closed_and_reported(empty_site: Site) -> None:
    site, ovs = empty_site, empty_site.ovs
    ovs.add_bridge("br0", "protocols=OpenFlow13")
    policy(site)
    client, server = site.plug("br0", 1), site.plug("br0", 2)
    assert connects(client, server, "10.0.0.2", 81), "without a controller the bridge is a learning switch"
    ovs.vsctl("set-controller", "br0", site.controller.target)
    told = (
        "switch br0: does not speak OpenFlow 1.4 (its protocols: OpenFlow13): "
        "run `ovs-vsctl add bridge br0 protocols OpenFlow14`"
    )
    settled(site, ["switch br0 is not connected", told])
    assert ovs.vsctl("get", "bridge", "br0", "fail_mode").strip() == "secure"
    for port in (80, 81):
        assert not connects(client, server, "10.0.0.2", port)
    assert "bridge br0: does not speak OpenFlow 1.4" in site.controller.log.read_text()

    mend(site, told)
    settled(site, [])
    assert connects(client, server, "10.0.0.2", 80)
    assert not connects(client, server, "10.0.0.2", 81)


def test_ports_on_a_bridge_without_this_controller_are_reported(empty_site: Site) -> None:
    site, ovs = empty_site, empty_site.ovs
    policy(site)
    ovs.add_bridge("br0")
    settled(site, ["switch br0 is not connected"])
    client, server = site.plug("br0", 1), site.plug("br0", 2)
    mended = f"run `ovs-vsctl set-controller br0 {site.controller.target}`"
    nobody = f"switch br0: ports of the policy are on it, and it has no controller: {mended}"
    settled(site, ["switch br0 is not connected", nobody])
    ovs.vsctl("set-controller", "br0", "tcp:127.0.0.1:1")
    stranger = f"switch br0: ports of the policy are on it, and its controller is tcp:127.0.0.1:1: {mended}"
    settled(site, ["switch br0 is not connected", stranger])
    assert ovs.vsctl("get", "bridge", "br0", "fail_mode").strip() == "[]", "it is not ours to close"

    mend(site, stranger)
    settled(site, [])
    assert connects(client, server, "10.0.0.2", 80)
    assert not connects(client, server, "10.0.0.2", 81)


def test_bridges_with_the_same_datapath_id_are_closed_and_reported(empty_site: Site) -> None:
    site, ovs = empty_site, empty_site.ovs
    policy(site)
    for name in ("br0", 'br"1'):
        ovs.add_bridge(name, "other_config:datapath-id=00000000000000ab")
        ovs.vsctl("set-controller", name, site.controller.target)
    client, server = site.plug("br0", 1), site.plug("br0", 2)

    def told(name: str, other: str) -> bool:
        start = f"switch {name}: has the datapath id of {other}; none of them is enforced: run "
        return any(problem.startswith(start) for problem in problems(site))

    process.wait_until(lambda: told("br0", 'br"1') and told('br"1', "br0"), "both are reported")
    for name in ("br0", 'br"1'):
        assert ovs.vsctl("get", "bridge", name, "fail_mode").strip() == "secure"
    for port in (80, 81):
        assert not connects(client, server, "10.0.0.2", port)

    mend(site, next(each for each in problems(site) if each.startswith('switch br"1: has')))
    settled(site, [])
    assert connects(client, server, "10.0.0.2", 80)
    assert not connects(client, server, "10.0.0.2", 81)
