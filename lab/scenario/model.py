"""A scenario as values: the topology, the policy, and the expected verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any, NamedTuple

Address = IPv4Interface | IPv6Interface
Document = dict[str, Any]
"""One manifest: apiVersion, kind, metadata, spec."""


class ScenarioError(Exception):
    """A scenario file is wrong. `problems` has one line each: file, field, reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ExpectedVerdict(StrEnum):
    """The expected result of a probe."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class ScenarioInterface:
    """A host's network card. Addresses carry their on-link prefix length.

    `extra_addresses` are configured on the card but absent from the policy port.
    `groups` None leaves the port's groups to the policy (or to the network's default group).
    """

    host: str
    name: str
    network: str
    mac: str
    addresses: tuple[Address, ...]
    extra_addresses: tuple[Address, ...]
    port: str
    groups: tuple[str, ...] | None

    @property
    def all_addresses(self) -> tuple[Address, ...]:
        """All addresses that the card has."""
        return self.addresses + self.extra_addresses


@dataclass(frozen=True, slots=True)
class ScenarioHost:
    """A machine. External hosts have no policy port: they are outside, behind an uplink."""

    name: str
    switch: str
    external: bool
    interfaces: tuple[ScenarioInterface, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two switches and the names of the networks that it carries."""

    ends: tuple[str, str]
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """Switch name → whether sgctl manages it, hosts, links, network name → VLAN id (None: untagged)."""

    switches: Mapping[str, bool]
    hosts: Mapping[str, ScenarioHost]
    links: tuple[Link, ...]
    vlans: Mapping[str, int | None]

    def interfaces(self) -> list[ScenarioInterface]:
        """Every card of every host, in file order."""
        return [card for host in self.hosts.values() for card in host.interfaces]

    def is_external(self, card: ScenarioInterface) -> bool:
        """Whether the card belongs to the unmanaged side."""
        return self.hosts[card.host].external


class Endpoint(NamedTuple):
    """One side of a probe as the file names it: a card, and the address if the file names one."""

    label: str
    card: ScenarioInterface
    address: Address | None


class ProbedService(NamedTuple):
    """What a probe tests: `kind` is tcp, udp, icmp, proto or an attack; `number` a port or IP protocol."""

    text: str
    kind: str
    family: int
    number: int


class Cell(NamedTuple):
    """One question of the matrix, with the names that the file uses."""

    source: str
    target: str
    service: str


class Expectation(NamedTuple):
    """The verdict that the file demands, and the reason that it gives."""

    verdict: ExpectedVerdict
    why: str


@dataclass(frozen=True, slots=True)
class Edit:
    """What a step changes: documents to apply, then objects (`kind/name`) to delete."""

    apply: tuple[Document, ...] = ()
    delete: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.apply or self.delete)


@dataclass(frozen=True, slots=True)
class Step:
    """An edit of the policy and the whole matrix that must hold after it."""

    name: str
    edit: Edit
    cells: Mapping[Cell, Expectation]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario file. The first step's edit is the whole initial policy."""

    name: str
    description: str
    topology: Topology
    steps: tuple[Step, ...]
    endpoints: Mapping[str, Endpoint]
    services: Mapping[str, ProbedService]
