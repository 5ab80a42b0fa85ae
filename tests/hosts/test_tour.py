"""README's tour on a stock Debian host, command by command, on both datapaths."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from uuid import UUID

import pytest

from lab.machine import CLONE, Image, Machine
from lab.process import wait_until
from tests.hosts import tour
from tests.hosts.conftest import SUITES

SESSION = "/run/tour"
NETDEV = "datapath_type=netdev "
PING = "ip netns exec web1 ping -c1 -W1 10.0.0.2"


def type_in(host: Machine, command: str) -> tuple[int | None, str]:
    """Run a command as in one shell session: variables are kept from one command to the next."""
    keep = f"status=$?; export -p >{SESSION}; exit $status"
    return host.attempt(f"cd {CLONE}; [ ! -e {SESSION} ] || . {SESSION}; {command}\n{keep}", 120)


def take(host: Machine, step: tour.Step) -> None:
    """Run a command, and check for the lines that README prints after it."""
    code, output = type_in(host, step.command)
    assert not step.missing(output), f"{step.command}\n{output}"
    assert code == 0 or step.printed, f"{step.command}: exit {code}\n{output}"
    if step.command.endswith("&"):
        (port,) = re.findall(r" (\d+) ", step.command)
        listening = f"ip netns exec db1 ss -Hltn 'sport = {port}' | grep -q ."
        wait_until(lambda: host.attempt(listening)[0] == 0, f"port {port} listens", 60)


def tour_on(host: Machine, change: Callable[[str], str]) -> None:
    """Run the whole tour; `change` is applied to each command."""
    start, *others = [step._replace(command=change(step.command)) for step in tour.steps()]
    host.run(f"rm -rf {SESSION} /var/lib/sgctl")
    host.run(
        f"cd {CLONE}; setsid {start.command} </dev/null >/var/log/controller 2>&1 & echo $! >/run/controller"
    )
    wait_until(lambda: host.attempt("curl -s http://127.0.0.1:9696/")[0] == 0, "the controller serves", 120)
    host.run("ip link add eth1 type veth peer name lan; ip link set eth1 up")
    for step in others:
        if "apply" in step.command:
            assert "0 received" in host.attempt(PING)[1], "nothing passes yet"
        take(host, step)
    assert type_in(host, "sgctl status")[0] == 0


def clean_up(host: Machine) -> None:
    """Run the commands that README gives at the end of the tour."""
    host.run("ovs-vsctl del-br br0; ip netns delete web1; ip netns delete db1; ip link delete lan")
    host.run("pkill -INT -s $(cat /run/controller)")
    wait_until(lambda: host.attempt("pgrep ryu-manager")[0] == 1, "the controller has ended", 60)
    assert host.run("pgrep -c ovs-vswitchd").strip() == "1", "the distribution's switch keeps running"


@pytest.mark.parametrize("suite", SUITES, ids=SUITES.get)
def test_the_tour_on_a_stock_host(suite: str, images: Callable[[str], Image], hosts: ExitStack) -> None:
    host = hosts.enter_context(Machine(images(suite), "compute-1.example.org"))
    assert SUITES[suite] in host.run("echo Debian $(cat /etc/debian_version)")
    assert host.run("systemctl is-active openvswitch-switch").strip() == "active"
    UUID(host.run("ovs-vsctl get Open_vSwitch . external_ids:system-id").strip().strip('"'))

    tour_on(host, lambda command: command.replace(NETDEV, ""))
    assert "system@ovs-system" in host.run("ovs-appctl dpif/show"), "the kernel's datapath"
    clean_up(host)

    tour_on(host, str)
    assert "netdev@ovs-netdev" in host.run("ovs-appctl dpif/show"), "the userspace datapath"
    begin = time.monotonic()
    host.power_off()
    assert time.monotonic() - begin < 90, "the reboot does not wait for our processes"
