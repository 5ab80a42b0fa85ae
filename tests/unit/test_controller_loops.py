"""The search for loops, with a simulated switch that returns probes, and a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from flows.openflow.actions import Action, Output
from flows.policy.objects import Change, Network
from sgctl.controller.engine import Engine
from sgctl.controller.loops import MOST_PROBES, OPEN_SECONDS, LoopWatch
from sgctl.vswitch.devices import Interface
from sgctl.vswitch.local_switches import Bridge
from sgctl.vswitch.uplinks import write_loops

DPID = 1


class Building:
    """A bridge with uplinks 1, 2 and 3; those in `joined` lead to one segment, the others to none."""

    def __init__(self, networks: int) -> None:
        self.now = 0.0
        self.joined = {1, 2, 3}
        self.engine = Engine()
        self.interfaces = {f"nic{n}": Interface(f"nic{n}", n, "", "*", seed=n << 20) for n in (1, 2, 3)}
        made = [Network(f"net-{n:04}", f"net{n}", segmentation_id=n + 1) for n in range(networks)]
        self.engine.change_policy([Change(None, network) for network in made])
        self.watch = LoopWatch(self, lambda: self.now)
        self.watch.connect(DPID, self.transmit)
        self.sent = 0
        self._look()

    def set_loops(self, interface: str, loops: Mapping[str, str]) -> None:
        self.interfaces[interface] = replace(self.interfaces[interface], loops=write_loops(loops))
        self._look()

    def transmit(self, out: Action, frame: bytes) -> None:
        assert isinstance(out, Output)
        self.sent += 1
        for other in self.joined - {out.ofport} if out.ofport in self.joined else ():
            self.watch.receive_probe(DPID, other, frame)

    def run(self, seconds: int) -> None:
        for _ in range(seconds * 2):  # what comes back is taken in at the next step
            self.watch.maintain(self.engine.bridges, self.engine.policy.networks)
            self.now += 0.5

    def closed(self) -> dict[str, int]:
        bindings = self.engine.bridges[DPID].bindings.of_interface
        return {name: len(binding.closed) for name, binding in bindings.items() if binding.closed}

    def _look(self) -> None:
        bridge = Bridge("br0", DPID, "secure", tuple(self.interfaces.values()), controllers=frozenset("c"))
        self.engine.change_bridges({DPID: bridge})
        self.engine.missing_zones()


@pytest.mark.parametrize("networks", [1, 5])
def test_all_uplinks_but_one_are_closed_until_they_are_alone(networks: int) -> None:
    building = Building(networks)
    building.run(2)
    assert building.closed() == {"nic2": networks, "nic3": networks}
    building.run(60)
    assert building.closed() == {"nic2": networks, "nic3": networks}, "the loop persists"
    building.joined = {2, 3}
    building.run(int(OPEN_SECONDS) - 1)
    assert building.closed() == {"nic2": networks, "nic3": networks}
    building.run(4)
    assert building.closed() == {"nic3": networks}, "one of the two remaining uplinks"
    building.joined = set()
    building.run(int(OPEN_SECONDS) + 3)
    assert building.closed() == {}


def test_very_many_networks_take_turns_and_stay_closed() -> None:
    networks = 500
    building = Building(networks)
    building.joined = {1, 2}
    building.run(1)
    assert building.sent == MOST_PROBES
    building.run(3 * networks // MOST_PROBES + 3)
    assert building.closed() == {"nic2": networks}
    building.run(60)
    assert building.closed() == {"nic2": networks}


def test_nothing_is_opened_while_the_switch_cannot_send() -> None:
    building = Building(1)
    building.run(2)
    building.watch.disconnect(DPID)
    building.run(100)
    assert building.closed() == {"nic2": 1, "nic3": 1}
    building.watch.connect(DPID, building.transmit)
    building.run(5)
    assert building.closed() == {"nic2": 1, "nic3": 1}
