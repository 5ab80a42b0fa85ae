"""Connections that are open on this host, and which of them a change of the policy would cut.

Source: ovs-vswitchd(8) on `dpctl/dump-conntrack`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from flows.openflow.numbers import DSCP_OF_OPENER
from flows.openflow.registers import DSCP_BIT, DSCP_KNOWN
from flows.policy.objects import Direction, EgressDefault, Port, Prefix, Rule, fits_header
from flows.reference.verdict import TCP, Conversation, Packet, PolicyText, State, effective_groups, judge
from sgctl.service import protocols

_LINE = re.compile(r"^(\w+),orig=\(([^)]*)\),reply=\([^)]*\)(.*)$")
_ZONE = re.compile(r",zone=(\d+)\b")
_LABEL = re.compile(r",labels=(0x[0-9a-f]+)")
_STATE = re.compile(r"protoinfo=\(state=(\w+)")
_OVER = frozenset({"CLOSED", "CLOSING", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "FIN_WAIT_2"})
_ICMP = (1, 58)


@dataclass(frozen=True)
class OpenConnection:
    """One entry of the connection tracker. `conversation` describes its first packet."""

    zone: int
    conversation: Conversation

    @classmethod
    def parse(cls, line: str) -> OpenConnection | None:
        """None for a line that is not a connection in a zone, or for a closed connection."""
        found = _LINE.match(line.strip())
        if found is None:
            return None
        zone, state = _ZONE.search(found[3]), _STATE.search(found[3])
        if zone is None or (state is not None and state[1] in _OVER):
            return None
        fields = dict(part.partition("=")[::2] for part in found[2].split(","))
        number = _number(found[1])
        if number is None or "src" not in fields:
            return None
        first, second = ("type", "code") if number in _ICMP else ("sport", "dport")
        return cls(
            int(zone[1]),
            Conversation(
                Prefix.parse(fields["src"]),
                Prefix.parse(fields["dst"]),
                number,
                int(fields.get(first, 0)),
                int(fields.get(second, 0)),
                _recorded_dscp(found[3]),
            ),
        )


def _recorded_dscp(details: str) -> int | None:
    """The DSCP of the first packet. A label holds it if a rule asked for it."""
    label = _LABEL.search(details)
    noted = int(label[1], 16) >> DSCP_OF_OPENER if label is not None else 0
    return noted & 0x3F if noted & DSCP_KNOWN >> DSCP_BIT else None


def _number(name: str) -> int | None:
    """The number of a protocol that Open vSwitch prints by name or by number; None if unknown."""
    try:
        return protocols.parse({"icmpv6": "ipv6-icmp"}.get(name, name))
    except ValueError:
        return None


def parse(lines: Iterable[str]) -> list[OpenConnection]:
    """The connections of a dump."""
    return [found for found in map(OpenConnection.parse, lines) if found is not None]


@dataclass(frozen=True)
class Cut:
    """A connection that the change would cut. `source` and `destination` are ports, empty for outside."""

    network: str
    source: str
    destination: str
    conversation: Conversation
    reason: str


class _Judge:
    """Decides whether a policy lets a connection continue."""

    def __init__(self, text: PolicyText) -> None:
        self.text = text
        self._refusals: dict[tuple[str, Conversation], str | None] = {}

    @cached_property
    def _owners(self) -> dict[tuple[str, Prefix], Port]:
        """Ports by network and address."""
        return {
            (port.network_id, prefix): port
            for port in self.text.ports.values()
            for prefix in (*(pair.prefix for pair in port.allowed_address_pairs), *port.fixed_ips)
        }

    def port_of(self, network: str, address: Prefix) -> Port | None:
        """The port that has this address in this network."""
        return self._owners.get((network, address))

    @cached_property
    def _rules_of(self) -> dict[str, list[Rule]]:
        """Rules by group."""
        found: dict[str, list[Rule]] = {}
        for rule in self.text.rules.values():
            found.setdefault(rule.group_id, []).append(rule)
        return found

    @cached_property
    def _members_of(self) -> dict[str, list[Port]]:
        """Ports by group."""
        found: dict[str, list[Port]] = {}
        for port in self.text.ports.values():
            for group in effective_groups(self.text, port):
                found.setdefault(group, []).append(port)
        return found

    def _part(self, ends: list[Port], conversation: Conversation) -> PolicyText:
        """The part of the policy that can affect a connection: evaluating the whole policy would be slow."""
        default_deny = all(
            self.text.networks[end.network_id].egress_default is EgressDefault.DENY for end in ends
        )
        groups = dict.fromkeys(group for end in ends for group in effective_groups(self.text, end))
        rules = [
            rule
            for group in groups
            for rule in self._rules_of.get(group, ())
            if _fits(rule, conversation) or not (default_deny or rule.direction is Direction.INGRESS)
        ]
        remotes = {rule.remote_group_id: None for rule in rules if rule.remote_group_id is not None}
        ports = [*ends, *(port for group in remotes for port in self._members_of.get(group, ()))]
        return replace(
            self.text, rules={rule.id: rule for rule in rules}, ports={port.id: port for port in ports}
        )

    def refusal(self, network: str, conversation: Conversation) -> str | None:
        """Why the connection may not continue; None when it may."""
        if conversation.protocol == TCP:
            conversation = conversation._replace(first=0)  # no rule matches the client's port
        key = (network, conversation)
        if key not in self._refusals:
            self._refusals[key] = self._judge(network, conversation)
        return self._refusals[key]

    def _judge(self, network: str, conversation: Conversation) -> str | None:
        if network not in self.text.networks:
            return "its network does not exist"
        ends = [self.port_of(network, each) for each in (conversation.source, conversation.destination)]
        sender, receiver = (end.id if end is not None else None for end in ends)
        if sender is None and receiver is None:
            return "none of its ends is a port"
        text = self._part([end for end in ends if end is not None], conversation)
        packet = Packet(network, sender, receiver, conversation, State.ESTABLISHED, conversation)
        try:
            refusal = judge(text, packet).refusal
        except ValueError:  # neighbour discovery, which no rule matches
            return None
        return refusal.value if refusal is not None else None


def _fits(rule: Rule, conversation: Conversation) -> bool:
    """Whether the rule's service may match the conversation."""
    if not fits_header(rule, conversation):
        return False
    low, high = rule.port_range_min, rule.port_range_max
    return rule.protocol in _ICMP or low is None or high is None or low <= conversation.second <= high


def cuts(
    connections: Iterable[OpenConnection], zones: Mapping[int, str], before: PolicyText, after: PolicyText
) -> Iterator[Cut]:
    """The connections that `before` allows and `after` does not. `zones` maps ct zones to network ids."""
    now, then = _Judge(before), _Judge(after)
    for zone, conversation in dict.fromkeys((each.zone, each.conversation) for each in connections):
        network = before.networks.get(zones.get(zone, ""))
        if network is None or now.refusal(network.id, conversation) is not None:
            continue
        reason = then.refusal(network.id, conversation)
        if reason is not None:
            ends = (now.port_of(network.id, each) for each in (conversation.source, conversation.destination))
            names = [end.name or end.id if end is not None else "" for end in ends]
            yield Cut(network.name, names[0], names[1], conversation, reason)
