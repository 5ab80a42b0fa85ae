"""One packet in the terms of a policy: sender, receiver, header and connection.

Also the MACs and addresses that a port may use. The compiler computes them separately, so that tests can
compare the two.
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
"""The usual initial TTL or hop limit of hosts."""


class State(StrEnum):
    """The connection tracker's state of a packet; REPLY: opposite to its connection's first packet."""

    NEW = "new"
    ESTABLISHED = "established"
    REPLY = "reply"
    INVALID = "invalid"


class Conversation(NamedTuple):
    """The addresses, protocol, ports and DSCP of a packet.

    Addresses are host prefixes of one family. `first` and `second` are source and destination port
    (0–65535), for ICMP type and code (0–255), and 0 for protocols that have neither. `ip_dscp` is 0–63, or
    None if the switch has not recorded that of a connection's first packet.
    """

    source: Prefix
    destination: Prefix
    protocol: int
    first: int = 0
    second: int = 0
    ip_dscp: int | None = 0

    @property
    def reverse(self) -> Conversation:
        """The conversation in the opposite direction; ICMP type and code and the DSCP stay the same."""
        ports = (self.first, self.second) if self.protocol in (ICMP, ICMPV6) else (self.second, self.first)
        return Conversation(self.destination, self.source, self.protocol, *ports, self.ip_dscp)


@dataclass(frozen=True)
class Packet:
    """An IP packet from port to port. A port id of None means the outside, by an uplink.

    `connection` is the header of its connection's first packet; with None it is derived from `header`. It
    differs from `header` for a related ICMP error. A `source_mac` of None is the sender's own MAC.
    A later fragment has no ports and, in IPv6, no protocol; those in `header` are ignored.
    A `returned` packet left a local port by an uplink, to the MAC of the router that it comes from.
    `hops` is the TTL or hop limit. A packet `to_group` has a group address as its destination MAC. A virtual
    router's `advertisement` (RFC 5798 section 5.1) goes to the backup routers, and `receiver` is one of them.
    One of `or_receivers` may hold the destination MAC instead of `receiver`: the switch learns which port
    holds it, and the policy does not determine this.
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
        """The header as a switch reads it: a later fragment of IPv6 also hides its protocol."""
        hidden = self.later_fragment and self.header.source.version == 6
        return self.header._replace(protocol=IPV6_FRAGMENT) if hidden else self.header

    @property
    def related(self) -> bool:
        """Whether the packet is an error about another packet's connection."""
        known = self.state is State.ESTABLISHED or self.state is State.REPLY
        if not known or self.connection is None:
            return False
        as_marked = self.connection._replace(ip_dscp=self.header.ip_dscp)
        return as_marked not in (self.header, self.header.reverse)

    @property
    def opening(self) -> Conversation:
        """The header of its connection's first packet; its own header if no connection is known."""
        if self.state is State.NEW or self.state is State.INVALID:
            return self.shown
        as_seen = self.header.reverse if self.state is State.REPLY else self.header
        if self.connection is None:
            return as_seen
        if self.connection.protocol != SCTP:
            return self.connection
        # The connection tracker stores no SCTP ports: a packet has its own, an error about one has none.
        ports = (_NO_PORT, _NO_PORT) if self.related else (as_seen.first, as_seen.second)
        return self.connection._replace(first=ports[0], second=ports[1])


def macs_of(port: Port) -> set[str]:
    """The MACs that a port may use: its own and those of its allowed address pairs."""
    return {port.mac, *(pair.mac for pair in port.allowed_address_pairs)}


def pairs_of(port: Port) -> Iterator[AddressPair]:
    """Every pair of MAC and address or CIDR that a port may use."""
    for address in port.fixed_ips:
        yield AddressPair(port.mac, address)
    yield from port.allowed_address_pairs
    for mac in macs_of(port):
        yield AddressPair(mac, link_local_of(mac))


def link_local_of(mac: str) -> Prefix:
    """A MAC's link-local address (RFC 4291 appendix A): flip the universal bit, put fffe in the middle."""
    parts = mac.split(":")
    first = f"{int(parts[0], 16) ^ 0b10:02x}"
    groups = [first + parts[1], parts[2] + "ff", "fe" + parts[3], parts[4] + parts[5]]
    return Prefix.parse(f"fe80::{':'.join(groups)}")
