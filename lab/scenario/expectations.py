"""Reads what a scenario expects: turns endpoints, grids and verdict lines into one cell per probe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from itertools import product
from typing import Any

from lab.scenario.model import Cell, Endpoint, Expectation, ExpectedVerdict, ProbedService, Topology
from lab.scenario.problems import Problems
from lab.scenario.services import parse_service

ALL = "all"


class ExpectationReader:
    """Turns each step's `grid` and `expect` into cells.

    A step starts with the cells of the step before it. A grid adds cells. Each line of `expect` sets its
    cells; the last line that names a cell decides.
    """

    def __init__(self, topology: Topology, sets: Mapping[str, Sequence[str]], problems: Problems) -> None:
        self._topology = topology
        self._sets = sets
        self._problems = problems
        self._cells: dict[Cell, Expectation] = {}
        self._grid_services: list[str] = []
        self.endpoints: dict[str, Endpoint] = {}
        self.services: dict[str, ProbedService] = {}

    def read(self, field: str, section: Mapping[str, Any]) -> dict[Cell, Expectation]:
        """All cells with their expectations after this section (the file itself, or one of its steps)."""
        prefix = f"{field}." if field else ""
        if "grid" in section:
            self._add_grid(f"{prefix}grid", section["grid"])
        for number, line in enumerate(section.get("expect", ())):
            self._add_line(f"{prefix}expect[{number}]", line)
        return dict(self._cells)

    def _add_grid(self, field: str, grid: Mapping[str, Any]) -> None:
        sources = self._labels(f"{field}.from", grid.get("from", ALL))
        targets = self._labels(f"{field}.to", grid.get("to", ALL))
        self._grid_services = self._known_services(f"{field}.services", grid["services"])
        verdict = ExpectedVerdict(grid.get("otherwise", ExpectedVerdict.DENY))
        for cell in map(Cell._make, product(sources, targets, self._grid_services)):
            if self._why_impossible(cell) is None:
                self._cells[cell] = Expectation(
                    verdict, "not listed" if verdict is ExpectedVerdict.DENY else ""
                )

    def _add_line(self, field: str, line: Mapping[str, Any]) -> None:
        verdict = ExpectedVerdict.ALLOW if "allow" in line else ExpectedVerdict.DENY
        sources = self._labels(f"{field}.from", line["from"])
        targets = self._labels(f"{field}.to", line["to"])
        services = self._known_services(f"{field}.{verdict}", line[verdict])
        cells = [Cell(*names) for names in product(sources, targets, services)]
        obstacles = [self._why_impossible(cell) for cell in cells]
        if cells and all(obstacles):
            self._problems.add(field, f"nothing to probe: {obstacles[0]}")
        for cell, obstacle in zip(cells, obstacles, strict=True):
            if obstacle is None:
                self._cells[cell] = Expectation(verdict, line.get("why", ""))

    def _labels(self, field: str, words: str | Sequence[str]) -> list[str]:
        labels: dict[str, None] = {}
        for word in [words] if isinstance(words, str) else words:
            names = self._every_label() if word == ALL else self._sets.get(word, (word,))
            for name in names:
                if self._resolve(field, name):
                    labels[name] = None
        return list(labels)

    def _every_label(self) -> Iterable[str]:
        for host in self._topology.hosts.values():
            for card in host.interfaces:
                yield host.name if len(host.interfaces) == 1 else f"{host.name}:{card.name}"

    def _resolve(self, field: str, label: str) -> bool:
        if label in self.endpoints:
            return True
        try:
            self.endpoints[label] = self._endpoint(label)
        except ValueError as error:
            self._problems.add(field, str(error))
            return False
        return True

    def _endpoint(self, label: str) -> Endpoint:
        host_name, _, card_name = label.partition(":")
        host = self._topology.hosts.get(host_name)
        if host is None:
            return self._endpoint_by_address(label)
        names = [card.name for card in host.interfaces]
        if not card_name and len(names) == 1:
            return Endpoint(label, host.interfaces[0], None)
        if card_name not in names:
            raise ValueError(
                f"{label!r}: say which interface: {', '.join(f'{host_name}:{name}' for name in names)}"
            )
        return Endpoint(label, host.interfaces[names.index(card_name)], None)

    def _endpoint_by_address(self, label: str) -> Endpoint:
        try:
            wanted = ip_address(label)
        except ValueError:
            raise ValueError(f"{label!r} is no host, host:interface, set or address of this file") from None
        for card in self._topology.interfaces():
            for address in card.all_addresses:
                if address.ip == wanted:
                    return Endpoint(label, card, address)
        raise ValueError(f"no host has the address {label}")

    def _known_services(self, field: str, words: str | Sequence[str]) -> list[str]:
        known = []
        for word in [words] if isinstance(words, str) else words:
            if word == ALL:
                known += self._grid_services
                continue
            try:
                self.services[word] = parse_service(word)
                known.append(word)
            except ValueError as error:
                self._problems.add(field, str(error))
        return known

    def _why_impossible(self, cell: Cell) -> str | None:
        """Why no packet of this probe would test the policy; None when the probe is possible."""
        source, target = self.endpoints[cell.source], self.endpoints[cell.target]
        if source.card.host == target.card.host:
            return f"{cell.source} and {cell.target} are one host"
        if source.card.network != target.card.network:
            return f"{cell.source} and {cell.target} share no network"
        if self._topology.is_external(source.card) and self._topology.is_external(target.card):
            return f"{cell.source} and {cell.target} are both outside"
        family = self.services[cell.service].family
        for end in (source, target):
            if choose_address(end, family) is None:
                return f"{end.label} has no IPv{family} address"
        return None


def choose_address(end: Endpoint, family: int) -> str | None:
    """The address that a probe of this IP version uses at an endpoint."""
    candidates = end.card.all_addresses if end.address is None else (end.address,)
    return next((str(address.ip) for address in candidates if address.version == family), None)
