"""Messages that run a link and need no rule, each in the form that cannot leave the link.

None of them crosses a router. A hop limit of 255 shows that no router has forwarded the message (RFC 5082).
Routers do not forward packets with a hop limit of 1, to a group of link scope, or from a link-local address
(RFC 4291 section 2.5.6). A message in any other form is treated as an ordinary packet.

Sources: RFC 4861 sections 6.1, 7.1 and 8.1; RFC 2710 section 3; RFC 3810 section 5; RFC 2131 section 4.1;
RFC 8415 section 7.1; RFC 5798 section 5.1; RFC 826.
"""

from __future__ import annotations

from flows.compiler.services import IPV4_TERM, IPV6_TERM, UDP
from flows.openflow import fields as f
from flows.openflow.fields import Match, Term

ARP_TERM = f.ETH_TYPE(0x0806)
GROUP_MAC = f.ETH_DST(1 << 40, 1 << 40)
LIMITED_BROADCAST = f.IPV4_DST(0xFFFFFFFF)
MULTICAST4 = f.IPV4_DST(0xE0000000, 0xF0000000)
MULTICAST6 = f.IPV6_DST(0xFF << 120, 0xFF << 120)

_ALL_NODES = f.IPV6_DST(0xFF02 << 112 | 1)
_ALL_ROUTERS = f.IPV6_DST(0xFF02 << 112 | 2)
_MLDV2_ROUTERS = f.IPV6_DST(0xFF02 << 112 | 0x16)
_DHCPV6_SERVERS = f.IPV6_DST(0xFF02 << 112 | 0x10002)
_LINK_LOCAL, _LINK_LOCAL_MASK = 0xFE80 << 112, 0xFFC0 << 112
FROM_LINK = f.IPV6_SRC(_LINK_LOCAL, _LINK_LOCAL_MASK)
TO_LINK = f.IPV6_DST(_LINK_LOCAL, _LINK_LOCAL_MASK)
_SOLICITED_NODE, _ADDRESS_BITS = 0xFF02 << 112 | 0x1FF << 24, (1 << 24) - 1
SOLICITED_NODE = f.IPV6_DST(_SOLICITED_NODE, (1 << 128) - 1 - _ADDRESS_BITS)
"""The solicited-node groups (RFC 4291 section 2.7.1), to which neighbour solicitations are sent."""
NOT_ROUTED, NOT_FORWARDED = 255, 1
"""Hop limits: of messages that no router has forwarded, and of messages that no router will forward."""
_NOT_ROUTED, _NOT_FORWARDED = f.IP_TTL(NOT_ROUTED), f.IP_TTL(NOT_FORWARDED)

ARP_REQUEST, ARP_REPLY = 1, 2
READABLE_ARP: tuple[Match, ...] = ((ARP_TERM, f.ARP_OP(ARP_REQUEST)), (ARP_TERM, f.ARP_OP(ARP_REPLY)))

_UDP4, _UDP6 = (IPV4_TERM, f.IP_PROTO(UDP)), (IPV6_TERM, f.IP_PROTO(UDP))
DHCP_FROM_CLIENT = (*_UDP4, f.UDP_SRC(68), f.UDP_DST(67))
DHCP_FROM_SERVER = (*_UDP4, f.UDP_SRC(67), f.UDP_DST(68))
DHCPV6_FROM_CLIENT = (*_UDP6, f.UDP_SRC(546), f.UDP_DST(547))
DHCPV6_FROM_SERVER = (*_UDP6, f.UDP_SRC(547), f.UDP_DST(546))

MLD_QUERY, MLD_REPORT, MLD_DONE, MLDV2_REPORT = 130, 131, 132, 143
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, REDIRECT = 133, 134, 137
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136


def icmpv6(kind: int) -> Match:
    """ICMPv6 of one type with code 0, which all messages of a link have (RFC 4861 section 4, RFC 3810)."""
    return (IPV6_TERM, f.IP_PROTO(58), f.ICMPV6_TYPE(kind), f.ICMPV6_CODE(0))


OF_CLIENTS = {
    **dict.fromkeys((MLD_REPORT, MLD_DONE, MLDV2_REPORT), NOT_FORWARDED),
    **dict.fromkeys((ROUTER_SOLICITATION, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT), NOT_ROUTED),
}
"""The ICMPv6 types that a workload may send without a rule, in the right form, and their hop limits."""


def solicited_node(address: int) -> Term:
    """The solicited-node group of one IPv6 address: it ends like the address."""
    return f.IPV6_DST(_SOLICITED_NODE | address & _ADDRESS_BITS)


def _of_client(kind: int) -> Match:
    return (*icmpv6(kind), f.IP_TTL(OF_CLIENTS[kind]))


SOLICITATION, ADVERTISEMENT = map(_of_client, (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT))
ADVERTISEMENT_TO_ALL = (*ADVERTISEMENT, _ALL_NODES)

FROM_CLIENTS: tuple[Match, ...] = (
    (GROUP_MAC, *DHCP_FROM_CLIENT, LIMITED_BROADCAST),
    (GROUP_MAC, *DHCPV6_FROM_CLIENT, FROM_LINK, _DHCPV6_SERVERS),
    (GROUP_MAC, *_of_client(ROUTER_SOLICITATION), _ALL_ROUTERS),
    (GROUP_MAC, *_of_client(MLD_REPORT), MULTICAST6),
    (GROUP_MAC, *_of_client(MLD_DONE), _ALL_ROUTERS),
    (GROUP_MAC, *_of_client(MLDV2_REPORT), _MLDV2_ROUTERS),
)
"""Messages of hosts to the servers and routers of their link, wherever these are.

To a single address they are ordinary packets; otherwise they would be a channel that no rule governs.
"""
RESERVED_FOR_ROUTERS: tuple[Match, ...] = tuple(map(icmpv6, (ROUTER_ADVERTISEMENT, REDIRECT, MLD_QUERY)))
"""Messages that no workload may send at all."""
RESERVED_FOR_SERVERS: tuple[Match, ...] = (DHCP_FROM_SERVER, DHCPV6_FROM_SERVER)

_ROUTER = (*icmpv6(ROUTER_ADVERTISEMENT), _NOT_ROUTED, FROM_LINK)
TO_ONE_HOST: tuple[Match, ...] = (
    (*DHCP_FROM_SERVER, LIMITED_BROADCAST),
    (*DHCPV6_FROM_SERVER, FROM_LINK),
    _ROUTER,
    (*icmpv6(REDIRECT), _NOT_ROUTED, FROM_LINK),
)
"""Messages of routers and servers to a single host.

DHCP to the host's own address is exempt only if it comes from one of the network's subnets.
"""
TOLD_TO_ALL: tuple[Match, ...] = (
    (GROUP_MAC, *READABLE_ARP[1]),
    (GROUP_MAC, *DHCP_FROM_SERVER, LIMITED_BROADCAST),
    (GROUP_MAC, *_ROUTER, _ALL_NODES),
    (GROUP_MAC, *icmpv6(MLD_QUERY), _NOT_FORWARDED, FROM_LINK, MULTICAST6),
)
"""Messages to a group address that every port must receive if a trusted sender sends them."""

VRRP_MAC4, VRRP_MAC6 = f.ETH_DST(0x01005E000012), f.ETH_DST(0x333300000012)
VRRP4_ANY_HOPS = (VRRP_MAC4, IPV4_TERM, f.IPV4_DST(0xE0000012), f.IP_PROTO(112))
VRRP6_ANY_HOPS = (VRRP_MAC6, IPV6_TERM, f.IPV6_DST(0xFF02 << 112 | 0x12), f.IP_PROTO(112))
VRRP4, VRRP6 = (*VRRP4_ANY_HOPS, _NOT_ROUTED), (*VRRP6_ANY_HOPS, _NOT_ROUTED)
"""Advertisements of virtual routers. The rules of their receivers apply to them."""
