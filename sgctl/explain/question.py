"""Turns the user's question into a packet: its sender, its receiver, and its service."""

from __future__ import annotations

from dataclasses import dataclass

from flows.policy.index import member_addresses
from flows.policy.objects import Port, Prefix
from flows.policy.validate import WITH_PORTS
from flows.reference.frame import Frame, holders_of, is_group, is_no_source
from flows.reference.packet import USUAL_HOPS
from flows.reference.verdict import Conversation, Packet, PolicyText, State
from sgctl.explain.expected import Unexplained
from sgctl.explain.frame_parser import ReadFrame, is_error, read_frame
from sgctl.explain.services import ALL, FULL, Services

CLIENT_PORT = 40000
"""The client's port when the user names none."""
TCP = 6
_VRRP, VRRP_HOPS = 112, 255
VRRP_GROUPS = {
    Prefix.parse("224.0.0.18"): "01:00:5e:00:00:12",
    Prefix.parse("ff02::12"): "33:33:00:00:00:12",
}
"""The groups to which virtual routers send advertisements, with the MAC (RFC 5798 section 5.1)."""
_EVERYBODY = Prefix.parse("255.255.255.255")
_GROUPS = (_EVERYBODY, Prefix.parse("224.0.0.0/4"), Prefix.parse("ff00::/8"))
_USUAL_HOPS = {**dict.fromkeys(range(133, 138), 255), **dict.fromkeys((130, 131, 132, 143), 1)}
"""By ICMPv6 type (RFC 4861 section 4, RFC 2710 section 3, RFC 3810 section 5)."""
_ICMP = {4: 1, 6: 58}
_ECHO_REQUEST = {4: 8, 6: 128}
_ECHO_REPLY = {4: 0, 6: 129}
ERRORS = {
    "fragmentation-needed": {4: (3, 4), 6: (2, 0)},
    "packet-too-big": {4: (3, 4), 6: (2, 0)},
    "port-unreachable": {4: (3, 3), 6: (1, 4)},
    "host-unreachable": {4: (3, 1), 6: (1, 3)},
    "net-unreachable": {4: (3, 0), 6: (1, 0)},
    "prohibited": {4: (3, 13), 6: (1, 1)},
    "time-exceeded": {4: (11, 0), 6: (3, 0)},
}
"""ICMP errors (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443): type and code by family."""


@dataclass(frozen=True)
class ServiceQuestion:
    """What the connection is: protocol number, destination port or ICMP type and code, and DSCP.

    None means that the user did not say: a packet without any of them is a ping, one with a port is TCP.
    Most packets have DSCP 0.
    """

    protocol: int | None = None
    port: int | None = None
    source_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    ip_dscp: int = 0

    def conversation(self, source: Prefix, destination: Prefix) -> Conversation:
        """The connection's first packet from one address to another. Raises Unexplained."""
        return Conversation(source, destination, *self.numbers(source.version), self.ip_dscp)

    def numbers(self, version: int) -> tuple[int, int, int]:
        """Protocol, and source and destination port or ICMP type and code. Raises Unexplained."""
        if self.protocol in (None, 1, 58) and self.port is None and self.source_port is None:
            kind = _ECHO_REQUEST[version] if self.icmp_type is None else self.icmp_type
            return _ICMP[version], kind, self.icmp_code or 0
        if self.icmp_type is not None or self.icmp_code is not None:
            raise Unexplained("an ICMP type cannot be combined with a port or another protocol")
        client = CLIENT_PORT if self.source_port is None else self.source_port
        protocol = TCP if self.protocol is None else self.protocol
        if protocol not in WITH_PORTS:
            if self.port is not None or self.source_port is not None:
                raise Unexplained("only TCP, UDP and SCTP have ports")
            return protocol, 0, 0
        if self.port is None:
            raise Unexplained("a TCP, UDP or SCTP connection needs a destination port")
        return protocol, client, self.port

    def meant(self, version: int) -> Services:
        """All services that match; every service when nothing is given. Raises Unexplained."""
        said = (self.port, self.source_port, self.icmp_type, self.icmp_code)
        if any(number is not None for number in said):
            return Services.one(*self.numbers(version))
        if self.protocol is None:
            return ALL
        protocol = _ICMP[version] if self.protocol in _ICMP.values() else self.protocol
        return Services(ranges={protocol: (FULL,)})


@dataclass(frozen=True)
class End:
    """One end of a conversation: a policy port, or an address outside (then the port is None)."""

    port: Port | None
    address: Prefix | None

    def at(self, version: int, what: str) -> Prefix:
        """The end's address of this IP version. Raises Unexplained when it has none."""
        if self.address is not None and self.address.version == version:
            return self.address
        own = self.port.fixed_ips if self.port is not None and self.address is None else ()
        found = next((address for address in own if address.version == version), None)
        if found is None:
            raise Unexplained(f"{what} has no IPv{version} address")
        return found


@dataclass(frozen=True)
class Error:
    """An ICMP error about a connection, by a name of ERRORS.

    The first end sends the error, or `by` does: a router between the ends. The second end receives it. With
    `reply` the second end opened the connection, else the first end did.
    """

    kind: str
    by: str | None = None
    reply: bool = False


def find_end(text: PolicyText, word: str, network: str | None = None, project: str = "") -> End:
    """The end that a word means: a port by name, id or address, else an address outside.

    A name means a port of `project`. An address means a port of `project` that has it, else a port of
    another project. With `network` (an id) an address only means a port of that network. Raises Unexplained.
    """
    ports = _named(text, word, project)
    if len(ports) > 1:
        raise Unexplained(f"{len(ports)} ports are called {word!r}; use an id: {_ids(ports)}")
    if ports:
        return End(ports[0], None)
    try:
        address = Prefix.parse(word)
    except ValueError:
        address = None
    if address is None or not address.is_host:
        raise Unexplained(f"{word!r} is neither a port nor an address{_hint(text, word)}")
    owners = [
        port
        for port in text.ports.values()
        if address in member_addresses(port) and network in (None, port.network_id)
    ]
    owners = [port for port in owners if port.meta.project_id == project] or owners
    if len(owners) > 1:
        raise Unexplained(f"{len(owners)} ports have the address {word}; use an id: {_ids(owners)}")
    return End(owners[0] if owners else None, address)


def _named(text: PolicyText, word: str, project: str) -> list[Port]:
    if word in text.ports:
        return [text.ports[word]]
    return [port for port in text.ports.values() if port.name == word and port.meta.project_id == project]


def _hint(text: PolicyText, word: str) -> str:
    named = [port for port in text.ports.values() if port.name == word]
    projects = sorted({port.meta.project_id or "no project" for port in named})
    return f"; there is one of {', '.join(projects)}: use --project or its id" if projects else ""


def _ids(ports: list[Port]) -> str:
    return ", ".join(sorted(port.id for port in ports))


def ask(
    text: PolicyText,
    ends: tuple[str, str],
    service: ServiceQuestion,
    version: int | None,
    state: State,
    project: str = "",
) -> Packet:
    """The packet from one end to the other; port names are those of `project`. Raises Unexplained.

    In state REPLY the first end answers in a connection that the second end opened to `port` of the first.
    """
    sender, receiver = _pair(text, *ends, project)
    version = version or _version(sender, receiver)
    source, destination = sender.at(version, ends[0]), receiver.at(version, ends[1])
    header, connection = service.conversation(source, destination), None
    if state is State.REPLY:
        connection = service.conversation(destination, source)
        header = _answer_to(connection)
    return Packet(
        _network_id(sender, receiver),
        _port_id(sender),
        _port_id(receiver),
        header,
        state,
        connection,
        to_group=stands_for_many(destination),
        advertisement=service.protocol == _VRRP and destination in VRRP_GROUPS,
        hops=usual_hops(header),
    )


def stands_for_many(destination: Prefix) -> bool:
    """Whether hosts send to this address with a multicast or broadcast MAC."""
    return any(group.covers(destination) for group in _GROUPS)


def group_mac(destination: Prefix) -> str:
    """The multicast or broadcast MAC of an address (RFC 1112 section 6.4, RFC 2464 section 7)."""
    if destination.version == 6:
        tail = f"3333{destination.value & 0xFFFFFFFF:08x}"
    elif destination == _EVERYBODY:
        tail = "f" * 12
    else:
        tail = f"01005e{destination.value & 0x7FFFFF:06x}"
    return bytes.fromhex(tail).hex(":")


def usual_hops(header: Conversation) -> int:
    """The hop limit that hosts use: 255 for neighbour discovery and VRRP, 1 for MLD, else the default."""
    if header.source.version == 6 and header.protocol == _ICMP[6]:
        return _USUAL_HOPS.get(header.first, USUAL_HOPS)
    return VRRP_HOPS if header.protocol == _VRRP else USUAL_HOPS


def ask_error(
    text: PolicyText,
    ends: tuple[str, str],
    service: ServiceQuestion,
    version: int | None,
    error: Error,
    project: str = "",
) -> Packet:
    """An ICMP error to the second end about its connection with the first end. Raises Unexplained."""
    first, told = _pair(text, *ends, project)
    version = version or _version(first, told)
    one, other = first.at(version, ends[0]), told.at(version, ends[1])
    sender = first if error.by is None else _pair(text, error.by, ends[1], project)[0]
    source = one if error.by is None else sender.at(version, error.by)
    opened = (other, one) if error.reply else (one, other)
    return Packet(
        _network_id(told, sender),
        _port_id(sender),
        _port_id(told),
        Conversation(source, other, _ICMP[version], *ERRORS[error.kind][version]),
        State.REPLY if error.reply else State.ESTABLISHED,
        service.conversation(*opened),
    )


def ask_frame(text: PolicyText, sender: str, frame: str, state: State, project: str = "") -> Packet | Frame:
    """A raw frame that a port sends, as the reference evaluator takes it. Raises Unexplained.

    It is a Frame when no rule can match it. An ICMP error is about the connection of the packet that it
    quotes; `state` says which end opened that connection, and with State.NEW there is no such connection.
    Link-local control messages belong to no connection either.
    """
    port, read = find_end(text, sender, project=project).port, read_frame(frame)
    if port is None:
        raise Unexplained(f"{sender} is not a port: a frame is traced from the port that sends it")
    if read.header is None or read.message is not None or read.tagged or is_no_source(read.source_mac):
        return Frame(
            port.id, read.source_mac, read.destination_mac, read.ethertype, read.tagged, read.message
        )
    if (is_error(read.header) or _is_of_link(read.header)) and state is State.NEW:
        state = State.INVALID
    holders = [holder.id for holder in holders_of(_peers(text, port), read.destination_mac)]
    return Packet(
        port.network_id,
        port.id,
        holders[0] if holders else None,
        read.header,
        state,
        _connection_of(read, state),
        source_mac=read.source_mac,
        later_fragment=read.later_fragment,
        to_group=is_group(read.destination_mac),
        advertisement=_is_advertisement(read, read.header),
        hops=read.hops,
        or_receivers=tuple(holders[1:]),
    )


def _is_of_link(header: Conversation) -> bool:
    return header.source.version == 6 and header.protocol == _ICMP[6] and header.first in _USUAL_HOPS


def _is_advertisement(read: ReadFrame, header: Conversation) -> bool:
    addressed = VRRP_GROUPS.get(header.destination) == read.destination_mac
    return addressed and header.protocol == _VRRP and read.hops == VRRP_HOPS


def _connection_of(read: ReadFrame, state: State) -> Conversation | None:
    """What opened the connection that an ICMP error is about: the packet in it, or what that answers."""
    if read.about is None:
        return None
    return read.about if state is State.REPLY else _opening_of(read.about)


def _opening_of(answer: Conversation) -> Conversation:
    version = answer.source.version
    opening = answer.reverse
    if (answer.protocol, answer.first) == (_ICMP[version], _ECHO_REPLY[version]):
        return opening._replace(first=_ECHO_REQUEST[version])
    return opening


def _peers(text: PolicyText, port: Port) -> list[Port]:
    """The ports to which a frame of this port may go."""
    ports = text.ports.values()
    return [peer for peer in ports if peer.network_id == port.network_id and peer.id != port.id]


def _pair(text: PolicyText, source: str, destination: str, project: str) -> tuple[End, End]:
    """Both ends. If one end is a port's name, the other end's address is looked up in that port's network."""
    named = {port.network_id for word in (source, destination) for port in _named(text, word, project)}
    network = next(iter(named)) if len(named) == 1 else None
    sender, receiver = (find_end(text, word, network, project) for word in (source, destination))
    if sender.port is None and receiver.port is None:
        raise Unexplained(f"neither {source} nor {destination} is a port of the policy")
    if sender.port and receiver.port and sender.port.network_id != receiver.port.network_id:
        raise Unexplained(
            f"{source} and {destination} are in different networks, with a router between them: "
            "trace each of them with the address of the other"
        )
    return sender, receiver


def _version(sender: End, receiver: End) -> int:
    for end in (sender, receiver):
        if end.address is not None:
            return end.address.version
    families = [{address.version for address in end.port.fixed_ips} for end in (sender, receiver) if end.port]
    common = set.intersection(*families)
    return min(common, default=4)


def _answer_to(opening: Conversation) -> Conversation:
    """The header of the first answer; a ping is answered by its reply."""
    answer = opening.reverse
    version = opening.source.version
    if (opening.protocol, opening.first) == (_ICMP[version], _ECHO_REQUEST[version]):
        return answer._replace(first=_ECHO_REPLY[version])
    return answer


def _network_id(sender: End, receiver: End) -> str:
    port = sender.port or receiver.port
    assert port is not None, "one end is a port"
    return port.network_id


def _port_id(end: End) -> str | None:
    return end.port.id if end.port else None
