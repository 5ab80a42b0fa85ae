"""The reference verdict on frames that rules do not concern: ARP, neighbour discovery, other ethertypes.

Like the reference for packets, this module is plain and does not depend on tables or switches.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from flows.policy.objects import Network, Port, Prefix
from flows.reference.exempt import ALL_NODES, LINK_LOCAL
from flows.reference.packet import macs_of, pairs_of

_SOLICITED_NODE = Prefix.parse("ff02::1:ff00:0/104")
REQUEST, REPLY = 1, 2
SOLICITATION, ADVERTISEMENT = 135, 136


@dataclass(frozen=True)
class Arp:
    """An ARP message with its sender's MAC and address (RFC 826). Operation 0: a switch cannot parse it."""

    operation: int
    mac: str
    address: Prefix
    target: Prefix


@dataclass(frozen=True)
class Neighbour:
    """Neighbour solicitation or advertisement (RFC 4861 sections 4.3 and 4.4), with a hop limit of 255.

    `source` and `destination` are those of the IPv6 header. `target` is None if a switch cannot parse the
    message. `link_address` is the MAC in the source or target link-layer address option, None without it.
    """

    kind: int
    source: Prefix
    target: Prefix | None
    link_address: str | None
    destination: Prefix


@dataclass(frozen=True)
class Frame:
    """A frame from the port with the id `sender`; `message` is None if it is neither ARP nor discovery."""

    sender: str
    source_mac: str
    destination_mac: str
    ethertype: int
    tagged: bool = False
    message: Arp | Neighbour | None = None


class FrameRefusal(Enum):
    """Why a frame is dropped."""

    SOURCE_MAC = "the source MAC is zero or a group address"
    TAGGED = "a workload may not send tagged frames"
    ADMIN_DOWN = "the sending port is administratively down"
    ETHERTYPE = "neither ARP nor IP nor an Ethernet type that the sending port may use"
    UNREADABLE = "ARP that the switch cannot parse, although a host might"
    ARP_SPOOF = "ARP with a MAC or address that is not the sending port's"
    SPOOFED_SOURCE = "MAC and source address are not a pair that the sending port may use"
    ND_SPOOF = "neighbour discovery with a MAC or address that is not the sending port's"
    OFF_LINK = "neighbour discovery for a destination that is not on the network's link"
    FOREIGN_ADDRESS = "it is for an address that the receiving port does not have"
    NOT_UNICAST = "a workload may not send multicast or broadcast"
    RECEIVER = "the receiving port accepts no frames of this Ethernet type"


class FrameVerdict(NamedTuple):
    """A verdict. A frame without `refusal` may pass: to `ports` (ids) and, if `outside`, to the uplinks."""

    refusal: FrameRefusal | None
    ports: frozenset[str] = frozenset()
    outside: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the frame may pass, even if it has no receivers."""
        return self.refusal is None


ELSEWHERE = ""
"""In place of a port's id: a port that is not on the sender's switch."""
NOTHING_SEEN: Mapping[str, str] = MappingProxyType({})


def judge_frame(
    networks: Mapping[str, Network],
    ports: Mapping[str, Port],
    frame: Frame,
    elsewhere: Collection[str] = (),
    last_used: Mapping[str, str] = NOTHING_SEEN,
) -> FrameVerdict:
    """Whether the frame may pass, and who receives it.

    All ports of its network are on one switch, except those with ids in `elsewhere`. `last_used` has, for
    each MAC that several ports may use, the id of the port that used it last; ELSEWHERE is a port behind an
    uplink. Raises KeyError for unknown ids, ValueError for a packet that rules decide on.
    """
    sender = ports[frame.sender]
    refusal = _refusal(sender, frame)
    if refusal is not None:
        return FrameVerdict(refusal)
    alive = [each for each in ports.values() if each.network_id == sender.network_id and each.admin_state_up]
    here = [port for port in alive if port.id not in elsewhere]
    network, said = networks[sender.network_id], frame.message
    if sender.port_security_enabled and isinstance(said, Neighbour) and not _is_on_link(network, here, said):
        return FrameVerdict(FrameRefusal.OFF_LINK)
    return _Delivery(alive, elsewhere, last_used, sender, frame).verdict()


def _is_on_link(network: Network, here: Iterable[Port], said: Neighbour) -> bool:
    """Whether the destination is a group that such messages go to, or an address on the network's link."""
    groups = _SOLICITED_NODE if said.kind == SOLICITATION else ALL_NODES
    if groups.covers(said.destination):
        return True
    return any(prefix.covers(said.destination) for prefix in _link_of(network, here))


def _link_of(network: Network, here: Iterable[Port]) -> Iterator[Prefix]:
    """The prefixes on the link: IPv6 subnets, and single addresses in the ports' allowed address pairs.

    If the network has no IPv6 subnet, the /64 prefixes around the ports' fixed addresses take its place.
    """
    subnets = [subnet for subnet in network.subnets if subnet.version == 6]
    yield LINK_LOCAL
    yield from subnets
    for port in here:
        yield from (pair.prefix for pair in port.allowed_address_pairs if pair.prefix.is_host)
        if not subnets:
            yield from (Prefix(6, ip.value >> 64 << 64, 64) for ip in port.fixed_ips if ip.version == 6)


def _refusal(sender: Port, frame: Frame) -> FrameRefusal | None:
    if is_group(frame.source_mac):
        return FrameRefusal.SOURCE_MAC
    if frame.tagged:
        return FrameRefusal.TAGGED
    if not sender.admin_state_up:
        return FrameRefusal.ADMIN_DOWN
    if sender.port_security_enabled:
        return _refusal_of_kind(sender, frame)
    return FrameRefusal.SOURCE_MAC if is_no_source(frame.source_mac) else None


def _refusal_of_kind(sender: Port, frame: Frame) -> FrameRefusal | None:
    if isinstance(frame.message, Arp):
        return _arp_refusal(sender, frame.source_mac, frame.message)
    if isinstance(frame.message, Neighbour):
        return _discovery_refusal(sender, frame.source_mac, frame.message)
    if frame.ethertype in (0x0800, 0x86DD):
        if is_no_source(frame.source_mac):
            return FrameRefusal.SPOOFED_SOURCE  # no port may use it
        raise ValueError("an IP packet is judged by rules")
    permitted = frame.ethertype in sender.permitted_ethertypes and frame.source_mac in macs_of(sender)
    return None if permitted else FrameRefusal.ETHERTYPE


def _arp_refusal(sender: Port, mac: str, said: Arp) -> FrameRefusal | None:
    if said.operation not in (REQUEST, REPLY):
        return FrameRefusal.UNREADABLE
    probe = said.operation == REQUEST and said.address.value == 0 and mac in macs_of(sender)
    own = probe or _covered(said.address, _own(sender, mac))
    return None if own and said.mac == mac else FrameRefusal.ARP_SPOOF


def _discovery_refusal(sender: Port, mac: str, said: Neighbour) -> FrameRefusal | None:
    nobody = said.source.value == 0 and mac in macs_of(sender)
    if not nobody and not _covered(said.source, _own(sender, mac)):
        return FrameRefusal.SPOOFED_SOURCE
    if said.target is None or said.link_address not in (None, mac):
        return FrameRefusal.ND_SPOOF
    own = _own(sender, mac)
    if said.kind == ADVERTISEMENT:
        return None if _covered(said.target, own) else FrameRefusal.ND_SPOOF
    if not _asks_group_of_target(said):
        own = {prefix for prefix in own if not prefix.is_host}
    in_form = said.link_address is None and _SOLICITED_NODE.covers(said.destination)
    detection = in_form and _covered(said.target, own)
    return FrameRefusal.ND_SPOOF if said.source.value == 0 and not detection else None


def _asks_group_of_target(said: Neighbour) -> bool:
    """Whether the destination is the solicited-node group of the target (RFC 4291 section 2.7.1)."""
    last_bits = (1 << 24) - 1
    same = said.target is not None and not (said.target.value ^ said.destination.value) & last_bits
    return same and _SOLICITED_NODE.covers(said.destination)


def shows_holder(sender: Port, frame: Frame) -> bool:
    """Whether the frame shows that its sender holds the source MAC, which other ports may use too.

    It does if it comes from an address that an allowed address pair has for the MAC, even if it is dropped
    later.
    """
    said, mac = frame.message, frame.source_mac
    named = {pair.prefix for pair in sender.allowed_address_pairs if pair.mac == mac}
    if isinstance(said, Arp):
        return _arp_refusal(sender, mac, said) is None and _covered(said.address, named)
    if not isinstance(said, Neighbour):
        return False
    refusal = _discovery_refusal(sender, mac, said)
    if refusal is FrameRefusal.SPOOFED_SOURCE:
        return False
    announced = said.target if said.kind == ADVERTISEMENT and refusal is None else None
    return any(_covered(address, named) for address in (said.source, announced) if address is not None)


class _Delivery:
    """Finds the receivers of a frame that has passed the sender's checks."""

    def __init__(
        self,
        alive: Iterable[Port],
        elsewhere: Collection[str],
        last_used: Mapping[str, str],
        sender: Port,
        frame: Frame,
    ) -> None:
        self._others = [port for port in alive if port.id != sender.id]
        self._peers = [port for port in self._others if port.id not in elsewhere]
        self._away = [port for port in self._others if port.id in elsewhere]
        self._last_used = last_used
        self._sender, self._frame = sender, frame

    def verdict(self) -> FrameVerdict:
        frame, said = self._frame, self._frame.message
        if isinstance(said, Arp | Neighbour):
            if self._tells_all(said):
                return self._to(self._peers, outside=True)
            if self._asks_outside(said):
                return self._to_servers()
            return self._neighbour(said)
        if not is_group(frame.destination_mac):
            return self._by_mac()
        if self._sender.port_security_enabled:
            return FrameVerdict(FrameRefusal.NOT_UNICAST)
        return self._to_servers()

    def _tells_all(self, said: Arp | Neighbour) -> bool:
        """Whether this announces to all an address of the sender, or any address if the sender is trusted."""
        group = is_group(self._frame.destination_mac)
        if isinstance(said, Neighbour):
            return group and said.kind == ADVERTISEMENT and said.destination == ALL_NODES
        if group and said.operation == REPLY:
            return True
        announced = said.address == said.target
        if self._sender.port_security_enabled:
            return announced and said.address in _own(self._sender, self._frame.source_mac)
        return group and said.operation == REQUEST and announced

    def _asks_outside(self, said: Arp | Neighbour) -> bool:
        """Whether this is duplicate address detection for an own address that no other port may have."""
        if not self._sender.port_security_enabled or said.target is None:
            return False
        nobody = said.address if isinstance(said, Arp) else said.source
        request = said.operation == REQUEST if isinstance(said, Arp) else said.kind == SOLICITATION
        own = said.target in _own(self._sender, self._frame.source_mac)
        own = own and (isinstance(said, Arp) or _asks_group_of_target(said))
        return request and nobody.value == 0 and own and not self._is_shared(said.target)

    def _is_shared(self, address: Prefix) -> bool:
        return any(_owns(port, address) for port in self._others)

    def _to_owners(self, owners: Iterable[Port], address: Prefix | None) -> FrameVerdict:
        """To the owners here; if a port elsewhere may have the address, also to servers and outside."""
        if not any(_owns(port, address) for port in self._away):
            return self._to(owners, outside=False)
        return self._to((*owners, *self._servers()), outside=True)

    def _neighbour(self, said: Arp | Neighbour) -> FrameVerdict:
        """A request goes only to the owner of the address.

        Without an owner, it goes to the ports whose CIDRs cover the address, to servers and to the outside.
        """
        holders = self._asked(said)
        if holders.own:
            return self._to_owners(holders.ports, said.target)
        if not is_group(self._frame.destination_mac):
            return self._by_mac()
        return self._to((*holders.ports, *self._servers()), outside=True)

    def _asked(self, said: Arp | Neighbour) -> Holders:
        """The ports that a request concerns. A solicitation must be sent to the group of a single address."""
        here = [self._sender, *self._peers]
        if isinstance(said, Arp):
            return _nearest(here, said.target) if said.operation == REQUEST else Holders()
        if said.kind != SOLICITATION or said.target is None:
            return Holders()
        return _nearest(here, said.target, ranges_only=not _asks_group_of_target(said))

    def _by_mac(self) -> FrameVerdict:
        receivers, outside = self._holders(self._frame.destination_mac)
        takers = receivers if self._frame.message is not None else list(filter(self._takes, receivers))
        if self._all_refuse(receivers, takers) and not outside:
            return FrameVerdict(FrameRefusal.RECEIVER)
        hearers = [port for port in takers if _hears(port, self._frame.message)]
        if self._all_refuse(takers, hearers) and not outside:
            return FrameVerdict(FrameRefusal.FOREIGN_ADDRESS)
        return self._to(hearers, outside)

    def _all_refuse(self, asked: Sequence[Port], willing: Sequence[Port]) -> bool:
        """Whether some ports refuse the frame, and no port takes it apart from its sender.

        The sender never gets its own frame.
        """
        return len(willing) < len(asked) and all(port is self._sender for port in willing)

    def _takes(self, port: Port) -> bool:
        return not port.port_security_enabled or self._frame.ethertype in port.permitted_ethertypes

    def _holders(self, mac: str) -> tuple[list[Port], bool]:
        """The ports here that may hold a MAC now, and whether a port outside may hold it."""
        here = holders_of([self._sender, *self._peers], mac)
        if not here:
            return [], True
        away = here[0].mac != mac and any(mac in macs_of(port) for port in self._away)
        last = self._last_used.get(mac)
        if last == ELSEWHERE and away:
            return [], True
        known = [port for port in here if port.id == last]
        return (known, False) if known else (here, away)

    def _to_servers(self) -> FrameVerdict:
        """To the outside and to ports without port security: servers and routers are only there."""
        return self._to(self._servers(), outside=True)

    def _servers(self) -> list[Port]:
        return [port for port in self._peers if not port.port_security_enabled]

    def _to(self, ports: Iterable[Port], outside: bool) -> FrameVerdict:
        return FrameVerdict(None, frozenset(port.id for port in ports) - {self._sender.id}, outside)


def _hears(port: Port, said: Arp | Neighbour | None) -> bool:
    """Whether a message to the port's MAC is for one of its addresses, or answers an ARP probe (RFC 5227)."""
    if said is None or not port.port_security_enabled:
        return True
    own = [pair.prefix for pair in pairs_of(port)]
    if isinstance(said, Neighbour):
        return _covered(said.destination, own)
    return _covered(said.target, own) or (said.operation == REPLY and said.target.value == 0)


def receiver_of(ports: Iterable[Port], mac: str) -> Port | None:
    """The port that has a MAC, or the first of the ports that may use it."""
    return next(iter(holders_of(ports, mac)), None)


def holders_of(ports: Iterable[Port], mac: str) -> list[Port]:
    """The ports that may hold a MAC: the port whose own MAC it is, else all that may use it, by id."""
    found = [port for port in ports if mac in macs_of(port)]
    found.sort(key=lambda port: (port.mac != mac, port.id))
    return found[:1] if found and found[0].mac == mac else found


def is_no_source(mac: str) -> bool:
    """Whether a MAC cannot be a source: it is zero or a group address."""
    return is_group(mac) or not int(mac.replace(":", ""), 16)


def is_group(mac: str) -> bool:
    """Whether a MAC is a group address."""
    return bool(int(mac[:2], 16) & 1)


def _own(port: Port, mac: str) -> set[Prefix]:
    """The addresses and CIDRs that a port may use with one MAC."""
    return {pair.prefix for pair in pairs_of(port) if pair.mac == mac}


def _owns(port: Port, address: Prefix | None) -> bool:
    return any(pair.prefix == address for pair in pairs_of(port))


class Holders(NamedTuple):
    """The ports with the longest prefix that covers an address; `own` if that prefix is the address."""

    ports: tuple[Port, ...] = ()
    own: bool = False


def _nearest(ports: Iterable[Port], address: Prefix, *, ranges_only: bool = False) -> Holders:
    covering = [
        (pair.prefix, port)
        for port in ports
        for pair in pairs_of(port)
        if pair.prefix.covers(address) and not (ranges_only and pair.prefix.is_host)
    ]
    length = max((prefix.length for prefix, _ in covering), default=-1)
    nearest = tuple(port for prefix, port in covering if prefix.length == length)
    return Holders(nearest, own=length == address.bits)


def _covered(address: Prefix, prefixes: Iterable[Prefix]) -> bool:
    return any(prefix.covers(address) for prefix in prefixes)
