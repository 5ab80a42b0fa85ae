"""Two stock Debian hosts: one policy, packets between the hosts, and a reboot of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from lab.guest import REPOSITORY
from lab.machine import CLONE, Image, Machine, Wire
from lab.process import wait_until

DATABASE = "tcp:192.0.2.1:6641"
SCHEMA = f"{CLONE}/sgctl/store/sgctl.ovsschema"
SERVE = f"""\
mkdir -p /var/lib/sgctl /var/run/sgctl
[ -e /var/lib/sgctl/cluster.db ] ||
    ovsdb-tool create-cluster /var/lib/sgctl/cluster.db {SCHEMA} tcp:192.0.2.1:6643
ovsdb-server --detach --pidfile=/var/run/sgctl/cluster.pid --unixctl=/var/run/sgctl/cluster.ctl \
    --log-file=/var/run/sgctl/cluster.log --remote=ptcp:6641:192.0.2.1 /var/lib/sgctl/cluster.db
"""
"""docs/database.md, with a cluster of one."""
BOOT = """\
[Unit]
Before=openvswitch-switch.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/bash /root/boot.sh
[Install]
WantedBy=multi-user.target
"""
FORBIDDEN = 9999
HEARD = "/root/heard"


class Site(NamedTuple):
    """A host with one machine (a namespace), which is in one security group."""

    host: Machine
    machine: str
    group: str
    number: int

    @property
    def address(self) -> str:
        """The IPv4 address of the machine."""
        return f"10.0.0.{self.number}"

    @property
    def mac(self) -> str:
        """The MAC of the machine."""
        return f"02:00:00:00:00:0{self.number}"

    def sgctl(self, command: str) -> str:
        """Run `sgctl` on the host, with more patience because the host is slow."""
        return self.host.run(
            f"cd {CLONE}; SGCTL_PATIENCE=10 SGCTL_DB={DATABASE} .venv/bin/sgctl {command}", 120
        )

    def serves_api(self) -> bool:
        """Whether the REST API of the host's controller answers."""
        return self.host.attempt("curl -s http://127.0.0.1:9696/")[0] == 0

    def reaches(self, url: str) -> bool:
        """Whether the machine can fetch the URL."""
        return self.host.attempt(f"ip netns exec {self.machine} curl -sf -m 5 -o /dev/null {url}")[0] == 0

    def pings(self, address: str) -> bool:
        """Whether the machine gets an answer to a ping."""
        return self.host.attempt(f"ip netns exec {self.machine} ping -c1 -W2 {address}")[0] == 0

    def has_heard(self) -> bool:
        """Whether anything has ever reached the machine's port FORBIDDEN."""
        return self.host.attempt(f"test -s {HEARD}")[0] == 0


def boot_script(site: Site) -> str:
    """The script that sets up the host's network and its machine at each boot."""
    machine = site.machine
    return f"""\
ip address add 192.0.2.{site.number}/24 dev eth0; ip link set eth0 up; ip link set eth1 up; ip link set lo up
ip netns add {machine}
ip link add {machine} type veth peer name eth0 address {site.mac} netns {machine}
ip -n {machine} address add {site.address}/24 dev eth0
ip -n {machine} link set eth0 up
ip link set {machine} up
for port in 80 3306; do
    systemd-run --quiet ip netns exec {machine} python3 -m http.server -d /var/empty $port
done
systemd-run --quiet ip netns exec {machine} python3 -c '
import socket
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(("", {FORBIDDEN}))
while True:
    open("{HEARD}", "ab", 0).write(heard.recv(100))'
{SERVE if site.number == 1 else ""}"""


def set_up(site: Site) -> None:
    """Set up a host with a bridge, a machine on it, and the controller as a service."""
    unit = (REPOSITORY / "docs/sgctl.service").read_text().replace("/opt/sgctl", f"{CLONE}/.venv")
    files = {
        "/root/boot.sh": boot_script(site),
        "/etc/systemd/system/boot.service": BOOT,
        "/etc/systemd/system/sgctl.service": unit,
        "/etc/default/sgctl": f"SGCTL_DB={DATABASE}\n",
    }
    for name, text in files.items():
        site.host.run(f"mkdir -p /var/empty; cat >{name} <<'END'\n{text}END")
    site.host.run("systemctl enable --now boot")
    site.host.run(
        "ovs-vsctl add-br br0 -- set-controller br0 tcp:127.0.0.1:6653 -- add-port br0 eth1 "
        f"-- add-port br0 {site.machine}"
    )
    site.host.run("systemctl enable --now sgctl")
    wait_until(site.serves_api, "the controller serves", 120)


def is_enforced(web: Site, database: Site) -> None:
    """Check that the first policy is enforced between the hosts, both ways."""
    assert web.reaches(f"http://{database.address}:3306/")
    assert not web.reaches(f"http://{database.address}:80/")
    assert not web.pings(database.address)
    assert not database.reaches(f"http://{web.address}:80/")
    for site in web, database:
        assert site.sgctl("verify").strip() == "br0: as expected"


def reboot(site: Site, other: Site, enforced: Callable[[], None]) -> None:
    """Reboot a host while the other host's machine sends packets that must never reach its machine."""
    other.host.run(f"ip -n {other.machine} neigh replace {site.address} lladdr {site.mac} dev eth0")
    send = f"while sleep 0.05; do echo forbidden >/dev/udp/{site.address}/{FORBIDDEN}; done"
    other.host.run(f"systemd-run --quiet --unit=sender ip netns exec {other.machine} bash -c '{send}'")
    site.host.reboot()
    enforced()
    assert not site.has_heard(), "nothing forbidden arrived at any time of the boot"
    allow = f"security-group rule create {site.group} --ingress --protocol udp --dst-port {FORBIDDEN} --wait"
    other.sgctl(allow)
    wait_until(site.has_heard, "allowed traffic arrives", 30)
    other.host.run("systemctl stop sender")


def test_two_stock_hosts_and_their_reboots(images: Callable[[str], Image], hosts: ExitStack) -> None:
    wires = hosts.enter_context(Wire()), hosts.enter_context(Wire())
    web, database = (
        Site(hosts.enter_context(Machine(images(suite), name, wires, number)), machine, group, number)
        for number, suite, name, machine, group in (
            (1, "bookworm", "node-1.example.org", "web1", "web"),
            (2, "trixie", "node-2.example.org", "db1", "database"),
        )
    )
    for site in web, database:
        set_up(site)
    web.sgctl("apply -f docs/first-policy.yaml")
    for site in web, database:
        site.sgctl(f"port bind {site.machine} {site.machine}")
        site.sgctl("uplink set eth1 --network lab")
    web.sgctl("wait --timeout 60")
    assert web.sgctl("status").count("br0") >= 2
    is_enforced(web, database)

    def enforced() -> None:
        wait_until(partial(web.reaches, f"http://{database.address}:3306/"), "allowed connections pass", 120)
        is_enforced(web, database)

    reboot(database, web, enforced)
    database.sgctl(
        f"security-group rule create database --egress --protocol udp --dst-port {FORBIDDEN} --wait"
    )
    reboot(web, database, enforced)
    for site in web, database:
        site.host.power_off()
