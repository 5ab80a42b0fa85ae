"""A network that counts only bound ports as members: taking the address of an unbound port gains nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from flows.policy.objects import Port
from lab.process import LabError
from lab.site import ALL_OUT, NETWORK, Site, connects, document, group, tcp_in
from sgctl.store import BindingState, BindingStatus, Store, SwitchStatus

pytestmark = pytest.mark.switch

SUBNETS = ["10.0.0.0/24", "2001:db8::/64"]
V6 = {"ethertype": "IPv6"}
PATIENCE = 20.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_neighbour_with_the_address_of_an_unbound_port(site: Site) -> None:
    """First the machine is bound as the port; then it is behind an uplink, and the port is bound nowhere."""
    friends = tcp_in(80, remote_group="friends")
    site.apply(
        document("Network", NETWORK, subnets=SUBNETS, bound_members_only=True),
        group("friends", ALL_OUT, ALL_OUT | V6),
        group("server", friends, friends | V6),
        site.port_document(2, ["server"]),
        site.port_document(3, ["friends"]),
    )
    server, friend = site.plug("br0", 2), site.plug("br0", 3)
    site.sgctl.wait()

    def gets_in() -> bool:
        return all(connects(friend, server, address, 80) for address in ("10.0.0.2", "2001:db8::2"))

    def stays_out() -> bool:
        return not any(connects(friend, server, address, 80) for address in ("10.0.0.2", "2001:db8::2"))

    until(gets_in)
    assert site.sgctl("verify") == "br0: as expected\n"
    assert site.sgctl.run("trace", "w3", "w2", "--port", "80").returncode == 0
    site.sgctl("port", "unbind", "w3", "--wait")
    site.sgctl("uplink", "set", "w3", "--network", NETWORK, "--wait")
    until(stays_out)
    assert site.sgctl("verify") == "br0: as expected\n"
    told = site.sgctl.run("trace", "w3", "w2", "--port", "80")
    assert "port w3 is bound on no host, so its network counts it in no remote group" in told.stdout
    _bind_elsewhere(site)
    until(gets_in)
    assert site.sgctl("verify") == "br0: as expected\n"
    site.sgctl("delete", "host", "elsewhere")
    until(stays_out)
    site.sgctl("network", "set", NETWORK, "--all-members")
    until(gets_in)
    site.sgctl("network", "set", NETWORK, "--bound-members-only")
    until(stays_out)


def _bind_elsewhere(site: Site) -> None:
    """Another host has bound the port, as its controller reported before it died."""
    store = Store.connect(site.controller.db)
    (port,) = [each for each in store.objects[Port].values() if each.name == "w3"]
    binding = BindingStatus("elsewhere/br0", "tap", 1, BindingState.BOUND, port.id)
    store.report([SwitchStatus("elsewhere", "br0", "0000000000000099")], [binding])
    store.close()
    with pytest.raises(LabError, match="elsewhere: no controller runs there"):
        site.sgctl("wait", "--timeout", "3")
