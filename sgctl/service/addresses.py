"""Allocation of MAC addresses and fixed IP addresses to ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

from flows.policy.objects import Network, Port, Prefix, SubnetDetail
from sgctl.service.draft import Draft
from sgctl.service.subnets import details_of


def new_mac(draft: Draft, network_id: str) -> str:
    """A random locally administered unicast MAC address that is unused in the network."""
    while True:
        octets = b"\x02" + uuid4().bytes[:5]
        mac = ":".join(f"{octet:02x}" for octet in octets)
        if all(port.network_id != network_id for port in draft.where(Port, "mac", mac)):
            return mac


class AddressPool:
    """Allocates the addresses of a draft's networks in ascending order, each only once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._next: dict[tuple[str, Prefix], int] = {}

    def take(self, network: Network) -> tuple[Prefix, ...]:
        """The next free address of each address family of the network's subnets, IPv4 first.

        Raises ValueError when the subnets of a family are full.
        """
        versions = sorted({subnet.version for subnet in network.subnets})
        return tuple(self._take(network, version) for version in versions)

    def take_from(self, network: Network, subnets: Sequence[SubnetDetail]) -> Prefix:
        """The next free address of the first subnet that has one. Raises ValueError when all are full."""
        for subnet in subnets:
            address = self._free(network, subnet)
            if address is not None:
                return address
        raise ValueError(f"no free address is left in {', '.join(str(each.prefix) for each in subnets)}")

    def _take(self, network: Network, version: int) -> Prefix:
        return self.take_from(
            network, [each for each in details_of(network) if each.prefix.version == version]
        )

    def _free(self, network: Network, subnet: SubnetDetail) -> Prefix | None:
        prefix = subnet.prefix
        for value in self._candidates(network, subnet):
            address = Prefix(prefix.version, value, prefix.bits)
            owners = self._draft.having(Port, "fixed_ips", address)
            if address != subnet.gateway and all(port.network_id != network.id for port in owners):
                self._next[network.id, prefix] = value + 1
                return address
        return None

    def _candidates(self, network: Network, subnet: SubnetDetail) -> Iterator[int]:
        hosts = host_range(subnet.prefix)
        start = self._next.get((network.id, subnet.prefix), hosts.start)
        for first, last in sorted(subnet.pools) or [(hosts.start, hosts.stop - 1)]:
            yield from range(max(first, start, hosts.start), min(last + 1, hosts.stop))


def host_range(subnet: Prefix) -> range:
    """The address values that a port may have, as integers.

    Excludes the network and broadcast addresses of IPv4 and the anycast address of IPv6. Subnets of one or
    two addresses have none of these (RFC 3021, RFC 6164).
    """
    size = 1 << (subnet.bits - subnet.length)
    if size <= 2:
        return range(subnet.value, subnet.value + size)
    return range(subnet.value + 1, subnet.value + size - (1 if subnet.version == 4 else 0))
