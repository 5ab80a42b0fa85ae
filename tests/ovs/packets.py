"""Random packets among the ports of a random policy, and their text for `ofproto/trace`."""

from __future__ import annotations

from random import Random

from flows.openflow.numbers import DSCP_OF_OPENER, ROUTER_OF_ORIGINAL, ROUTER_OF_REPLY
from flows.policy.index import link_local, member_addresses
from flows.policy.objects import Port, Prefix
from flows.reference.packet import USUAL_HOPS
from flows.reference.verdict import Conversation, Packet, PolicyText, State
from tests.unit.strategies import ADDRESSES, DSCPS, ICMP_TYPES, OUTSIDE, PAIR_MACS, PORT_EDGES

OUTSIDE_MAC = "02:00:00:00:ff:01"
UNKNOWN_MAC = "02:00:00:00:ff:02"
ICMP = {4: 1, 6: 58}
WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}
NEAR_PORT_EDGES = sorted({port + step & 0xFFFF for port in PORT_EDGES for step in (-1, 0, 1)})
CONTROL_PORTS = ((67, 68), (68, 67), (546, 547), (547, 546))
DISCOVERY_TYPES = (135, 136)
LINK_LOCAL = Prefix.parse("fe80::77")
"""Of somebody outside."""
_GROUPS = "ff02::1", "ff02::2", "ff02::16", "ff02::1:2", "ff05::1", "ff0e::1:2"
TO_MANY = {4: (Prefix.parse("255.255.255.255"),), 6: tuple(map(Prefix.parse, _GROUPS))}
GROUP_MACS = {4: "ff:ff:ff:ff:ff:ff", 6: "33:33:00:00:00:01"}
"""Any that stands for many will do."""
CONTROL_TYPES = (130, 131, 132, 133, 134, 137, 143)

_TRACKED = {
    State.NEW: "trk,new",
    State.ESTABLISHED: "trk,est",
    State.REPLY: "trk,est,rpl",
    State.INVALID: "trk,inv",
}
_RELATED = {State.ESTABLISHED: "trk,rel", State.REPLY: "trk,rel,rpl"}


class PacketMaker:
    """Makes packets for one policy. Not from Hypothesis, which takes a hundred times as long."""

    def __init__(self, text: PolicyText, random: Random) -> None:
        self._text = text
        self._random = random

    def packet(self) -> Packet:
        """A packet between two ports of one network, or between a port and the outside."""
        pick = self._random.choice
        anchor = pick(list(self._text.ports.values()))
        ends = [anchor, pick([None, *self._neighbours(anchor)])]
        self._random.shuffle(ends)
        sender, receiver = ends
        version = pick([4, 6])
        source, destination = self._address(sender, version), self._address(receiver, version)
        state = pick([*State, State.NEW])
        control = state is State.NEW and self._one_in(8)
        service = self._control(version) if control else self._service(version)
        known = state is not State.NEW and self._one_in(2)
        restricted = sender is not None and sender.port_security_enabled
        to_group = restricted and self._one_in(2 if control else 30)
        if control and (to_group or self._one_in(3)):
            destination = pick(TO_MANY[version])
        if control and version == 6 and self._one_in(2):
            source = link_local(sender.mac) if sender else LINK_LOCAL
        return Packet(
            anchor.network_id,
            sender.id if sender else None,
            receiver.id if receiver else None,
            Conversation(source, destination, *service, self._dscp()),
            state,
            self._connection(source, destination, service[0]) if known else None,
            pick(PAIR_MACS) if sender and self._one_in(8) else None,
            later_fragment=self._one_in(10),
            returned=sender is None and self._one_in(2),
            to_group=to_group,
            hops=pick([255, 1, 64]) if control else USUAL_HOPS,
        )

    def _one_in(self, count: int) -> bool:
        return self._random.randrange(count) == 0

    def _neighbours(self, anchor: Port) -> list[Port]:
        ports = self._text.ports.values()
        return [port for port in ports if port.network_id == anchor.network_id and port != anchor]

    def _address(self, port: Port | None, version: int) -> Prefix:
        """Mostly an address of the port, else one outside."""
        own = OUTSIDE if port is None else tuple(member_addresses(port))
        fitting = [address for address in own if address.version == version]
        anything = [address for address in (*ADDRESSES, *OUTSIDE) if address.version == version]
        return self._random.choice(anything if not fitting or self._one_in(5) else fitting)

    def _connection(self, one: Prefix, other: Prefix, protocol: int) -> Conversation:
        """A connection of the packet's protocol, or of any protocol for ICMP errors."""
        ends = [one, other]
        self._random.shuffle(ends)
        about = None if protocol == ICMP[one.version] else protocol
        dscp = None if self._one_in(4) else self._dscp()
        return Conversation(ends[0], ends[1], *self._service(one.version, about), dscp)

    def _dscp(self) -> int:
        """One that rules name, or one that none does."""
        return self._random.choice([*DSCPS, 47])

    def _service(self, version: int, protocol: int | None = None) -> tuple[int, int, int]:
        """A protocol other than this one, and its two numbers, close to those in rules."""
        pick = self._random.choice
        protocol = protocol or pick([6, 6, 17, 132, ICMP[version], 47])
        if protocol == 47:
            return protocol, 0, 0
        if protocol == ICMP[version]:
            discovery = version == 6 and self._one_in(8)  # with another code than 0, it is none
            kinds = DISCOVERY_TYPES if discovery else ICMP_TYPES[version]
            return protocol, pick(kinds), pick([1, 2] if discovery else [0, 1, 2])
        return protocol, pick([1023, 40000]), pick(NEAR_PORT_EDGES)

    def _control(self, version: int) -> tuple[int, int, int]:
        """Messages that run the network: DHCP, router and listener messages."""
        if version == 4 or self._one_in(2):
            return 17, *self._random.choice(CONTROL_PORTS)
        return ICMP[6], self._random.choice(CONTROL_TYPES), 1 if self._one_in(8) else 0


def as_flow(text: PolicyText, packet: Packet, in_port: int) -> str:
    """The packet as `ofproto/trace` reads it."""
    network = text.networks[packet.network_id]
    terms = {"in_port": str(in_port), **_frame(text, packet), **_header(packet)}
    if packet.sender is None and network.segmentation_id is not None:
        terms["dl_vlan"] = str(network.segmentation_id)
    label = _label(packet) if packet.sender is None else 0
    if packet.state in _RELATED:
        terms |= _connection(packet.opening)
        label |= _recorded(packet.opening)
    if label:
        terms["ct_label"] = f"{label:#x}"
    return ",".join(f"{name}={value}" for name, value in terms.items())


def _label(packet: Packet) -> int:
    """The routers' MACs in its connection's label; the right MAC only for a packet that a router returns."""
    right, wrong = int(OUTSIDE_MAC.replace(":", ""), 16), int(UNKNOWN_MAC.replace(":", ""), 16)
    reply = packet.state is State.REPLY
    here, there = (ROUTER_OF_REPLY, ROUTER_OF_ORIGINAL) if reply else (ROUTER_OF_ORIGINAL, ROUTER_OF_REPLY)
    return (right if packet.returned else wrong) << here | (wrong if packet.returned else right) << there


def _recorded(opening: Conversation) -> int:
    """What its connection noted of the first packet's DSCP."""
    known = 1 << 6
    return 0 if opening.ip_dscp is None else (known | opening.ip_dscp) << DSCP_OF_OPENER


def tracked_as(packet: Packet) -> str:
    """The state from the connection tracker; an error about another packet is related."""
    if packet.related:
        return _RELATED[packet.state]
    return _TRACKED[packet.state]


def _frame(text: PolicyText, packet: Packet) -> dict[str, str]:
    source = packet.source_mac or (text.ports[packet.sender].mac if packet.sender else OUTSIDE_MAC)
    destination = text.ports[packet.receiver].mac if packet.receiver else UNKNOWN_MAC
    if packet.to_group:
        destination = GROUP_MACS[packet.header.source.version]
    return {"dl_src": source, "dl_dst": destination}


def _header(packet: Packet) -> dict[str, str]:
    source, destination, protocol, first, second, dscp = packet.header
    version = source.version
    names = ("nw_src", "nw_dst") if version == 4 else ("ipv6_src", "ipv6_dst")
    terms = {"dl_type": "0x0800" if version == 4 else "0x86dd", "nw_proto": str(protocol)}
    terms["nw_ttl"] = str(packet.hops)
    terms |= {"nw_tos": str((dscp or 0) << 2), "nw_ecn": str(second % 4)}
    terms |= {names[0]: str(source), names[1]: str(destination)}
    if packet.later_fragment:
        return terms | {"nw_frag": "later", "nw_proto": str(packet.shown.protocol)}
    if protocol == ICMP[version]:
        kind = "icmp" if version == 4 else "icmpv6"
        return terms | {f"{kind}_type": str(first), f"{kind}_code": str(second)}
    if protocol in WITH_PORTS:
        name = WITH_PORTS[protocol]
        return terms | {f"{name}_src": str(first), f"{name}_dst": str(second)}
    return terms


def _connection(opening: Conversation) -> dict[str, str]:
    """The connection tracker's fields. The packet is untracked yet, but `ofproto/trace` needs a state."""
    kind = "nw" if opening.source.version == 4 else "ipv6"
    return {
        "ct_state": "est",
        f"ct_{kind}_src": str(opening.source),
        f"ct_{kind}_dst": str(opening.destination),
        "ct_nw_proto": str(opening.protocol),
        "ct_tp_src": str(max(opening.first, 0)),
        "ct_tp_dst": str(max(opening.second, 0)),
    }
