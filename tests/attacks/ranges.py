"""Ranges in allowed address pairs: their exact limits hold, and no other port may use them."""

from __future__ import annotations

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import ATTACKER, NEIGHBOUR, RIVAL, VICTIM, AttackHost, Family, said
from lab.attack_policy import RIVAL_RANGES
from tests.attacks.packets import (
    ALL_NODES,
    BROADCAST,
    REPLY,
    REQUEST,
    advertisement,
    arp,
    discard,
    solicitation,
)

RANGE_ATTACKS = Family("Ranges of addresses")
_FIRST, _LAST, _BEFORE, _BEHIND = "10.0.0.104", "10.0.0.111", "10.0.0.103", "10.0.0.112"
_FIRST6, _LAST6, _BEFORE6, _BEHIND6 = (f"2001:db8::{tail}" for tail in ("1:0", "1:ffff", "ffff", "2:0"))
assert (f"{_FIRST}/29", f"{_FIRST6}/112") == RIVAL_RANGES


def _from(sender: AttackHost, address: str, mac: str = "") -> Packet:
    head = Ether(src=mac or sender.mac, dst=VICTIM.mac)
    if ":" in address:
        return head / IPv6(src=address, dst=VICTIM.ip6) / discard()
    return head / IP(src=address, dst=VICTIM.ip) / discard()


def _packets() -> None:
    add = RANGE_ATTACKS.add
    for version, inside, outside in (
        ("IPv4", (_FIRST, _LAST), (_BEFORE, _BEHIND)),
        ("IPv6", (_FIRST6, _LAST6), (_BEFORE6, _BEHIND6)),
    ):
        honest = said(RIVAL, [_from(RIVAL, each) for each in inside], VICTIM)
        for where, address in zip(("before the first", "after the last"), outside, strict=True):
            add(f"{version} from the address {where}", RIVAL, _from(RIVAL, address), Reason.IP_SPOOF, honest)
        add(
            f"{version} from the range, with a neighbour's MAC",
            RIVAL,
            [_from(RIVAL, each, NEIGHBOUR.mac) for each in inside],
            Reason.IP_SPOOF,
            honest,
        )
        add(
            f"{version} from the range by a port without it",
            ATTACKER,
            [_from(ATTACKER, each) for each in inside],
            Reason.IP_SPOOF,
            honest,
        )
        add(
            f"{version} from the range by a port without it, with the owner's MAC",
            ATTACKER,
            [_from(RIVAL, each) for each in inside],
            Reason.IP_SPOOF,
            honest,
        )


def _arp() -> None:
    add = RANGE_ATTACKS.add
    told = said(RIVAL, [arp(REPLY, RIVAL, VICTIM, psrc=each) for each in (_FIRST, _LAST)], VICTIM)
    asked = said(RIVAL, arp(REQUEST, RIVAL, VICTIM, BROADCAST, psrc=_FIRST), VICTIM)
    for where, address in (("before the first", _BEFORE), ("after the last", _BEHIND)):
        add(
            f"ARP reply: the address {where} is at my MAC",
            RIVAL,
            arp(REPLY, RIVAL, VICTIM, psrc=address),
            Reason.ARP_SPOOF,
            told,
        )
    add(
        "ARP reply: an address of the range is at the MAC of a port without it",
        ATTACKER,
        arp(REPLY, ATTACKER, VICTIM, psrc=_FIRST),
        Reason.ARP_SPOOF,
        told,
    )
    add(
        "ARP request from an address of the range, by a port without it",
        ATTACKER,
        arp(REQUEST, ATTACKER, VICTIM, BROADCAST, psrc=_FIRST),
        Reason.ARP_SPOOF,
        asked,
    )
    add(
        "ARP announcement of an address of the range, by a port without it",
        ATTACKER,
        [arp(REQUEST, ATTACKER, ATTACKER, BROADCAST, psrc=_LAST, pdst=_LAST)],
        Reason.ARP_SPOOF,
        asked,
    )
    add(
        "ARP reply: an address of the range is at a neighbour's MAC",
        RIVAL,
        arp(REPLY, RIVAL, VICTIM, psrc=_FIRST, hwsrc=NEIGHBOUR.mac),
        Reason.ARP_SPOOF,
        told,
    )


def _neighbours() -> None:
    add = RANGE_ATTACKS.add
    told = said(RIVAL, [advertisement(RIVAL, VICTIM, each) for each in (_FIRST6, _LAST6)], VICTIM)
    for where, address in (("before the first", _BEFORE6), ("after the last", _BEHIND6)):
        add(
            f"neighbour advertisement: the address {where} is at my MAC",
            RIVAL,
            advertisement(RIVAL, VICTIM, address),
            Reason.ND_SPOOF,
            told,
        )
    add(
        "neighbour advertisement: an address of the range is at the MAC of a port without it",
        ATTACKER,
        [advertisement(ATTACKER, to, _FIRST6) for to in (VICTIM, ALL_NODES)],
        Reason.ND_SPOOF,
        told,
    )
    add(
        "neighbour solicitation from an address of the range, by a port without it",
        ATTACKER,
        solicitation(ATTACKER, VICTIM, source=_FIRST6),
        Reason.IP_SPOOF,
        said(RIVAL, solicitation(RIVAL, VICTIM, source=_FIRST6), VICTIM),
    )


_packets()
_arp()
_neighbours()
