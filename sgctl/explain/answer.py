"""The reference verdict on a packet in words: what allowed it, what stopped it, what would let it pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flows.policy.objects import HEADER_FIELDS, Direction, Port, Prefix, Rule, without_remote, without_service
from flows.reference.rule_match import is_member
from flows.reference.verdict import (
    Conversation,
    Grant,
    Packet,
    PolicyText,
    Refusal,
    State,
    Verdict,
    effective_groups,
    judge,
    rule_allows,
)
from sgctl.explain.data_connections import note_on
from sgctl.explain.expected import Unexplained
from sgctl.service import protocols

_HINTS = 10
"""The largest number of suggestions of each kind."""
_ICMP = (1, 58)
_OTHER_SIDE = {Direction.INGRESS: Direction.EGRESS, Direction.EGRESS: Direction.INGRESS}


@dataclass(frozen=True)
class Answer:
    """What happens to a packet and why. `changes` lists what would let it pass, the smallest change first.

    `notes` lists what else the service needs.
    """

    packet: Packet
    verdict: Verdict
    reasons: tuple[str, ...]
    changes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def answer(text: PolicyText, packet: Packet) -> Answer:
    """What the policy says about the packet. Raises Unexplained for a packet that no rule can match."""
    try:
        verdict = judge(text, packet)
    except ValueError as error:
        raise Unexplained(str(error)) from error
    words = _AnswerText(text, packet)
    reasons = tuple(words.reasons(verdict))
    note = note_on(packet.opening) if packet.state is State.NEW else None
    return Answer(packet, verdict, reasons, tuple(words.changes(verdict)), () if note is None else (note,))


def describe_packet(text: PolicyText, packet: Packet) -> str:
    """`tcp/80 from web1 (10.0.0.1) to db1 (10.0.0.2), new`."""
    header = packet.header
    ends = [
        f"{text.ports[port].name or port} ({address})" if port else f"outside ({address})"
        for port, address in ((packet.sender, header.source), (packet.receiver, header.destination))
    ]
    later = ", later fragment" if packet.later_fragment else ""
    way = f"from {ends[0]} to {ends[1]}"
    if packet.related and packet.connection is not None:
        about = packet.connection
        opened = f"{describe_service(about)} from {about.source} to {about.destination}"
        return f"{describe_service(header)} {way}, an error about {opened}{later}"
    return f"{describe_service(packet.opening)} {way}, {packet.state}{later}"


def describe_service(said: Conversation) -> str:
    """`tcp/80`, `icmp type 8 code 0`, `gre`; `tcp/80 with DSCP 46`, if it is not 0."""
    name = str(protocols.show(said.protocol))
    marked = _marks(said)
    if said.protocol in _ICMP:
        return f"{name} type {said.first} code {said.second}{marked}"
    return f"{name}/{said.second}{marked}" if said.first > 0 or said.second > 0 else f"{name}{marked}"


def describe_rule(text: PolicyText, rule: Rule) -> str:
    """`rule 17 (http) of group web`."""
    group = text.groups.get(rule.group_id)
    name = f" ({rule.name})" if rule.name else ""
    return f"rule {rule.number}{name} of group {group.name if group and group.name else rule.group_id}"


def port_name(port: Port) -> str:
    """The name of a port, or its id if it has none."""
    return port.name or port.id


def missing_pair(port: Port, mac: str, address: Prefix) -> str:
    """The allowed address pair with which the port may use this source."""
    return f"an allowed address pair {mac} {address} of port {port_name(port)} would make it valid"


class _AnswerText:
    def __init__(self, text: PolicyText, packet: Packet) -> None:
        self._text = text
        self._packet = packet
        self._ends = {Direction.EGRESS: packet.sender, Direction.INGRESS: packet.receiver}

    def reasons(self, verdict: Verdict) -> Iterator[str]:
        for direction, grant in ((Direction.EGRESS, verdict.sender), (Direction.INGRESS, verdict.receiver)):
            if grant is not None:
                yield f"{self._side(direction)}: {self._grant_text(grant)}"
        if verdict.refusal in (Refusal.SENDER_RULES, Refusal.RECEIVER_RULES):
            direction = _side_of(verdict.refusal)
            yield f"{self._side(direction)}: {self._nothing_allows(direction)}"
            remote = self._text.ports.get(self._ends[_OTHER_SIDE[direction]] or "")
            if remote is not None and not is_member(self._text, remote):
                name = port_name(remote)
                yield f"port {name} is bound on no host, so its network counts it in no remote group"
        elif verdict.refusal is not None:
            yield f"dropped: {verdict.refusal.value}"

    def changes(self, verdict: Verdict) -> Iterator[str]:
        if verdict.refusal is Refusal.SPOOFED_SOURCE:
            source, port = self._packet.header.source, self._text.ports[self._packet.sender or ""]
            mac = self._packet.source_mac or port.mac
            yield missing_pair(port, mac, source)
        if verdict.refusal is Refusal.FORGED_ERROR:
            end, port = self._end_of_error(), self._text.ports[self._packet.sender or ""]
            yield f"an allowed address pair {port.mac} {end} of port {port_name(port)} would make it an end"
            yield f"or let {end} send it itself, or a router outside"
        if verdict.refusal in (Refusal.ADMIN_DOWN, Refusal.RECEIVER_DOWN):
            yield "with admin_state_up: true on that port, the rules would decide"
        if verdict.refusal in (Refusal.SENDER_FRAGMENT, Refusal.RECEIVER_FRAGMENT):
            version = self._packet.header.source.version
            yield f"with a rule for IPv{version}, of either direction, on that port, the rules would decide"
        if verdict.refusal in (Refusal.SENDER_RULES, Refusal.RECEIVER_RULES):
            yield from self._missing_rule(_side_of(verdict.refusal))

    def _end_of_error(self) -> Prefix:
        """The address of the connection's end on the side from which the ICMP error comes."""
        opening = self._packet.opening
        return opening.destination if self._packet.state is State.REPLY else opening.source

    def _side(self, direction: Direction) -> str:
        role = "sender" if direction is Direction.EGRESS else "receiver"
        end = self._ends[direction]
        return f"{role} {port_name(self._text.ports[end])}" if end else f"{role} outside"

    def _grant_text(self, grant: Grant) -> str:
        if grant.exemption is not None:
            return grant.exemption.value
        rules = sorted((self._text.rules[rule] for rule in grant.rules), key=lambda rule: rule.number)
        return f"allowed by {', '.join(describe_rule(self._text, rule) for rule in rules)}"

    def _deciding_side(self, direction: Direction) -> tuple[Port, Direction, Conversation]:
        """The port, the direction of the rules that decide, and the conversation that they decide about.

        For a reply, the rules decide about the connection that it belongs to, unless a group is stateless.
        """
        port = self._text.ports[self._ends[direction] or ""]
        groups = effective_groups(self._text, port) & self._text.groups.keys()
        stateless = any(not self._text.groups[group].stateful for group in groups)
        if stateless or self._packet.advertisement:
            return port, direction, self._packet.shown
        if self._packet.state is State.REPLY:
            direction = _OTHER_SIDE[direction]
        return port, direction, self._packet.opening

    def _nothing_allows(self, side: Direction) -> str:
        port, direction, subject = self._deciding_side(side)
        groups = sorted(self._group(group) for group in effective_groups(self._text, port))
        owner = f"of group{'s' * (len(groups) > 1)} {', '.join(groups)}" if groups else "(it has no group)"
        way, remote = _remote(direction, subject)
        return f"no {direction} rule {owner} allows {describe_service(subject)} {way} {remote}"

    def _missing_rule(self, side: Direction) -> Iterator[str]:
        port, direction, subject = self._deciding_side(side)
        own = effective_groups(self._text, port)
        rules = [rule for rule in self._text.rules.values() if rule.direction is direction]
        rules.sort(key=lambda rule: rule.number)
        yield from self._nearly_matching(own, rules, subject)
        elsewhere = [rule for rule in rules if rule.group_id not in own and self._allows(rule, subject)]
        for rule in elsewhere[:_HINTS]:
            yield f"{describe_rule(self._text, rule)} would allow it, if the port were in that group"
        way, remote = _remote(direction, subject)
        yield f"or a new {direction} rule for {describe_service(subject)} {way} {remote}"

    def _nearly_matching(self, own: Iterable[str], rules: list[Rule], subject: Conversation) -> Iterator[str]:
        """Rules of the port's own groups of which only the remote or only the service does not fit."""
        mine = [rule for rule in rules if rule.group_id in own]
        shown = 0
        for rule in mine:
            reason = self._only_obstacle(rule, subject)
            if reason and shown < _HINTS:
                shown += 1
                yield f"{describe_rule(self._text, rule)} {reason}"

    def _only_obstacle(self, rule: Rule, subject: Conversation) -> str:
        way, remote = _remote(rule.direction, subject)
        if self._allows(without_remote(rule), subject):
            return f"allows it, but only {way} {self._remote_name(rule)}, and {remote} is not there"
        if self._allows(without_service(rule), subject):
            return f"allows {remote}, but only on {_service_name(rule)}"
        return ""

    def _allows(self, rule: Rule, subject: Conversation) -> bool:
        packet = self._packet
        return rule_allows(self._text, rule, packet.network_id, subject, packet.later_fragment)

    def _remote_name(self, rule: Rule) -> str:
        if rule.remote_group_id is not None:
            return f"group {self._group(rule.remote_group_id)}"
        if rule.remote_address_group_id is not None:
            held = self._text.address_groups.get(rule.remote_address_group_id)
            return f"address group {held.name if held else rule.remote_address_group_id}"
        if rule.remote_network_id is not None:
            network = self._text.networks.get(rule.remote_network_id)
            return f"network {network.name if network else rule.remote_network_id}"
        return str(rule.remote_ip_prefix)

    def _group(self, identifier: str) -> str:
        group = self._text.groups.get(identifier)
        return group.name if group and group.name else identifier


def _side_of(refusal: Refusal) -> Direction:
    return Direction.EGRESS if refusal is Refusal.SENDER_RULES else Direction.INGRESS


def _remote(direction: Direction, subject: Conversation) -> tuple[str, Prefix]:
    return ("to", subject.destination) if direction is Direction.EGRESS else ("from", subject.source)


def _marks(owner: object, usual: int | None = 0) -> str:
    """The header fields of a rule or packet, such as ` with DSCP 46`: not the protocol, nor a usual value."""
    values = ((field, getattr(owner, field.name)) for field in HEADER_FIELDS if field.name != "protocol")
    return "".join(f" with {field.meaning} {value}" for field, value in values if value not in (None, usual))


def _service_name(rule: Rule) -> str:
    name, low, high = protocols.show(rule.protocol), rule.port_range_min, rule.port_range_max
    marked = _marks(rule, usual=None)
    if low is None:
        return f"{name}{marked}"
    if rule.protocol in _ICMP:
        return f"{name} type {low}" + ("" if high is None else f" code {high}") + marked
    return f"{name}/{low}{marked}" if low == high else f"{name}/{low}-{high}{marked}"
