"""The reference verdict: whether the policy allows one packet, and which rules allow it.

It reads the policy as plainly as possible, one object at a time. It does not depend on tables,
identities or switches and shares no code with the compiler, so that tests can compare the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from flows.policy.objects import Direction, EgressDefault, Port, Prefix, Rule
from flows.reference.exempt import (
    LIMITED_BROADCAST,
    LINK_LOCAL,
    MessageRole,
    is_discovery,
    is_in_form,
    role_of_kind,
)
from flows.reference.packet import (
    TCP,
    Conversation,
    Packet,
    State,
    macs_of,
    pairs_of,
)
from flows.reference.rule_match import PolicyText, effective_groups, rule_allows

__all__ = [
    "TCP",
    "Conversation",
    "Exemption",
    "Grant",
    "Packet",
    "PolicyText",
    "Refusal",
    "State",
    "Verdict",
    "effective_groups",
    "judge",
    "rule_allows",
]

_NOT_UNICAST = tuple(map(Prefix.parse, ("224.0.0.0/4", "255.255.255.255", "ff00::/8")))


class Refusal(Enum):
    """Why a packet does not reach its receiver."""

    ADMIN_DOWN = "the sending port is administratively down"
    SPOOFED_SOURCE = "MAC and source address are not a pair that the sending port may use"
    UNSPECIFIED_SOURCE = "the source is the unspecified address"
    NOT_UNICAST = "a workload may not send multicast or broadcast"
    DHCP_SERVER = "a workload may not answer DHCP"
    ROUTER = "a workload may not advertise a router"
    FOR_SERVERS = "messages to the network's servers do not go to ports with port security"
    CLAIMED_SOURCE = "a packet from outside has the address of a local port"
    INVALID = "the connection tracker reports it as invalid"
    FORGED_ERROR = "an error about a connection, but the sender is not an end of it"
    SENDER_RULES = "no rule of the sender's groups allows it"
    FOREIGN_ADDRESS = "it is for an address that the receiving port does not have"
    RECEIVER_RULES = "no rule of the receiver's groups allows it"
    RECEIVER_DOWN = "the receiving port is administratively down"
    SENDER_FRAGMENT = "a fragment of an ethertype for which the sender's groups have no rule"
    RECEIVER_FRAGMENT = "a fragment of an ethertype for which the receiver's groups have no rule"


class Exemption(Enum):
    """Why no rule is needed on one side."""

    OUTSIDE = "the outside has no rules"
    NO_PORT_SECURITY = "port security is off"
    EGRESS_OPEN = "egress is open until the first egress rule"
    CONTROL = "a message of the link needs no rule"


class Grant(NamedTuple):
    """Why one side lets a packet pass: the ids of all rules that allow it, or why none is needed."""

    rules: frozenset[str] = frozenset()
    exemption: Exemption | None = None


class Verdict(NamedTuple):
    """A verdict. If the packet is allowed, `refusal` is None and both grants are set."""

    refusal: Refusal | None
    sender: Grant | None = None
    receiver: Grant | None = None

    @property
    def allowed(self) -> bool:
        """Whether the packet reaches its receiver."""
        return self.refusal is None


_FORBIDDEN = {
    MessageRole.FROM_SERVER: Refusal.DHCP_SERVER,
    MessageRole.FROM_ROUTER: Refusal.ROUTER,
    MessageRole.TO_SERVERS: Refusal.FOR_SERVERS,
}
"""Refusals of messages from a port with port security; FOR_SERVERS only to a port that has it, too."""


def judge(text: PolicyText, packet: Packet) -> Verdict:
    """Whether the packet may pass, and why.

    All ports of the policy except `text.elsewhere` count as local to the sender's switch. Raises ValueError
    for neighbour discovery, which depends on who owns an address and never on rules, and KeyError for ids
    that the policy does not have.
    """
    sender = None if packet.sender is None else text.ports[packet.sender]
    receiver = None if packet.receiver is None else text.ports[packet.receiver]
    restricted = sender is not None and sender.port_security_enabled
    role = _role(text, packet, restricted)
    refusal = _refused_at_entry(text, packet, sender, receiver, role)
    if refusal is not None:
        return Verdict(refusal)
    judged = (role is MessageRole.TO_SERVERS and not restricted) or (
        sender is None and _comes_back(text, packet)
    )
    if role is not None and not judged:
        return _control_verdict(packet, receiver)
    return _judge_sides(text, packet, sender, receiver)


def _role(text: PolicyText, packet: Packet, restricted: bool) -> MessageRole | None:
    """The role of the packet's message, None for other packets.

    A message that a workload must not send has its role in every form, other messages only in the right one.
    """
    if packet.later_fragment:
        return None
    if packet.header.source.version == 6 and is_discovery(packet.header, packet.hops):
        raise ValueError("neighbour discovery is not judged by rules")
    role = role_of_kind(packet.header)
    if role is None or (restricted and role is not MessageRole.TO_SERVERS):
        return role
    return role if is_in_form(text.networks[packet.network_id].subnets, packet) else None


def _refused_at_entry(
    text: PolicyText, packet: Packet, sender: Port | None, receiver: Port | None, role: MessageRole | None
) -> Refusal | None:
    """Why a packet is refused whatever the rules are; None if it is not."""
    if sender is None:
        claimed = _claimed(text, packet) and not _comes_back(text, packet)
        return Refusal.CLAIMED_SOURCE if claimed else None
    if not sender.admin_state_up:
        return Refusal.ADMIN_DOWN
    if not sender.port_security_enabled:
        return None
    if not _may_use_source(sender, packet):
        return Refusal.SPOOFED_SOURCE
    if role is None:
        return None if _advertises(sender, packet) else _unfit_address(packet)
    may_be_server = receiver is None or not receiver.port_security_enabled
    return None if role is MessageRole.TO_SERVERS and may_be_server else _FORBIDDEN[role]


def _advertises(port: Port, packet: Packet) -> bool:
    """Whether the port takes part in a virtual router's advertisement: it has allowed address pairs."""
    return packet.advertisement and bool(port.allowed_address_pairs)


def _unfit_address(packet: Packet) -> Refusal | None:
    if packet.header.source.value == 0:
        return Refusal.UNSPECIFIED_SOURCE
    if packet.to_group or any(group.covers(packet.header.destination) for group in _NOT_UNICAST):
        return Refusal.NOT_UNICAST
    return None


def _claimed(text: PolicyText, packet: Packet) -> bool:
    """Whether the source is an address of ports here, and of no port elsewhere that might have sent it."""
    owners = {
        port.id
        for port in _guarded(text, packet)
        if any(pair.prefix == packet.header.source for pair in pairs_of(port))
    }
    return bool(owners) and not owners & text.elsewhere


def _guarded(text: PolicyText, packet: Packet) -> Iterator[Port]:
    """The ports whose addresses must not be sources of packets from outside."""
    for port in text.ports.values():
        if port.network_id == packet.network_id and port.admin_state_up:
            yield port


def _comes_back(text: PolicyText, packet: Packet) -> bool:
    """Whether a local port sent the packet, and a router outside that joins subnets brings it back."""
    source = packet.header.source
    subnets = [each for each in text.networks[packet.network_id].subnets if each.version == source.version]
    routed = len(subnets) > 1 and not packet.to_group and not LINK_LOCAL.covers(source)
    return packet.returned and routed and _claimed(text, packet)


def _may_use_source(port: Port, packet: Packet) -> bool:
    mac, header = packet.source_mac or port.mac, packet.header
    if header.source.value == 0 and mac in macs_of(port):
        kind = None if packet.later_fragment else role_of_kind(header)
        asks_for_lease = kind is MessageRole.TO_SERVERS and header.destination == LIMITED_BROADCAST
        if header.source.version == 6 or asks_for_lease:
            return True
    return any(pair.mac == mac and pair.prefix.covers(header.source) for pair in pairs_of(port))


def _control_verdict(packet: Packet, receiver: Port | None) -> Verdict:
    if receiver is not None and not receiver.admin_state_up:
        return Verdict(Refusal.RECEIVER_DOWN)
    grant = Grant(exemption=Exemption.CONTROL)
    to_many = packet.to_group or packet.header.destination == LIMITED_BROADCAST
    if receiver is not None and not to_many and not _has_address(receiver, packet.header.destination):
        return Verdict(Refusal.FOREIGN_ADDRESS, grant)
    return Verdict(None, grant, grant)


def _judge_sides(text: PolicyText, packet: Packet, sender: Port | None, receiver: Port | None) -> Verdict:
    refusal = None if sender is None else _refused_before_rules(text, packet, sender)
    if refusal is not None:
        return Verdict(refusal)
    at_sender = _grant(text, packet, sender, Direction.EGRESS)
    if at_sender is None:
        return Verdict(_refusal(text, packet, sender, Refusal.SENDER_RULES))
    refusal = None if receiver is None else _refused_at_receiver(text, packet, sender, receiver)
    if refusal is not None:
        return Verdict(refusal, at_sender)
    at_receiver = _grant(text, packet, receiver, Direction.INGRESS)
    if at_receiver is None:
        return Verdict(_refusal(text, packet, receiver, Refusal.RECEIVER_RULES), at_sender)
    return Verdict(None, at_sender, at_receiver)


def _refused_before_rules(text: PolicyText, packet: Packet, sender: Port) -> Refusal | None:
    if _is_lost_fragment(text, packet, sender):
        return Refusal.SENDER_FRAGMENT
    return Refusal.FORGED_ERROR if _is_forged_error(text, packet, sender) else None


def _refused_at_receiver(
    text: PolicyText, packet: Packet, sender: Port | None, receiver: Port
) -> Refusal | None:
    """Why a packet is refused before the receiver's rules are checked; None if it is not."""
    if not receiver.admin_state_up:
        return Refusal.RECEIVER_DOWN
    lost = not _is_tracked(text, packet, sender) and _is_lost_fragment(text, packet, receiver)
    if sender is None and lost:  # checked where it enters
        return Refusal.RECEIVER_FRAGMENT
    if not _has_address(receiver, packet.header.destination) and not _advertises(receiver, packet):
        return Refusal.FOREIGN_ADDRESS
    return Refusal.RECEIVER_FRAGMENT if lost else None


def _has_address(port: Port, address: Prefix) -> bool:
    """Whether the port may have the address; without port security, it may have any."""
    return not port.port_security_enabled or any(pair.prefix.covers(address) for pair in pairs_of(port))


def _is_tracked(text: PolicyText, packet: Packet, sender: Port | None) -> bool:
    """Whether the packet has passed the connection tracker before the receiver's side."""
    if sender is None:  # with several possible holders of the MAC, the receiver is found afterwards
        return _comes_back(text, packet) or bool(packet.or_receivers)
    return not (sender.port_security_enabled and (packet.advertisement or _is_stateless(text, sender)))


def _is_lost_fragment(text: PolicyText, packet: Packet, port: Port) -> bool:
    """Whether it is a later fragment, and the port has no rule of either direction for its ethertype."""
    if not packet.later_fragment or packet.advertisement or not port.port_security_enabled:
        return False
    version = packet.header.source.version
    own = _rules_of(text, port)
    is_open = _is_open_until_rule(text, port) and not any(map(_is_egress, own))
    has_rule = any(rule.ethertype.version == version for rule in own)
    return not (_is_stateless(text, port) or is_open or has_rule)


def _rules_of(text: PolicyText, port: Port) -> list[Rule]:
    groups = effective_groups(text, port)
    return [rule for rule in text.rules.values() if rule.group_id in groups]


def _is_open_until_rule(text: PolicyText, port: Port) -> bool:
    return text.networks[port.network_id].egress_default is EgressDefault.OPEN_UNTIL_RULE


def _is_forged_error(text: PolicyText, packet: Packet, sender: Port) -> bool:
    if not packet.related or not sender.port_security_enabled or _is_stateless(text, sender):
        return False
    reply = packet.state is State.REPLY
    end = packet.opening.destination if reply else packet.opening.source
    return not any(pair.prefix.covers(end) for pair in pairs_of(sender))


def _refusal(text: PolicyText, packet: Packet, port: Port | None, by_rules: Refusal) -> Refusal:
    tracked = port is None or not _is_stateless(text, port)
    return Refusal.INVALID if tracked and packet.state is State.INVALID else by_rules


def _is_stateless(text: PolicyText, port: Port) -> bool:
    """Whether the port's packets are judged without connections; one stateless group is enough."""
    own = effective_groups(text, port) & text.groups.keys()
    return any(not text.groups[group].stateful for group in own)


def _grant(text: PolicyText, packet: Packet, port: Port | None, direction: Direction) -> Grant | None:
    """Why the port's side allows the packet, which goes in this direction; None if it does not."""
    if port is None:
        return Grant(exemption=Exemption.OUTSIDE)
    if not port.port_security_enabled:
        return Grant(exemption=Exemption.NO_PORT_SECURITY)
    if packet.advertisement or _is_stateless(text, port):
        return _asked(text, packet, port, direction, packet.shown)
    if packet.state is State.INVALID:
        return None
    if packet.state is State.REPLY:
        direction = Direction.INGRESS if direction is Direction.EGRESS else Direction.EGRESS
    return _asked(text, packet, port, direction, packet.opening)


def _asked(
    text: PolicyText, packet: Packet, port: Port, direction: Direction, subject: Conversation
) -> Grant | None:
    """Why the rules of the port's groups for one direction allow the conversation; None if they do not."""
    own = _rules_of(text, port)
    open_until_rule = _is_open_until_rule(text, port)
    if direction is Direction.EGRESS and open_until_rule and not any(map(_is_egress, own)):
        return Grant(exemption=Exemption.EGRESS_OPEN)
    allowing = [
        rule.id
        for rule in own
        if rule.direction is direction
        and rule_allows(text, rule, packet.network_id, subject, packet.later_fragment)
    ]
    return Grant(frozenset(allowing)) if allowing else None


def _is_egress(rule: Rule) -> bool:
    return rule.direction is Direction.EGRESS
