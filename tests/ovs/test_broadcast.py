"""Messages to a whole network reach all of its ports, however many there are, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from flows.compiler.bridge import LocalState, compile_bridge
from flows.compiler.port_flows import CHUNK
from flows.policy.index import Policy
from flows.policy.objects import (
    AddressPair,
    Change,
    Direction,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from lab.ovs import PrivateOvs
from tests.ovs.bridge import BareBridge

pytestmark = pytest.mark.switch

BLUE = {"b1": 1, "b2": 2, "b3": CHUNK - 1, "b4": CHUNK, "b5": 5 * CHUNK + 7}
RED = {"r1": 3, "r2": CHUNK + 1}
UPLINK = {"up": 9000}
OFFER = "udp,udp_src=67,udp_dst=68,nw_src=10.0.0.254,nw_dst=255.255.255.255,nw_ttl=64"
FRAME = f"in_port=9000,dl_src=02:00:00:00:ff:01,dl_dst=ff:ff:ff:ff:ff:ff,{OFFER}"


VRRP = "ip,nw_proto=112,nw_src=10.0.0.254,nw_dst=224.0.0.18,nw_ttl=255"
ADVERTISEMENT = f"in_port=9000,dl_src=02:00:00:00:ff:01,dl_dst=01:00:5e:00:00:12,{VRRP}"
ROUTERS = SecurityGroup("routers", "routers")
HEAR_VRRP = Rule("vrrp", 16, ROUTERS.id, Direction.INGRESS, Ethertype.IPV4, 112)
VIRTUAL = AddressPair("00:00:5e:00:01:01", Prefix.parse("10.0.0.100"))


def port(name: str, number: int, **settings: Any) -> Port:
    mac = f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"
    return Port(name, name, "blue" if name in BLUE else "red", mac, name, **settings)


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "chunks", {**BLUE, **RED, **UPLINK}) as made:
        yield made


def heard(bridge: BareBridge, frame: str, ports: list[Port]) -> frozenset[str]:
    numbers = {**BLUE, **RED}
    objects: list[PolicyObject] = [Network("blue", "blue"), Network("red", "red"), ROUTERS, HEAR_VRRP, *ports]
    policy = Policy()
    policy.apply(Change(None, each) for each in objects)
    local = LocalState({number: name for name, number in numbers.items()}, {9000: frozenset(["blue"])}, ZONES)
    bridge.load(compile_bridge(policy, local))
    return bridge.trace(frame).outputs


def all_ports(**settings: Any) -> list[Port]:
    return [port(name, number, **settings) for name, number in {**BLUE, **RED}.items()]


ZONES = {"blue": 1, "red": 2}


def test_all_ports_of_the_network_hear_it(bridge: BareBridge) -> None:
    assert heard(bridge, FRAME, all_ports()) == set(BLUE)


@pytest.mark.parametrize("down", ["b1", "b4"])
def test_a_port_that_is_down_does_not(bridge: BareBridge, down: str) -> None:
    ports = [replace(each, admin_state_up=each.name != down) for each in all_ports()]
    assert heard(bridge, FRAME, ports) == BLUE.keys() - {down}


def test_routers_hear_each_other_whatever_their_numbers_are(bridge: BareBridge) -> None:
    routers = all_ports(allowed_address_pairs=(VIRTUAL,), security_groups=frozenset([ROUTERS.id]))
    assert heard(bridge, ADVERTISEMENT, routers) == set(BLUE)
    routers[1] = replace(routers[1], security_groups=frozenset())
    assert heard(bridge, ADVERTISEMENT, routers) == BLUE.keys() - {"b2"}
    assert heard(bridge, ADVERTISEMENT, all_ports(security_groups=frozenset([ROUTERS.id]))) == set()


def test_ports_without_port_security_hear_what_is_for_the_outside(bridge: BareBridge) -> None:
    assert heard(bridge, ADVERTISEMENT, all_ports(port_security_enabled=False)) == set(BLUE)
