"""What the network says to all reaches every port of it, however many there are, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.compiler import LocalState, compile_bridge
from flows.local import CHUNK
from flows.model import Change, Network, PolicyObject, Port
from flows.policy import Policy
from lab.ovs import PrivateOvs
from tests.ovs.bridge import DummyBridge

pytestmark = pytest.mark.switch

BLUE = {"b1": 1, "b2": 2, "b3": CHUNK - 1, "b4": CHUNK, "b5": 5 * CHUNK + 7}
RED = {"r1": 3, "r2": CHUNK + 1}
UPLINK = {"up": 9000}
OFFER = "udp,udp_src=67,udp_dst=68,nw_src=10.0.0.254,nw_dst=255.255.255.255,nw_ttl=64"
FRAME = f"in_port=9000,dl_src=02:00:00:00:ff:01,dl_dst=ff:ff:ff:ff:ff:ff,{OFFER}"


def port(name: str, number: int, *, up: bool = True) -> Port:
    mac = f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"
    return Port(name, name, "blue" if name in BLUE else "red", mac, name, admin_state_up=up)


@pytest.fixture(scope="module")
def bridge(simulated: PrivateOvs) -> Iterator[DummyBridge]:
    with DummyBridge(simulated, "chunks", {**BLUE, **RED, **UPLINK}) as made:
        yield made


def heard(bridge: DummyBridge, *, down: str = "") -> frozenset[str]:
    numbers = {**BLUE, **RED}
    ports = [port(name, number, up=name != down) for name, number in numbers.items()]
    objects: list[PolicyObject] = [Network("blue", "blue"), Network("red", "red"), *ports]
    policy = Policy()
    policy.apply(Change(None, each) for each in objects)
    local = LocalState({number: name for name, number in numbers.items()}, {9000: frozenset(["blue"])}, ZONES)
    bridge.load(compile_bridge(policy, local))
    return bridge.trace(FRAME).outputs


ZONES = {"blue": 1, "red": 2}


def test_all_ports_of_the_network_hear_it(bridge: DummyBridge) -> None:
    assert heard(bridge) == set(BLUE)


@pytest.mark.parametrize("down", ["b1", "b4"])
def test_a_port_that_is_down_does_not(bridge: DummyBridge, down: str) -> None:
    assert heard(bridge, down=down) == BLUE.keys() - {down}
