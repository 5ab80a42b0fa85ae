"""How a bridge and its controller reconnect after an interruption."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.controller import free_port
from lab.process import wait_until
from lab.site import ALL_OUT, Site, group, tcp_in

pytestmark = pytest.mark.switch

HELLO = bytes([5, 0, 0, 8, 0, 0, 0, 1])
"""The version number of OpenFlow 1.4."""


def test_a_restarted_switch_looks_for_its_controller_every_second(site: Site) -> None:
    """A restarted switch forgets the longest wait between attempts, until its configuration changes."""
    start_anew(site)
    site.controller.start()
    wait_until(lambda: came_by_itself(site), "the bridge has connected by itself")
    site.sgctl.wait()
    told = len(site.ovs.switch_log.read_text())
    site.controller.kill()

    def news() -> str:
        return site.ovs.switch_log.read_text()[told:]

    wait_until(lambda: news().count("connection failed") == 2, "the bridge has tried twice")
    assert "waiting 2 seconds" not in news()


def test_a_controller_connects_to_a_waiting_bridge_at_once(site: Site) -> None:
    site.apply(group("web", tcp_in(80), ALL_OUT), site.port_document(1, ["web"]))
    site.plug("br0", 1)
    site.sgctl.wait()
    start_anew(site)
    wait_until(lambda: "waiting 4 seconds" in site.ovs.switch_log.read_text(), "the bridge waits")
    site.controller.start()
    site.sgctl.wait()
    assert site.sgctl("verify") == "br0: as expected\n"
    assert not came_by_itself(site)
    before = ages(site)
    wait_until(lambda: came_by_itself(site), "the bridge has connected by itself")
    site.sgctl.wait()
    after = ages(site)
    assert after.keys() == before.keys()
    assert all(after[cookie] > before[cookie] for cookie in before), "no flow was sent again"
    assert role(site) == "master", "its own connection is in use"


LEARNING = "priority=0 actions=NORMAL"
"""The flow of a bridge that has lost its controller, or has none."""


def test_bridges_of_other_controllers_are_left_alone(site: Site) -> None:
    site.controller.kill()
    targets = {"other": f"tcp:127.0.0.1:{free_port()}", "none": "", "service": "ptcp:0:127.0.0.1"}
    for name, target in targets.items():
        site.ovs.add_bridge(name)
        if target:
            site.ovs.vsctl("set-controller", name, target)
    site.controller.start()
    site.sgctl.wait()
    site.apply(group("web", tcp_in(80)))
    for name in targets:
        assert site.ovs.ofctl("--no-stats", "dump-flows", name).strip() in {"", LEARNING}
        assert site.ovs.vsctl("get", "Bridge", name, "fail_mode").strip() == "[]"
        assert "disable-in-band" not in site.ovs.vsctl("get", "Bridge", name, "other_config")


def test_another_controller_of_the_bridge_is_not_disturbed(site: Site) -> None:
    with another_controller() as (server, target):
        site.ovs.vsctl("set-controller", "br0", site.controller.target, target)
        found = site.ovs.vsctl("--bare", "--columns=_uuid", "find", "Controller", f'target="{target}"')
        site.ovs.vsctl("set", "Controller", found.strip(), "inactivity_probe=0")  # it never answers
        connection, _ = server.accept()
        with connection:
            connection.sendall(HELLO)
            before = rows(site)
            site.controller.kill()
            site.controller.start()
            site.sgctl.wait()
            wait_until(lambda: "false" not in connected(site), "both controllers are connected")
            assert rows(site) == before
            for each in (connection, server):
                each.setblocking(False)
            assert connection.recv(1 << 16), "it has not been closed"
            with pytest.raises(BlockingIOError):
                server.accept()


def start_anew(site: Site) -> None:
    """Restart the switch without a controller, so that it waits between attempts as long as by default."""
    site.controller.kill()
    site.ovs.kill_switch()
    target = site.ovs.vsctl("--no-wait", "--bare", "--columns=_uuid", "list", "Controller").strip()
    site.ovs.vsctl("--no-wait", "clear", "Controller", target, "max_backoff")
    site.ovs.start_switch()


def connected(site: Site) -> str:
    """`true` or `false` for every controller."""
    return site.ovs.vsctl("--columns=is_connected", "list", "Controller")


def came_by_itself(site: Site) -> bool:
    """Whether the bridge itself has connected to its controller."""
    return "true" in connected(site)


def role(site: Site) -> str:
    """The OpenFlow role of the bridge's own connection."""
    return site.ovs.vsctl("--columns=role", "list", "Controller").split()[-1]


def rows(site: Site) -> str:
    """The columns of the Controller table that only users and sgctl write."""
    return site.ovs.vsctl("--columns=_uuid,target,max_backoff,connection_mode", "list", "Controller")


def ages(site: Site) -> dict[str, float]:
    """The age in seconds of each flow with our cookie tag, by cookie."""
    lines = site.ovs.ofctl("dump-flows", "br0").splitlines()
    found = [re.search(r"cookie=(0x5c\w+), duration=([\d.]+)s", line) for line in lines]
    return {match[1]: float(match[2]) for match in found if match}


@contextmanager
def another_controller() -> Iterator[tuple[socket.socket, str]]:
    """A listening socket of another controller, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server, f"tcp:127.0.0.1:{server.getsockname()[1]}"
