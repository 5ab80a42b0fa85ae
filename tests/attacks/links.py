"""Messages that need no rule, altered so that they would leave their link or reach the wrong host."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLReport,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import INSIDE, MUTE, NEIGHBOUR, OUTSIDE, ROUTER, VICTIM, AttackHost, Family, said
from tests.attacks.packets import (
    ALL_NODES,
    ALL_ROUTERS,
    BROADCAST,
    REPLY,
    advertisement,
    arp,
    ether,
    multicast,
    solicitation,
)

LINK_ATTACKS = Family("Messages that need no rule")
_INTERNET, _INTERNET6 = "8.8.8.8", "2a00::1"
_ELSEWHERE, _EVERYWHERE = "ff0e::1", "ff0e::1234"
_SERVERS6, _MLD_ROUTERS = "ff02::1:2", "ff02::16"
_SECRET = b"secret " * 70


def _neighbour(message: Packet, to: AttackHost, destination: str, hops: int, **source: str) -> Packet:
    """Neighbour discovery of `mute`, with its usual option and more data than any honest message has."""
    option = ICMPv6NDOptSrcLLAddr if isinstance(message, ICMPv6ND_NS) else ICMPv6NDOptDstLLAddr
    head = ether(MUTE, to) / IPv6(src=source.get("src", MUTE.ip6), dst=destination, hlim=hops)
    return head / message / option(lladdr=MUTE.mac) / _SECRET


def _out_by_neighbours() -> None:
    add = LINK_ATTACKS.add
    asked = said(MUTE, solicitation(MUTE, ROUTER), ROUTER)
    told = said(MUTE, advertisement(MUTE, ROUTER, MUTE.ip6), ROUTER)
    ask, tell = ICMPv6ND_NS(tgt=_INTERNET6), ICMPv6ND_NA(tgt=MUTE.ip6)
    for what, message, control in (("solicitation", ask, asked), ("advertisement", tell, told)):
        for hops, reason in ((64, Reason.INVALID), (255, Reason.OFF_LINK)):
            add(
                f"data for the Internet in a neighbour {what}, hop limit {hops}",
                MUTE,
                _neighbour(message, ROUTER, _INTERNET6, hops),
                reason,
                control,
            )
    add(
        "data for the Internet in a neighbour solicitation, code 55",
        MUTE,
        _neighbour(ICMPv6ND_NS(tgt=_INTERNET6, code=55), ROUTER, _INTERNET6, 255),
        Reason.INVALID,
        asked,
    )
    add(
        "data for a host outside in a neighbour solicitation with a hop limit below 255",
        MUTE,
        _neighbour(ICMPv6ND_NS(tgt=OUTSIDE.ip6), OUTSIDE, OUTSIDE.ip6, 254),
        Reason.INVALID,
        said(MUTE, solicitation(MUTE, OUTSIDE, to=OUTSIDE), OUTSIDE),
    )
    add(
        "a neighbour solicitation to an Internet address",
        MUTE,
        _neighbour(ICMPv6ND_NS(tgt=VICTIM.ip6), VICTIM, _INTERNET6, 255),
        Reason.OFF_LINK,
        said(MUTE, solicitation(MUTE, VICTIM, to=VICTIM), VICTIM),
    )
    head = multicast(MUTE, _ELSEWHERE) / IPv6(src=MUTE.ip6, dst=_ELSEWHERE)
    add(
        "a neighbour advertisement to a multicast group of global scope",
        MUTE,
        head / tell / ICMPv6NDOptDstLLAddr(lladdr=MUTE.mac) / _SECRET,
        Reason.OFF_LINK,
        said(MUTE, advertisement(MUTE, ALL_NODES, MUTE.ip6), VICTIM, ROUTER),
    )
    add(
        "a neighbour advertisement to a neighbour's MAC and another host's address",
        MUTE,
        _neighbour(tell, VICTIM, NEIGHBOUR.ip6, 255),
        Reason.FOREIGN_ADDRESS,
        said(MUTE, advertisement(MUTE, VICTIM, MUTE.ip6), VICTIM),
    )
    add(
        "an ARP reply to a neighbour's MAC, for another host's address",
        MUTE,
        arp(REPLY, MUTE, VICTIM, pdst=NEIGHBOUR.ip),
        Reason.FOREIGN_ADDRESS,
        said(MUTE, arp(REPLY, MUTE, VICTIM), VICTIM),
    )


def _to_group(destination: str, message: Packet, source: str = MUTE.link_local, **head: Any) -> Packet:
    return multicast(MUTE, destination) / IPv6(src=source, dst=destination, **head) / message


def _out_by_servers() -> None:
    add = LINK_ATTACKS.add
    request, request6 = UDP(sport=68, dport=67) / _SECRET, UDP(sport=546, dport=547) / _SECRET
    asked = said(MUTE, ether(MUTE, BROADCAST) / IP(src="0.0.0.0", dst="255.255.255.255") / request, ROUTER)
    add(
        "data in a DHCP request, to one host's MAC",
        MUTE,
        ether(MUTE, OUTSIDE) / IP(src=MUTE.ip, dst="255.255.255.255") / request,
        Reason.BUM,
        asked,
    )
    asked6 = said(MUTE, _to_group(_SERVERS6, request6), ROUTER)
    for whither in (_EVERYWHERE, "ff05::1:3", "ff7e:140:2001:db8::1"):
        add(f"data in a DHCPv6 request to {whither}", MUTE, _to_group(whither, request6), Reason.BUM, asked6)
    add(
        "data in a DHCPv6 request from a global address",
        MUTE,
        _to_group(_SERVERS6, request6, source=MUTE.ip6),
        Reason.BUM,
        asked6,
    )
    add(
        "data in a DHCPv6 request, to one host's MAC",
        MUTE,
        ether(MUTE, OUTSIDE) / IPv6(src=MUTE.link_local, dst=_SERVERS6) / request6,
        Reason.BUM,
        asked6,
    )


def _out_by_routers() -> None:
    add = LINK_ATTACKS.add
    for name, whither, message, hops in (
        ("router solicitation", ALL_ROUTERS, ICMPv6ND_RS, 255),
        ("listener report", "ff05::abcd", ICMPv6MLReport, 1),
        ("listener done", ALL_ROUTERS, ICMPv6MLDone, 1),
    ):
        honest = said(MUTE, _to_group(whither, message(), hlim=hops), ROUTER)
        bent = {
            "hop limit 64": _to_group(whither, message() / _SECRET, hlim=64),
            "code 9": _to_group(whither, message(code=9) / _SECRET, hlim=hops),
        }
        if name != "listener report":  # a listener report is sent to the group that it reports
            bent["to a group of global scope"] = _to_group(_ELSEWHERE, message() / _SECRET, hlim=hops)
        for how, frame in bent.items():
            add(f"data in a {name}, {how}", MUTE, frame, Reason.BUM, honest)


def _from_internet(message: Packet, hops: int, source: str = _INTERNET6) -> Packet:
    return ether(ROUTER, VICTIM) / IPv6(src=source, dst=VICTIM.ip6, hlim=hops) / message


def _in_by_neighbours() -> None:
    add = LINK_ATTACKS.add
    for name, message in (
        ("router advertisement", ICMPv6ND_RA()),
        ("redirect", ICMPv6ND_Redirect(tgt=_INTERNET6, dst=_INTERNET6)),
        ("neighbour solicitation", ICMPv6ND_NS(tgt=VICTIM.ip6)),
        ("neighbour advertisement", ICMPv6ND_NA(tgt=_INTERNET6)),
    ):
        honest = _from_internet(message, 255, ROUTER.link_local)
        control = said(ROUTER, honest, VICTIM)
        for hops in (9, 254):
            routed = _from_internet(message / _SECRET, hops)
            add(f"routed {name}, hop limit {hops}", ROUTER, routed, Reason.INVALID, control)
        if name in ("router advertisement", "redirect"):
            foreign = _from_internet(message, 255, OUTSIDE.ip6)
            add(f"{name} without a link-local source", ROUTER, foreign, Reason.INVALID, control)
    to_all = ROUTER.link_local, ALL_NODES
    query = multicast(ROUTER, ALL_NODES) / IPv6(src=to_all[0], dst=to_all[1], hlim=1) / ICMPv6MLQuery()
    add(
        "listener query from the Internet, which arrives with hop limit 1",
        ROUTER,
        _from_internet(ICMPv6MLQuery() / _SECRET, 1),
        Reason.INVALID,
        said(ROUTER, query, VICTIM),
    )
    add(
        "an ARP reply from outside to a workload's MAC, for another host",
        OUTSIDE,
        arp(REPLY, OUTSIDE, VICTIM, pdst=NEIGHBOUR.ip),
        Reason.FOREIGN_ADDRESS,
        said(OUTSIDE, arp(REPLY, OUTSIDE, VICTIM), VICTIM),
    )


def _in_by_servers() -> None:
    add = LINK_ATTACKS.add
    answer, answer6 = UDP(sport=67, dport=68) / _SECRET, UDP(sport=547, dport=546) / _SECRET
    to_victim = ether(ROUTER, VICTIM)
    leased = said(ROUTER, to_victim / IP(src=ROUTER.ip, dst=VICTIM.ip) / answer, VICTIM)
    add(
        "DHCP reply from the Internet",
        ROUTER,
        to_victim / IP(src=_INTERNET, dst=VICTIM.ip) / answer,
        Reason.INGRESS_POLICY,
        leased,
    )
    add(
        "DHCP reply for an address that the workload does not have",
        ROUTER,
        to_victim / IP(src=ROUTER.ip, dst="1.2.3.4") / answer,
        Reason.FOREIGN_ADDRESS,
        leased,
    )
    honest6 = to_victim / IPv6(src=ROUTER.link_local, dst=VICTIM.link_local) / answer6
    leased6 = said(ROUTER, honest6, VICTIM)
    add(
        "DHCPv6 reply from the Internet",
        ROUTER,
        to_victim / IPv6(src=_INTERNET6, dst=VICTIM.ip6) / answer6,
        Reason.INGRESS_POLICY,
        leased6,
    )
    group = Ether(src=ROUTER.mac, dst="01:00:5e:01:01:01")
    add(
        "DHCP replies to multicast groups",
        ROUTER,
        [
            group / IP(src=_INTERNET, dst="239.1.1.1") / answer,
            multicast(ROUTER, ALL_NODES) / IPv6(src=ROUTER.link_local, dst=ALL_NODES) / answer6,
            multicast(ROUTER, _MLD_ROUTERS) / IPv6(src=_INTERNET6, dst=_MLD_ROUTERS) / answer6,
        ],
        None,
        leased,
        leased6,
        spared=INSIDE,
    )


_out_by_neighbours()
_out_by_servers()
_out_by_routers()
_in_by_neighbours()
_in_by_servers()
