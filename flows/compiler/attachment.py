"""A policy port that is bound to a bridge, and the MACs and addresses that it may use."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from flows.policy.index import Claim, link_local
from flows.policy.objects import AddressPair, Port, Prefix

_LINK = Prefix.parse("fe80::/64")


@dataclass(frozen=True)
class Attachment:
    """A bound policy port: its OpenFlow port, its network's zone on this bridge, its identity.

    `uplinked`: an uplink of this bridge carries the network, so the port needs guards against the outside.
    `subnets6`: the network declares IPv6 subnets. `subnets4`: the network's IPv4 subnets. `shared`: the MACs
    and addresses of this port that other ports may use, too. `elsewhere`: those of them that a port not on
    this bridge may use. `off_subnet`: the port may have an address that is in no subnet of its network.
    """

    ofport: int
    port: Port
    zone: int
    identity: int
    stateless: bool
    uplinked: bool
    subnets6: bool
    subnets4: tuple[Prefix, ...]
    shared: frozenset[Claim] = frozenset()
    elsewhere: frozenset[Claim] = frozenset()
    off_subnet: bool = False

    def shared_pair_macs(self) -> list[str]:
        """MACs of allowed address pairs that other ports may use, too; never the port's own MAC."""
        return [mac for mac in source_macs(self.port) if mac in self.shared and mac != self.port.mac]

    def leads_outside(self, claim: Claim) -> bool:
        """Whether the holder of a MAC or an address may be behind an uplink."""
        return self.uplinked and claim in self.elsewhere

    def exclusive_macs(self) -> Iterator[str]:
        """The MACs that the outside may not use."""
        for mac in source_macs(self.port):
            if mac == self.port.mac or mac not in self.elsewhere:
                yield mac

    def exclusive_addresses(self) -> Iterator[Prefix]:
        """The single addresses that the outside may not use."""
        for prefix in dict.fromkeys(pair.prefix for pair in address_pairs(self.port)):
            if prefix.is_host and prefix not in self.elsewhere:
                yield prefix


def mac_number(text: str) -> int:
    """The 48-bit number of a MAC that is written as `aa:bb:cc:dd:ee:ff`."""
    return int(text.replace(":", ""), 16)


def address_pairs(port: Port) -> list[AddressPair]:
    """All (MAC, address or CIDR) pairs that the port may use as a source; in order, without duplicates."""
    own = [AddressPair(port.mac, address) for address in (*port.fixed_ips, link_local(port.mac))]
    pairs = [*own, *port.allowed_address_pairs]
    pairs += [AddressPair(mac, link_local(mac)) for mac in source_macs(port)]
    return list(dict.fromkeys(pairs))


def source_macs(port: Port) -> list[str]:
    """The port's own MAC and those of its allowed address pairs."""
    return list(dict.fromkeys([port.mac, *(pair.mac for pair in port.allowed_address_pairs)]))


def may_be_off_subnet(port: Port, subnets: Collection[Prefix]) -> bool:
    """Whether the port may have an address that is neither in its network's `subnets` nor link-local."""
    known = (_LINK, *subnets)
    own = {pair.prefix for pair in address_pairs(port)}
    return not all(any(each.covers(prefix) for each in known) for prefix in own)
