"""Every combination in a small policy with each kind of remote: all packets that it distinguishes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from flows.policy.objects import (
    AddressGroup,
    Direction,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from flows.reference.verdict import Conversation, Packet, PolicyText, State, judge
from lab.ovs import PrivateOvs
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.judging import disagreements, load
from tests.unit.strategies import mac_of

pytestmark = pytest.mark.switch

OUTSIDE = {4: Prefix.parse("192.0.2.9"), 6: Prefix.parse("2001:db8:ffff::9")}
PORTS = ("p0", "p1", "p2")
ENDS = (*PORTS, None)
SERVICES = ((6, 4000, 80), (6, 4000, 81), (17, 4000, 53), (47, 0, 0), (50, 0, 0))
"""Protocol, source and destination port. No rule names protocol 50."""
PINGS = {4: (1, 8, 0), 6: (58, 128, 0)}


def addresses(name: str | None) -> dict[int, Prefix]:
    if name is None:
        return OUTSIDE
    last = PORTS.index(name) + 1
    return {4: Prefix.parse(f"10.0.0.{last}"), 6: Prefix.parse(f"2001:db8::{last}")}


def world() -> list[PolicyObject]:
    """p0 is a client, p1 a server, p2 has a group that may do nothing."""
    subnets = (Prefix.parse("10.0.0.0/24"), Prefix.parse("2001:db8::/64"))
    groups = {"p0": "client", "p1": "server", "p2": "idle"}
    ports = [
        Port(
            name, name, "blue", mac_of(name), name, tuple(addresses(name).values()), frozenset([groups[name]])
        )
        for name in PORTS
    ]
    trusted = AddressGroup("trusted", "trusted", frozenset([OUTSIDE[4], Prefix.parse("2001:db8:ffff::/48")]))
    network = Network("blue", "blue", subnets=subnets)
    return [network, *map(SecurityGroup, groups.values(), groups.values()), trusted, *ports, *rules()]


def rules() -> Iterator[Rule]:
    described: list[tuple[str, Direction, int | None, int | None, dict[str, Any]]] = [
        ("client", Direction.EGRESS, None, None, {}),
        ("client", Direction.INGRESS, None, None, {"remote_address_group_id": "trusted"}),
        ("server", Direction.INGRESS, 6, 80, {"remote_group_id": "client"}),
        ("server", Direction.INGRESS, 6, 81, {"remote_address_group_id": "trusted"}),
        ("server", Direction.INGRESS, 17, 53, {"remote_network_id": "blue"}),
        ("server", Direction.EGRESS, 17, None, {"remote_address_group_id": "trusted"}),
        ("server", Direction.INGRESS, 47, None, {}),
    ]
    for number, (group, direction, protocol, port, remote) in enumerate(described, 16):
        for family, step in ((Ethertype.IPV4, 0), (Ethertype.IPV6, 100)):
            name = f"r{number + step}"
            yield Rule(name, number + step, group, direction, family, protocol, port, port, **remote)
    yield Rule("ping", 300, "server", Direction.INGRESS, Ethertype.IPV4, 1, 8, 0)
    yield Rule("ping6", 301, "server", Direction.INGRESS, Ethertype.IPV6, 58, 128)


def packets() -> Iterator[Packet]:
    """All combinations: ends, family, service, state, fragment, on its own tuple or another's."""
    for sender, receiver, version, state, later in product(ENDS, ENDS, (4, 6), State, (False, True)):
        if sender == receiver:
            continue
        source, destination = addresses(sender)[version], addresses(receiver)[version]
        for service in (*SERVICES, PINGS[version]):
            shown = Conversation(source, destination, *service)
            opened_by_receiver = Conversation(destination, source, *service)
            connection = opened_by_receiver if state is State.REPLY else None
            yield Packet("blue", sender, receiver, shown, state, connection, later_fragment=later)


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "grid", wiring.INTERFACES) as made:
        yield made


@pytest.fixture(scope="module")
def text(bridge: BareBridge) -> PolicyText:
    return load(bridge, world())


def test_every_packet_of_a_small_policy(bridge: BareBridge, text: PolicyText) -> None:
    grid = list(packets())
    found = {packet: differences for packet in grid if (differences := disagreements(bridge, text, packet))}
    assert found == {}
    allowed = sum(judge(text, packet).allowed for packet in grid)
    assert 0.1 < allowed / len(grid) < 0.9, "both verdicts must occur"
