"""One packet in words that policies are written in: who sends what to whom, and on which connection.

And which MACs and addresses are a port's own. The compiler has its own idea of that, to be held against this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from flows.policy.objects import AddressPair, Port, Prefix

TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
IPV6_FRAGMENT = 44
_NO_PORT = -1
USUAL_HOPS = 64
"""The TTL or hop limit that hosts begin with."""


class State(StrEnum):
    """What the connection tracker says of a packet; REPLY runs against its connection's first packet."""

    NEW = "new"
    ESTABLISHED = "established"
    REPLY = "reply"
    INVALID = "invalid"


class Conversation(NamedTuple):
    """Who talks to whom about what.

    Addresses are host prefixes of one family. `first` and `second` are source and destination port
    (0–65535), for ICMP type and code (0–255), and 0 for protocols that have neither.
    """

    source: Prefix
    destination: Prefix
    protocol: int
    first: int = 0
    second: int = 0

    @property
    def reverse(self) -> Conversation:
        """The same conversation as the other side's packets show it, apart from ICMP types."""
        ports = (self.first, self.second) if self.protocol in (ICMP, ICMPV6) else (self.second, self.first)
        return Conversation(self.destination, self.source, self.protocol, *ports)


@dataclass(frozen=True)
class Packet:
    """An IP packet on its way from port to port; None as port id is the outside, by an uplink.

    `connection` is what the first packet of its connection said; None takes it from the header. It
    differs from the header for a related ICMP error. `source_mac` None is the sender's own.
    A later fragment carries no ports, and of IPv6 no protocol; those of its header are not looked at.
    One `returned` left a local port by an uplink, for the MAC of the router that it comes from.
    `hops` is its TTL or hop limit. One `to_group` has a MAC that stands for many; a virtual router's
    advertisement (RFC 5798 section 5.1) is one to those that back it up, of whom a `receiver` is one. The MAC
    that it goes to may be held by one of `or_receivers` instead: by which port, a switch learns and no policy
    tells.
    """

    network_id: str
    sender: str | None
    receiver: str | None
    header: Conversation
    state: State = State.NEW
    connection: Conversation | None = None
    source_mac: str | None = None
    later_fragment: bool = False
    returned: bool = False
    to_group: bool = False
    advertisement: bool = False
    hops: int = USUAL_HOPS
    or_receivers: tuple[str, ...] = ()

    @property
    def shown(self) -> Conversation:
        """The header as a switch reads it: a later fragment of IPv6 hides its protocol, too."""
        hidden = self.later_fragment and self.header.source.version == 6
        return self.header._replace(protocol=IPV6_FRAGMENT) if hidden else self.header

    @property
    def related(self) -> bool:
        """Whether it is an error about another packet's connection."""
        known = self.state is State.ESTABLISHED or self.state is State.REPLY
        return known and self.connection not in (None, self.header, self.header.reverse)

    @property
    def opening(self) -> Conversation:
        """What the first packet of its connection said; its own header while no connection is known."""
        if self.state is State.NEW or self.state is State.INVALID:
            return self.shown
        as_seen = self.header.reverse if self.state is State.REPLY else self.header
        if self.connection is None:
            return as_seen
        if self.connection.protocol != SCTP:
            return self.connection
        # The connection tracker remembers no ports of it: a packet shows its own, an error about one none.
        ports = (_NO_PORT, _NO_PORT) if self.related else (as_seen.first, as_seen.second)
        return Conversation(self.connection.source, self.connection.destination, SCTP, *ports)


def macs_of(port: Port) -> set[str]:
    """The MACs that a port may use: its own and those of its allowed address pairs."""
    return {port.mac, *(pair.mac for pair in port.allowed_address_pairs)}


def pairs_of(port: Port) -> Iterator[AddressPair]:
    """Every MAC that a port may use, with each address or CIDR that it may use it with."""
    for address in port.fixed_ips:
        yield AddressPair(port.mac, address)
    yield from port.allowed_address_pairs
    for mac in macs_of(port):
        yield AddressPair(mac, link_local_of(mac))


def link_local_of(mac: str) -> Prefix:
    """What a host makes of its MAC (RFC 4291 appendix A): flip the universal bit, put fffe in the middle."""
    parts = mac.split(":")
    first = f"{int(parts[0], 16) ^ 0b10:02x}"
    groups = [first + parts[1], parts[2] + "ff", "fe" + parts[3], parts[4] + parts[5]]
    return Prefix.parse(f"fe80::{':'.join(groups)}")
