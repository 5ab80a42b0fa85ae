"""IPv6 neighbour discovery, duplicate address detection, routers."""

from __future__ import annotations

from scapy.layers.inet6 import (
    ICMPv6MLQuery,
    ICMPv6ND_NA,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import (
    ATTACKER,
    NEIGHBOUR,
    OPEN,
    OUTSIDE,
    ROUTER,
    VICTIM,
    WORKLOADS,
    AttackHost,
    Family,
    said,
)
from tests.attacks.packets import ALL_NODES, advertisement, ether, multicast, solicitation

ND_ATTACKS = Family("IPv6 neighbour discovery")
ROUTER_ATTACKS = Family("IPv6 routers and groups")
_BLUE = tuple(host for host in WORKLOADS if host.name != "green")

_TOLD = said(ATTACKER, advertisement(ATTACKER, VICTIM, ATTACKER.ip6), VICTIM)
_TOLD_ALL = said(ATTACKER, advertisement(ATTACKER, ALL_NODES, ATTACKER.ip6), VICTIM, NEIGHBOUR, ROUTER)
_ASKED = said(ATTACKER, solicitation(ATTACKER, VICTIM), VICTIM)
_ASKED_UNICAST = said(ATTACKER, solicitation(ATTACKER, VICTIM, to=VICTIM), VICTIM)
_DETECTED = said(ATTACKER, solicitation(ATTACKER, ATTACKER, source="::", lladdr=""), ROUTER, OUTSIDE)


def _advertisements() -> None:
    add = ND_ATTACKS.add
    for whose, target in (
        ("a neighbour's address", NEIGHBOUR.ip6),
        ("a neighbour's link-local address", NEIGHBOUR.link_local),
        ("the router's address", ROUTER.ip6),
        ("the receiver's address (conflict)", VICTIM.ip6),
    ):
        add(
            f"override: {whose} is at my MAC",
            ATTACKER,
            advertisement(ATTACKER, VICTIM, target),
            Reason.ND_SPOOF,
            _TOLD,
        )
    add(
        "override, to all nodes: a neighbour's address is at my MAC",
        ATTACKER,
        advertisement(ATTACKER, ALL_NODES, NEIGHBOUR.ip6),
        Reason.ND_SPOOF,
        _TOLD_ALL,
    )
    add(
        "advertisement: my address is at a neighbour's MAC",
        ATTACKER,
        advertisement(ATTACKER, VICTIM, ATTACKER.ip6, lladdr=NEIGHBOUR.mac),
        Reason.ND_SPOOF,
        _TOLD,
    )
    add(
        "advertisement for a neighbour's address, without a MAC",
        ATTACKER,
        advertisement(ATTACKER, VICTIM, NEIGHBOUR.ip6, lladdr=""),
        Reason.ND_SPOOF,
        said(ATTACKER, advertisement(ATTACKER, VICTIM, ATTACKER.ip6, lladdr=""), VICTIM),
    )
    add(
        "advertisement from a neighbour's address",
        ATTACKER,
        advertisement(ATTACKER, VICTIM, ATTACKER.ip6, source=NEIGHBOUR.link_local),
        Reason.IP_SPOOF,
        _TOLD,
    )
    add(
        "advertisement from the unspecified address",
        ATTACKER,
        advertisement(ATTACKER, VICTIM, NEIGHBOUR.ip6, source="::"),
        Reason.ND_SPOOF,
        _TOLD,
    )
    add(
        "exact copy of a neighbour's advertisement",
        ATTACKER,
        advertisement(NEIGHBOUR, VICTIM, NEIGHBOUR.ip6),
        Reason.IP_SPOOF,
        said(NEIGHBOUR, advertisement(NEIGHBOUR, VICTIM, NEIGHBOUR.ip6), VICTIM),
    )
    add(
        "reply to a neighbour's duplicate address detection (denies it every address)",
        ATTACKER,
        advertisement(ATTACKER, ALL_NODES, NEIGHBOUR.ip6),
        Reason.ND_SPOOF,
        _TOLD_ALL,
        before=(said(NEIGHBOUR, solicitation(NEIGHBOUR, NEIGHBOUR, source="::", lladdr=""), ROUTER),),
    )


def _twice(sender: AttackHost, target: str) -> Packet:
    """An advertisement with two MACs: Open vSwitch reads no target in it; Linux uses the first MAC."""
    option = ICMPv6NDOptDstLLAddr(lladdr=sender.mac)
    head = ether(sender, VICTIM) / IPv6(src=sender.link_local, dst=VICTIM.ip6)
    return head / ICMPv6ND_NA(tgt=target, R=0, S=1, O=1) / option / option


def _hidden_advertisement(sender: AttackHost, target: str) -> Packet:
    extension = IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt()
    body = ICMPv6ND_NA(tgt=target, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=sender.mac)
    return ether(sender, VICTIM) / IPv6(src=sender.link_local, dst=VICTIM.ip6, hlim=255) / extension / body


def _unreadable() -> None:
    add = ND_ATTACKS.add
    add(
        "a neighbour's address, with the MAC given twice",
        ATTACKER,
        _twice(ATTACKER, NEIGHBOUR.ip6),
        Reason.ND_SPOOF,
        _TOLD,
    )
    add(
        "a neighbour's address, behind extension headers",
        ATTACKER,
        _hidden_advertisement(ATTACKER, NEIGHBOUR.ip6),
        Reason.ND_SPOOF,
        said(ATTACKER, _hidden_advertisement(ATTACKER, ATTACKER.ip6), VICTIM),
    )
    add(
        "truncated advertisement",
        ATTACKER,
        ether(ATTACKER, VICTIM)
        / IPv6(src=ATTACKER.link_local, dst=VICTIM.ip6, nh=58, hlim=255)
        / bytes([136, 0, 0, 0]),
        Reason.INVALID,
        _TOLD,
    )


def _solicitations() -> None:
    add = ND_ATTACKS.add
    add(
        "solicitation from a neighbour's address",
        ATTACKER,
        solicitation(ATTACKER, VICTIM, source=NEIGHBOUR.link_local),
        Reason.IP_SPOOF,
        _ASKED,
    )
    add(
        "solicitation: the sender is at a neighbour's MAC",
        ATTACKER,
        solicitation(ATTACKER, VICTIM, lladdr=NEIGHBOUR.mac),
        Reason.ND_SPOOF,
        _ASKED,
    )
    add(
        "unicast solicitation: the sender is at a neighbour's MAC",
        ATTACKER,
        solicitation(ATTACKER, VICTIM, to=VICTIM, lladdr=NEIGHBOUR.mac),
        Reason.ND_SPOOF,
        _ASKED_UNICAST,
    )
    add(
        "duplicate address detection for a neighbour's address (denies it every address)",
        ATTACKER,
        solicitation(ATTACKER, NEIGHBOUR, source="::", lladdr=""),
        Reason.ND_SPOOF,
        _DETECTED,
    )
    add(
        "duplicate address detection with a link-layer address",
        ATTACKER,
        solicitation(ATTACKER, VICTIM, source="::"),
        Reason.ND_SPOOF,
        _DETECTED,
    )
    add(
        "duplicate address detection from a neighbour's Ethernet address",
        ATTACKER,
        solicitation(NEIGHBOUR, NEIGHBOUR, source="::", lladdr=""),
        Reason.IP_SPOOF,
        _DETECTED,
    )
    add(
        "listening to solicitations of others",
        VICTIM,
        [solicitation(VICTIM, NEIGHBOUR), solicitation(VICTIM, NEIGHBOUR, to=NEIGHBOUR)],
        None,
        said(VICTIM, solicitation(VICTIM, NEIGHBOUR), NEIGHBOUR),
        spared=(ATTACKER, OPEN, ROUTER, OUTSIDE),
    )


def _from_outside() -> None:
    add = ND_ATTACKS.add
    honest = said(OUTSIDE, advertisement(OUTSIDE, VICTIM, OUTSIDE.ip6), VICTIM)
    add(
        "from outside: a local address is at my MAC",
        OUTSIDE,
        [advertisement(OUTSIDE, to, NEIGHBOUR.ip6) for to in (VICTIM, ALL_NODES)],
        Reason.UPLINK_SPOOF,
        honest,
    )
    add(
        "from outside: a local address, with the MAC given twice",
        OUTSIDE,
        _twice(OUTSIDE, NEIGHBOUR.ip6),
        Reason.UNREADABLE,
        honest,
    )
    add(
        "from outside: the router is at a local port's MAC",
        OUTSIDE,
        [
            advertisement(OUTSIDE, VICTIM, ROUTER.ip6, lladdr=NEIGHBOUR.mac),
            solicitation(OUTSIDE, VICTIM, lladdr=NEIGHBOUR.mac),
        ],
        Reason.UPLINK_SPOOF,
        honest,
        said(OUTSIDE, solicitation(OUTSIDE, VICTIM), VICTIM),
    )
    add(
        "from outside: solicitation with a local address as sender",
        OUTSIDE,
        solicitation(OUTSIDE, VICTIM, source=NEIGHBOUR.link_local),
        Reason.UPLINK_SPOOF,
        said(OUTSIDE, solicitation(OUTSIDE, VICTIM), VICTIM),
    )
    add(
        "from outside: duplicate address detection for a local address",
        OUTSIDE,
        solicitation(OUTSIDE, VICTIM, source="::", lladdr=""),
        None,
        said(OUTSIDE, solicitation(OUTSIDE, VICTIM), VICTIM),
        spared=(ATTACKER, NEIGHBOUR, OPEN),
    )


_advertisements()
_unreadable()
_solicitations()
_from_outside()


def _router_advertisement(sender: AttackHost, receiver: AttackHost | None = None) -> Packet:
    if receiver is None:
        head = multicast(sender, ALL_NODES) / IPv6(src=sender.link_local, dst=ALL_NODES)
    else:
        head = ether(sender, receiver) / IPv6(src=sender.link_local, dst=receiver.link_local)
    return head / _router_message(sender)


def _router_message(sender: AttackHost) -> Packet:
    prefix = ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64)
    servers = ICMPv6NDOptRDNSS(lifetime=600, dns=[sender.ip6])
    return ICMPv6ND_RA(routerlifetime=1800) / prefix / servers / ICMPv6NDOptSrcLLAddr(lladdr=sender.mac)


def _redirect(sender: AttackHost) -> Packet:
    head = ether(sender, VICTIM) / IPv6(src=sender.link_local, dst=VICTIM.ip6)
    return head / ICMPv6ND_Redirect(tgt=sender.link_local, dst="2001:db8:1::1")


def _behind_options(sender: AttackHost) -> Packet:
    head = ether(sender, VICTIM) / IPv6(src=sender.link_local, dst=VICTIM.link_local, hlim=255)
    return head / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / _router_message(sender)


def _listener_query(sender: AttackHost) -> Packet:
    head = multicast(sender, ALL_NODES) / IPv6(src=sender.link_local, dst=ALL_NODES, hlim=1)
    return head / ICMPv6MLQuery()


def large_router_advertisement(sender: AttackHost, receiver: AttackHost) -> list[Packet]:
    """Fragments of the minimum size: options until somewhere in the second fragment, then the message."""
    padding = 5 * (bytes([1, 252]) + bytes(252)) + bytes([1, 6]) + bytes(6)
    head = IPv6(src=sender.link_local, dst=receiver.link_local, hlim=255)
    message = bytes(head / _router_message(sender))[40:]
    whole, cut = bytes([58, 159]) + padding + message, 1240
    first = IPv6ExtHdrFragment(nh=60, offset=0, m=1, id=81) / whole[:cut]
    second = IPv6ExtHdrFragment(nh=60, offset=cut // 8, m=0, id=81) / whole[cut:]
    return [ether(sender, receiver) / head / part for part in (first, second)]


def fragmented_router_advertisement(sender: AttackHost, receiver: AttackHost) -> list[Packet]:
    """The message begins in the second fragment; the first contains only options."""
    options = bytes([58, 1]) + bytes([1, 12]) + bytes(12)
    head = IPv6(src=sender.link_local, dst=receiver.link_local, hlim=255)
    message = bytes(head / _router_message(sender))[40:]
    first = IPv6ExtHdrFragment(nh=60, offset=0, m=1, id=77) / options
    second = IPv6ExtHdrFragment(nh=60, offset=2, m=0, id=77) / message
    return [ether(sender, receiver) / head / part for part in (first, second)]


def _routers() -> None:
    add = ROUTER_ATTACKS.add
    to_all = said(ROUTER, _router_advertisement(ROUTER), *_BLUE)
    to_one = said(ROUTER, _router_advertisement(ROUTER, VICTIM), VICTIM)
    add(
        "router advertisement", ATTACKER, _router_advertisement(ATTACKER), Reason.ROUTER_ADVERTISEMENT, to_all
    )
    add(
        "router advertisement to one host",
        ATTACKER,
        _router_advertisement(ATTACKER, VICTIM),
        Reason.ROUTER_ADVERTISEMENT,
        to_one,
    )
    add(
        "router advertisement from the router's address",
        ATTACKER,
        _router_advertisement(ROUTER),
        Reason.IP_SPOOF,
        to_all,
    )
    add(
        "router advertisement behind extension headers (RFC 7113)",
        ATTACKER,
        _behind_options(ATTACKER),
        Reason.ROUTER_ADVERTISEMENT,
        said(ROUTER, _behind_options(ROUTER), VICTIM),
    )
    add(
        "redirect",
        ATTACKER,
        _redirect(ATTACKER),
        Reason.ROUTER_ADVERTISEMENT,
        said(ROUTER, _redirect(ROUTER), VICTIM),
    )
    add(
        "listener query (become the querier, then send no more)",
        ATTACKER,
        _listener_query(ATTACKER),
        Reason.ROUTER_ADVERTISEMENT,
        said(ROUTER, _listener_query(ROUTER), *_BLUE),
    )


_routers()
