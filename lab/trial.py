"""Turns a scenario's cells into probes, and the outcomes of the probes into results."""

from __future__ import annotations

from collections.abc import Mapping

from lab.matrix import Result, StepResult
from lab.probe import AgentProcess, Probe, run, serve
from lab.probe_frames import NOBODY, Side
from lab.scenario.expectations import choose_address
from lab.scenario.model import Cell, Endpoint, Scenario, Step


class Trial:
    """Probes one scenario's steps through the agents of its hosts."""

    def __init__(self, scenario: Scenario, agents: Mapping[str, AgentProcess], seconds: float) -> None:
        self._scenario = scenario
        self._agents = agents
        self._seconds = seconds

    def serve(self) -> None:
        """Start all servers that any step needs."""
        addresses = {
            host.name: [str(address.ip) for card in host.interfaces for address in card.all_addresses]
            for host in self._scenario.topology.hosts.values()
        }
        serve(
            self._agents,
            addresses,
            [self._probe(cell) for step in self._scenario.steps for cell in step.cells],
        )

    def run(self, step: Step) -> StepResult:
        """Probe every cell of a step at once."""
        probes = [self._probe(cell) for cell in step.cells]
        outcomes = run(self._agents, probes, self._seconds)
        results = [
            Result(cell, expected, outcome)
            for (cell, expected), outcome in zip(step.cells.items(), outcomes, strict=True)
        ]
        return StepResult(step.name, tuple(results))

    def _probe(self, cell: Cell) -> Probe:
        service = self._scenario.services[cell.service]
        source, target = (self._scenario.endpoints[label] for label in (cell.source, cell.target))
        return Probe(
            kind=service.kind,
            family=service.family,
            number=service.number,
            source=_side(source, service.family),
            target=_side(target, service.family),
            stranger=self._stranger(source),
        )

    def _stranger(self, end: Endpoint) -> Side:
        """A plausible host that does not exist, so that an attack that succeeds disturbs no real host."""
        taken = {
            address.ip for card in self._scenario.topology.interfaces() for address in card.all_addresses
        }
        for own in end.card.all_addresses:
            if own.version == 4 and own.network.num_addresses > 2:
                last = own.network.broadcast_address
                free = (
                    last - back
                    for back in range(1, own.network.num_addresses - 1)
                    if last - back not in taken
                )
                return Side("", "", NOBODY, str(next(free, last)))
        return Side("", "", NOBODY, "192.0.2.250")


def _side(end: Endpoint, family: int) -> Side:
    address = choose_address(end, family)
    assert address is not None, "the scenario reader checked that the endpoint has an address"
    return Side(end.card.host, end.card.name, end.card.mac, address)
