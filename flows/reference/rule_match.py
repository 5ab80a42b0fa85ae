"""The groups that apply to a port, and the packets that a rule matches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flows.policy.objects import (
    AddressGroup,
    Direction,
    Network,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
    fits_header,
)
from flows.reference.packet import ICMP, ICMPV6, IPV6_FRAGMENT, Conversation, link_local_of

ALL_PORTS = (0, 65535)


@dataclass(frozen=True)
class PolicyText:
    """The policy's objects by id.

    `elsewhere` are the ids of the ports that are not on the switch in question, `unbound` the ids of the
    ports that are bound on no host.
    """

    networks: Mapping[str, Network]
    ports: Mapping[str, Port]
    address_groups: Mapping[str, AddressGroup]
    rules: Mapping[str, Rule]
    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    elsewhere: frozenset[str] = field(default=frozenset(), kw_only=True)
    unbound: frozenset[str] = field(default=frozenset(), kw_only=True)


def effective_groups(text: PolicyText, port: Port) -> frozenset[str]:
    """The port's groups, or its network's default group when it has none and has port security."""
    default = text.networks[port.network_id].default_group
    if port.security_groups or default is None or not port.port_security_enabled:
        return port.security_groups
    return frozenset([default])


def rule_allows(
    text: PolicyText, rule: Rule, network_id: str, subject: Conversation, later_fragment: bool = False
) -> bool:
    """Whether the rule's ethertype, remote and service match a conversation in a network.

    The caller checks the rule's group and direction. The remote is the destination for an egress rule and the
    source for an ingress rule.
    """
    remote = subject.destination if rule.direction is Direction.EGRESS else subject.source
    return (
        rule.ethertype.version == remote.version
        and _is_remote(text, rule, remote, network_id)
        and _is_service(rule, subject, later_fragment)
    )


def _is_remote(text: PolicyText, rule: Rule, address: Prefix, network_id: str) -> bool:
    if rule.remote_group_id is not None:
        return address in set(_members(text, rule.remote_group_id, network_id))
    if rule.remote_address_group_id is not None:
        group = text.address_groups.get(rule.remote_address_group_id)
        return group is not None and any(prefix.covers(address) for prefix in group.addresses)
    if rule.remote_network_id is not None:
        network = text.networks.get(rule.remote_network_id)
        return network is not None and any(subnet.covers(address) for subnet in network.subnets)
    return rule.remote_ip_prefix is None or rule.remote_ip_prefix.covers(address)


def is_member(text: PolicyText, port: Port) -> bool:
    """Whether a port counts as a member of its groups."""
    return port.id not in text.unbound or not text.networks[port.network_id].bound_members_only


def _members(text: PolicyText, group_id: str, network_id: str) -> Iterator[Prefix]:
    """The addresses of a group's members in the address scope of this network.

    A wide allowed address pair only permits its port to send and makes no members.
    """
    for port in text.ports.values():
        if not is_member(text, port):
            continue
        if group_id in effective_groups(text, port) and _same_scope(text, port.network_id, network_id):
            yield from port.fixed_ips
            yield link_local_of(port.mac)
            yield from (pair.prefix for pair in port.allowed_address_pairs if pair.prefix.is_host)


def _same_scope(text: PolicyText, one: str, other: str) -> bool:
    scope = text.networks[one].address_scope
    return one == other or (scope is not None and scope == text.networks[other].address_scope)


def _is_service(rule: Rule, subject: Conversation, portless: bool) -> bool:
    """Whether header fields and ports match. A later fragment has no ports; those of the first were checked.

    A later fragment of IPv6 has no protocol either.
    """
    unknown = ("protocol",) if portless and subject.protocol == IPV6_FRAGMENT else ()
    if not fits_header(rule, subject, unknown):
        return False
    if rule.port_range_min is None or portless:
        return True
    if rule.protocol in (ICMP, ICMPV6):
        return rule.port_range_min == subject.first and rule.port_range_max in (None, subject.second)
    assert rule.port_range_max is not None, "a port range has two ends"
    any_port = (rule.port_range_min, rule.port_range_max) == ALL_PORTS  # even if the port is unknown
    return any_port or rule.port_range_min <= subject.second <= rule.port_range_max
