"""Exempt messages in the reference: which messages run a link, and which form they must have.

Like the reference for packets, this module is plain and shares no code with the compiler. Neighbour
discovery and ARP are in `flows.reference.frame`. Sources: RFC 2131 section 4.1, RFC 8415 section 7.1,
RFC 4861 sections 6 and 8, RFC 2710, RFC 3810.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from flows.policy.objects import Prefix
from flows.reference.packet import ICMPV6, UDP, Conversation, Packet

LIMITED_BROADCAST = Prefix.parse("255.255.255.255")
LINK_LOCAL = Prefix.parse("fe80::/10")
MULTICAST6 = Prefix.parse("ff00::/8")
ALL_NODES = Prefix.parse("ff02::1")
_ALL_ROUTERS, _MLDV2_ROUTERS, _DHCPV6_SERVERS = map(Prefix.parse, ("ff02::2", "ff02::16", "ff02::1:2"))
NOT_ROUTED, NOT_FORWARDED = 255, 1
_NEIGHBOUR_DISCOVERY = (135, 136)


class MessageRole(Enum):
    """Who sends a message, or who receives it."""

    FROM_SERVER = "DHCP server to client"
    FROM_ROUTER = "router to hosts"
    TO_SERVERS = "host to the servers and routers of its link"


_UDP_ROLES = {
    (4, 67, 68): MessageRole.FROM_SERVER,
    (6, 547, 546): MessageRole.FROM_SERVER,
    (4, 68, 67): MessageRole.TO_SERVERS,
    (6, 546, 547): MessageRole.TO_SERVERS,
}
_QUERY, _REPORT, _DONE, _SOLICITATION, _ADVERTISEMENT, _REDIRECT, _REPORT2 = 130, 131, 132, 133, 134, 137, 143
_ICMPV6_ROLES = {
    **dict.fromkeys((_QUERY, _ADVERTISEMENT, _REDIRECT), MessageRole.FROM_ROUTER),
    **dict.fromkeys((_REPORT, _DONE, _SOLICITATION, _REPORT2), MessageRole.TO_SERVERS),
}
_TO_GROUPS: dict[int, tuple[int, Prefix]] = {
    _SOLICITATION: (NOT_ROUTED, _ALL_ROUTERS),
    _REPORT: (NOT_FORWARDED, MULTICAST6),
    _DONE: (NOT_FORWARDED, _ALL_ROUTERS),
    _REPORT2: (NOT_FORWARDED, _MLDV2_ROUTERS),
}
"""By ICMPv6 type: the hop limit, and the multicast groups to which hosts send the message."""


def role_of_kind(header: Conversation) -> MessageRole | None:
    """The role of a message by its ports or ICMPv6 type alone; None for other packets."""
    version = header.source.version
    if header.protocol == UDP:
        return _UDP_ROLES.get((version, header.first, header.second))
    if (version, header.protocol, header.second) != (6, ICMPV6, 0):
        return None  # all messages of a link have code 0
    return _ICMPV6_ROLES.get(header.first)


def is_discovery(header: Conversation, hops: int) -> bool:
    """Whether an IPv6 packet is a neighbour solicitation or advertisement: code 0 and hop limit 255."""
    kind = header.protocol, header.second, hops
    return kind == (ICMPV6, 0, NOT_ROUTED) and header.first in _NEIGHBOUR_DISCOVERY


def is_in_form(subnets: Iterable[Prefix], packet: Packet) -> bool:
    """Whether a message with a role has the form of a message that stays on the link of these subnets."""
    header = packet.header
    if role_of_kind(header) is MessageRole.TO_SERVERS:
        return packet.to_group and _is_from_client(packet)
    if header.source.version == 4:
        answers = any(subnet.covers(header.source) for subnet in subnets)
        return header.destination == LIMITED_BROADCAST or (answers and not packet.to_group)
    return LINK_LOCAL.covers(header.source) and _OF_ROUTERS.get(header.first, _is_to_one)(packet)


def _is_from_client(packet: Packet) -> bool:
    header = packet.header
    if header.source.version == 4:
        return header.destination == LIMITED_BROADCAST
    if header.protocol == UDP:
        return LINK_LOCAL.covers(header.source) and header.destination == _DHCPV6_SERVERS
    hops, groups = _TO_GROUPS[header.first]
    return packet.hops == hops and groups.covers(header.destination)


def _is_to_one(packet: Packet) -> bool:
    return not packet.to_group


def _is_advertised(packet: Packet) -> bool:
    to_whom = not packet.to_group or packet.header.destination == ALL_NODES
    return packet.hops == NOT_ROUTED and to_whom


def _is_redirect(packet: Packet) -> bool:
    return packet.hops == NOT_ROUTED and not packet.to_group


def _is_query(packet: Packet) -> bool:
    return packet.hops == NOT_FORWARDED and packet.to_group and MULTICAST6.covers(packet.header.destination)


_OF_ROUTERS: dict[int, Callable[[Packet], bool]] = {
    _ADVERTISEMENT: _is_advertised,
    _REDIRECT: _is_redirect,
    _QUERY: _is_query,
}
"""Checks by ICMPv6 type. The types do not collide with the ports of DHCPv6."""
