"""Reads the topology of a scenario file: networks, switches, hosts, links."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import Any

from lab.scenario.model import Address, Document, Link, ScenarioHost, ScenarioInterface, Topology
from lab.scenario.problems import Problems

_Subnet = IPv4Network | IPv6Network


def network_specs(data: Mapping[str, Any], documents: Sequence[Document]) -> dict[str, dict[str, Any]]:
    """Spec of every network by name: from the `networks` section, or from the policy's Network document."""
    specs = {name: dict(spec or {}) for name, spec in data["networks"].items()}
    for document in documents:
        if document["kind"] == "Network":
            specs[str(document["metadata"]["name"])] = dict(document.get("spec") or {})
    return specs


class TopologyReader:
    """Builds a Topology from schema-checked data and collects contradictions as problems."""

    def __init__(
        self,
        data: Mapping[str, Any],
        specs: Mapping[str, Mapping[str, Any]],
        ports: Mapping[str, Document],
        problems: Problems,
    ) -> None:
        self._data = data
        self._problems = problems
        self._ports = ports
        self._subnets = {name: self._read_subnets(name, spec) for name, spec in specs.items()}
        self._vlans = {name: spec.get("segmentation_id") for name, spec in specs.items()}
        self._switches = {name: (spec or {}).get("managed", True) for name, spec in data["switches"].items()}

    def read(self) -> Topology:
        """The topology without the wrong parts; those are added to the problems."""
        hosts = {name: self._read_host(name, spec) for name, spec in self._data["hosts"].items()}
        links = tuple(
            self._read_link(number, spec) for number, spec in enumerate(self._data.get("links", ()))
        )
        topology = Topology(self._switches, hosts, links, self._vlans)
        self._check_unique(topology.interfaces())
        return topology

    def _read_subnets(self, name: str, spec: Mapping[str, Any]) -> list[_Subnet]:
        subnets = []
        for text in spec.get("subnets", ()):
            try:
                subnets.append(ip_network(text))
            except ValueError as error:
                self._problems.add(f"networks.{name}.subnets", str(error))
        return subnets

    def _read_host(self, name: str, spec: Mapping[str, Any]) -> ScenarioHost:
        field = f"hosts.{name}"
        external = spec.get("external", False)
        self._check_known(f"{field}.switch", "switch", spec["switch"], self._switches)
        if not external and not self._switches.get(spec["switch"], True):
            self._problems.add(f"{field}.switch", f"{spec['switch']} is not managed; say `external: true`")
        cards = spec["interfaces"].items()
        interfaces = [self._read_interface(field, name, len(cards), card, about) for card, about in cards]
        if external and self._switches.get(spec["switch"], True):
            self._check_plain_uplink(field, interfaces)
        if external:
            self._check_on_link(field, interfaces)
        return ScenarioHost(name, spec["switch"], external, tuple(interfaces))

    def _check_plain_uplink(self, field: str, interfaces: Iterable[ScenarioInterface]) -> None:
        """An external host without a switch has no VLAN devices, so its network must be untagged."""
        for card in interfaces:
            if self._vlans.get(card.network) is not None:
                self._problems.add(
                    f"{field}.switch",
                    f"{card.network} is VLAN-tagged on uplinks; attach external hosts to a switch with "
                    "`managed: false` and link that",
                )

    def _check_on_link(self, field: str, interfaces: Iterable[ScenarioInterface]) -> None:
        """Neighbour discovery stays on the link: no host finds an IPv6 address outside its subnets."""
        for card in interfaces:
            subnets = [each for each in self._subnets.get(card.network, ()) if each.version == 6]
            for address in card.addresses:
                if subnets and address.version == 6 and not any(address.ip in each for each in subnets):
                    problem = f"{address.ip} is in no subnet of {card.network}, and neighbours cannot find it"
                    self._problems.add(f"{field}.interfaces.{card.name}.addresses", problem)

    def _read_interface(
        self, host_field: str, host: str, cards: int, name: str, spec: Mapping[str, Any]
    ) -> ScenarioInterface:
        field = f"{host_field}.interfaces.{name}"
        self._check_known(f"{field}.network", "network", spec["network"], self._vlans)
        port = spec.get("port") or (host if cards == 1 else f"{host}-{name}")
        listed = (self._ports.get(port) or {}).get("spec") or {}
        groups = spec.get("groups")
        return ScenarioInterface(
            host=host,
            name=name,
            network=spec["network"],
            mac=str(spec.get("mac") or listed.get("mac_address") or _derived_mac(host, name)).lower(),
            addresses=self._read_addresses(field, "addresses", spec),
            extra_addresses=self._read_addresses(field, "extra_addresses", spec),
            port=port,
            groups=None if groups is None else tuple(groups),
        )

    def _read_addresses(self, field: str, key: str, spec: Mapping[str, Any]) -> tuple[Address, ...]:
        addresses = []
        for text in spec.get(key, ()):
            try:
                addresses.append(self._with_prefix(text, spec["network"]))
            except ValueError as error:
                self._problems.add(f"{field}.{key}", str(error))
        return tuple(addresses)

    def _with_prefix(self, text: str, network: str) -> Address:
        """An address without a prefix length gets the one of its subnet, else /32 or /128."""
        if "/" in text:
            return ip_interface(text)
        address = ip_address(text)
        for subnet in self._subnets.get(network, ()):
            if address in subnet:
                return ip_interface(f"{address}/{subnet.prefixlen}")
        return ip_interface(address)

    def _read_link(self, number: int, spec: Mapping[str, Any]) -> Link:
        field = f"links[{number}]"
        networks = tuple(spec.get("networks") or self._vlans)
        for name in networks:
            self._check_known(f"{field}.networks", "network", name, self._vlans)
        for name in spec["between"]:
            self._check_known(f"{field}.between", "switch", name, self._switches)
        untagged = [name for name in networks if self._vlans.get(name) is None]
        if len(untagged) > 1:
            self._problems.add(
                f"{field}.networks", f"{', '.join(untagged)}: only one network of a link can be untagged"
            )
        first, second = spec["between"]
        return Link((first, second), networks)

    def _check_known(self, field: str, kind: str, name: str, known: Iterable[str]) -> None:
        if name not in known:
            self._problems.add(field, f"no {kind} {name!r}; there is {', '.join(known) or 'none'}")

    def _check_unique(self, cards: Iterable[ScenarioInterface]) -> None:
        owners: dict[str, str] = {}
        for card in cards:
            owner = f"hosts.{card.host}.interfaces.{card.name}"
            for what in (card.mac, f"port {card.port}", *(str(address.ip) for address in card.all_addresses)):
                first = owners.setdefault(what, owner)
                if first != owner:
                    self._problems.add(owner, f"{what} is also on {first}")


def _derived_mac(host: str, name: str) -> str:
    """A locally administered MAC, derived from the host's and the interface's name."""
    digest = hashlib.sha256(f"{host}/{name}".encode()).digest()[:5]
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest))
