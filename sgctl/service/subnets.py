"""The subnets of networks, with default details for subnets that have none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from uuid import NAMESPACE_OID, uuid5

from flows.policy.objects import Network, Port, Prefix, SubnetDetail
from sgctl.service.draft import Draft


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet with its own name and id; it is stored as part of its network."""

    network: Network
    detail: SubnetDetail

    @property
    def id(self) -> str:
        """The subnet's id."""
        return subnet_id(self.network, self.detail.prefix)

    @property
    def name(self) -> str:
        """The subnet's name."""
        return self.detail.name


def subnets_of(networks: Iterable[Network]) -> Iterator[Subnet]:
    """The subnets of these networks."""
    for network in networks:
        for detail in details_of(network):
            yield Subnet(network, detail)


def ports_in(draft: Draft, subnet: Subnet) -> list[Port]:
    """The ports of the network that have an address of the subnet."""
    ports = draft.where(Port, "network_id", subnet.network.id)
    return [port for port in ports if any(map(subnet.detail.prefix.covers, port.fixed_ips))]


def details_of(network: Network) -> list[SubnetDetail]:
    """The details of each subnet, in the order of the network's subnets."""
    given = {detail.prefix: detail for detail in network.subnet_details}
    return [given.get(prefix) or default_detail(prefix) for prefix in network.subnets]


def default_detail(prefix: Prefix) -> SubnetDetail:
    """The default details of a subnet: its gateway is the first host address, as is customary."""
    size = 1 << (prefix.bits - prefix.length)
    first = Prefix(prefix.version, prefix.value + 1, prefix.bits) if size > 2 else None
    return SubnetDetail(prefix, gateway=first)


def subnet_id(network: Network, prefix: Prefix) -> str:
    """The id of a subnet, computed from network and prefix instead of being stored."""
    return _identifier(network.id, prefix)


@lru_cache(maxsize=1 << 16)
def _identifier(network: str, prefix: Prefix) -> str:
    """Cached, because finding a subnet by its id compares it with the ids of all subnets."""
    return str(uuid5(NAMESPACE_OID, f"{network} {prefix}"))


def with_subnet(network: Network, detail: SubnetDetail) -> Network:
    """The network with this subnet added, or with these details of an existing subnet."""
    others = tuple(each for each in network.subnet_details if each.prefix != detail.prefix)
    prefixes = network.subnets if detail.prefix in network.subnets else (*network.subnets, detail.prefix)
    return replace(network, subnets=prefixes, subnet_details=tuple(sorted((*others, detail), key=_order)))


def without_subnet(network: Network, prefix: Prefix) -> Network:
    """The network without this subnet."""
    return replace(
        network,
        subnets=tuple(each for each in network.subnets if each != prefix),
        subnet_details=tuple(each for each in network.subnet_details if each.prefix != prefix),
    )


def _order(detail: SubnetDetail) -> Prefix:
    return detail.prefix
