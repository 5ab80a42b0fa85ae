"""keepalived's virtual router on one bridge and on two: all hosts reach its address wherever it is.

An ordinary learning switch joins the bridges and a host outside. Every host runs `ping` continuously, which
shows for how long the address was unreachable; the figures are properties of the test's report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest

from lab.netns import Workload
from lab.process import run, wait_until
from lab.site import NETWORK, Site, connects, group, mac, tcp_in
from lab.workloads import Workloads
from tests.system.honest import TALKS, keepalived, pings, program

pytestmark = pytest.mark.switch

SHARED = "10.0.0.100"
ROUTER_ID = 10
SHARED_MAC = f"00:00:5e:00:01:{ROUTER_ID:02x}"
"""RFC 5798 section 7.3."""
VRRP = {"direction": "ingress", "protocol": "vrrp", "remote_group": "routers"}
PING = {"direction": "ingress", "protocol": "icmp", "type": 8}
LAN = "lan"
ROUTERS = MASTER, BACKUP = 1, 2
ANSWER = re.compile(r"^\[(\d+\.\d+)\] .* icmp_seq=", re.MULTILINE)


@contextmanager
def joined(site: Site, bridge: str) -> Iterator[None]:
    """Connect the bridge to the learning switch by a cable, which is an uplink of the bridge."""
    near, far = f"{bridge}-{LAN}", f"{LAN}-{bridge}"
    run(["ip", "link", "add", near, "type", "veth", "peer", "name", far])
    try:
        for end in (near, far):
            run(["ip", "link", "set", end, "up"])
        site.ovs.add_port(bridge, near, f"external_ids:sgctl-uplink={NETWORK}")
        site.ovs.add_port(LAN, far)
        yield
    finally:
        run(["ip", "link", "delete", near])


@dataclass(frozen=True)
class Case:
    """The bridges of the two routers and their neighbours, and whether the routers share a MAC."""

    name: str
    places: dict[int, str]
    shared_mac: bool

    @property
    def pairs(self) -> dict[int, list[dict[str, str]]]:
        """The allowed address pairs of both routers.

        Linux answers from its own MAC, by the first route; advertisements come from the shared MAC.
        """
        return {number: [{"ip_address": SHARED}, *self._from_shared_mac(number)] for number in ROUTERS}

    def _from_shared_mac(self, number: int) -> list[dict[str, str]]:
        addresses = (SHARED, f"10.0.0.{number}") if self.shared_mac else ()
        return [{"ip_address": address, "mac_address": SHARED_MAC} for address in addresses]


ONE_BRIDGE = {MASTER: "br0", BACKUP: "br0", 3: "br0", 4: "br2"}
TWO_BRIDGES = {MASTER: "br0", BACKUP: "br1", 3: "br0", 4: "br1", 5: "br2"}
CASES = [
    Case("two bridges", TWO_BRIDGES, shared_mac=False),
    Case("one bridge, shared MAC", ONE_BRIDGE, shared_mac=True),
    Case("two bridges, shared MAC", TWO_BRIDGES, shared_mac=True),
]


@dataclass(frozen=True)
class Routers:
    """Both routers and the hosts that ping their address. Without a failure the first router has it."""

    master: Workload
    backup: Workload
    neighbours: dict[str, Workload]


@pytest.fixture(params=CASES, ids=lambda case: case.name.replace(" ", "-"))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def routers(case: Case, site: Site, workloads: Workloads, tmp_path: Path) -> Iterator[Routers]:
    for bridge in sorted({*case.places.values()} - {"br0"}):
        site.add_bridge(bridge)
    site.ovs.add_bridge(LAN, "fail_mode=standalone")
    site.apply(TALKS, group("routers", VRRP, PING, tcp_in(80)))
    site.apply(*(port(site, number, case) for number in case.places))
    hosts = {number: site.plug(bridge, number) for number, bridge in case.places.items()}
    outside = workloads.by_name["outside"] = Workload("outside", mac(200), ["10.0.0.200/24"])
    site.ovs.add_port(LAN, "outside")
    neighbours = {f"w{number}": host for number, host in hosts.items() if number not in ROUTERS}
    all_of_them = Routers(hosts[MASTER], hosts[BACKUP], {**neighbours, "outside": outside})
    with ExitStack() as running:
        for bridge in sorted({*case.places.values()}):
            running.enter_context(joined(site, bridge))
        site.sgctl.wait()
        for host, priority in ((hosts[MASTER], 150), (hosts[BACKUP], 100)):
            more = f"use_vmac vrrp.{ROUTER_ID}" if case.shared_mac else ""
            command = keepalived(tmp_path / host.name, priority, SHARED, more)
            running.enter_context(program(host, tmp_path / f"{host.name}.log", *command))
        wait_until(lambda: holds(all_of_them.master) and not holds(all_of_them.backup), "a master")
        for name in ("w3", "w4") if case.shared_mac else ():  # no longer use ARP for the shared address
            fixed = ("lladdr", SHARED_MAC, "dev", "eth0", "nud", "permanent")
            all_of_them.neighbours[name].run("ip", "neighbour", "replace", SHARED, *fixed)
        yield all_of_them


def port(site: Site, number: int, case: Case) -> dict[str, Any]:
    pairs = case.pairs.get(number, [])
    groups = ["talks", "routers"] if number in case.pairs else ["talks"]
    return site.port_document(number, groups, allowed_address_pairs=pairs)


def holds(host: Workload) -> bool:
    return f" {SHARED}/" in host.run("ip", "-oneline", "-4", "address")


class Outages:
    """Runs `ping` to the shared address on many hosts during a `with` block; measures gaps in the answers."""

    def __init__(self, hosts: dict[str, Workload], folder: Path) -> None:
        self._hosts = hosts
        folder.mkdir()
        self._logs = {name: folder / f"{name}.ping" for name in hosts}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        for name, host in self._hosts.items():
            command = ["ping", "-D", "-n", "-i", "0.02", "-W", "1", SHARED]
            self._running.enter_context(program(host, self._logs[name], *command))
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _answers(self, name: str) -> list[float]:
        return [float(time) for time in ANSWER.findall(self._logs[name].read_text())]

    def wait(self) -> None:
        """Wait until every host gets answers (again); LabError if a host does not."""
        before = {name: len(self._answers(name)) for name in self._hosts}
        for name in self._hosts:
            wait_until(lambda: len(self._answers(name)) > before[name] + 5, f"answers for {name}")  # noqa: B023

    def milliseconds(self) -> dict[str, int]:
        """The longest time without an answer so far, by host."""
        return {
            name: round(1000 * max(later - earlier for earlier, later in pairwise(self._answers(name))))
            for name in self._hosts
        }


def test_the_shared_address_follows_its_holder(
    site: Site, case: Case, routers: Routers, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """No controller is running while the address moves."""
    master, backup, neighbour = routers.master, routers.backup, routers.neighbours["w3"]
    assert pings(backup, SHARED), "the stand-by itself"
    site.controller.kill()
    with Outages(routers.neighbours, tmp_path / "failover") as outages:
        master.run("ip", "link", "set", "eth0", "down")
        wait_until(lambda: holds(backup), "the failover")
        outages.wait()
        record_property(f"failover, {case.name}, ms", outages.milliseconds())
    assert connects(neighbour, backup, SHARED, 80)
    site.controller.start()
    site.sgctl.wait()
    assert connects(neighbour, backup, SHARED, 80), "a controller that starts leaves it where it is"
    with Outages(routers.neighbours, tmp_path / "back") as outages:
        master.run("ip", "link", "set", "eth0", "up")
        wait_until(lambda: holds(master) and not holds(backup), "the failback")
        outages.wait()
        record_property(f"way back, {case.name}, ms", outages.milliseconds())
    assert connects(neighbour, master, SHARED, 80)
    assert site.sgctl("verify", "--bridge", "br0") == "br0: as expected\n"
