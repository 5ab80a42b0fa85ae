"""Giving a port a MAC address and fixed addresses that nobody else has."""

from __future__ import annotations

from uuid import uuid4

from flows.model import Network, Port, Prefix
from sgctl.service.draft import Draft


def new_mac(draft: Draft, network_id: str) -> str:
    """A random locally administered unicast MAC that is free in the network."""
    while True:
        octets = b"\x02" + uuid4().bytes[:5]
        mac = ":".join(f"{octet:02x}" for octet in octets)
        if all(port.network_id != network_id for port in draft.where(Port, "mac", mac)):
            return mac


class AddressPool:
    """Hands out addresses of a draft's networks, in order, each once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._next: dict[tuple[str, Prefix], int] = {}

    def take(self, network: Network) -> tuple[Prefix, ...]:
        """The next free address of each family the network has subnets of, IPv4 first.

        Raises ValueError when the subnets of a family are full.
        """
        versions = sorted({subnet.version for subnet in network.subnets})
        return tuple(self._take(network, version) for version in versions)

    def _take(self, network: Network, version: int) -> Prefix:
        subnets = [subnet for subnet in network.subnets if subnet.version == version]
        for subnet in subnets:
            hosts = host_range(subnet, skip_gateway=True)
            for value in range(self._next.get((network.id, subnet), hosts.start), hosts.stop):
                self._next[network.id, subnet] = value + 1
                address = Prefix(version, value, subnet.bits)
                owners = self._draft.having(Port, "fixed_ips", address)
                if all(port.network_id != network.id for port in owners):
                    return address
        raise ValueError(f"no free address is left in {', '.join(map(str, subnets))}")


def host_range(subnet: Prefix, skip_gateway: bool = False) -> range:
    """Address values a port may have: IPv4 leaves out network and broadcast address, IPv6 the anycast one.

    Subnets of one or two addresses have neither (RFC 3021, RFC 6164). The first host is by habit the
    router's: `skip_gateway` leaves it out too.
    """
    size = 1 << (subnet.bits - subnet.length)
    if size <= 2:
        return range(subnet.value, subnet.value + size)
    first = 2 if skip_gateway else 1
    return range(subnet.value + first, subnet.value + size - (1 if subnet.version == 4 else 0))
