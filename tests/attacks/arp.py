"""ARP: no host can claim an address or MAC that is not its own."""

from __future__ import annotations

from scapy.layers.l2 import ARP, LLC, SNAP, Dot3, Ether

from flows.openflow.reasons import Reason
from lab.attack import ATTACKER, NEIGHBOUR, OUTSIDE, ROUTER, VICTIM, Family, said
from tests.attacks.packets import BROADCAST, NO_MAC, REPLY, REQUEST, arp, ether, ieee802

ARP_ATTACKS = Family("ARP")
_add = ARP_ATTACKS.add

_REPLY = said(ATTACKER, arp(REPLY, ATTACKER, VICTIM), VICTIM)
_ASK = said(ATTACKER, arp(REQUEST, ATTACKER, VICTIM, BROADCAST), VICTIM)
_ASK_UNICAST = said(ATTACKER, arp(REQUEST, ATTACKER, VICTIM), VICTIM)
_ANNOUNCE = said(ATTACKER, arp(REQUEST, ATTACKER, ATTACKER, BROADCAST), VICTIM, NEIGHBOUR, ROUTER)
_ANNOUNCE_REPLY = said(ATTACKER, arp(REPLY, ATTACKER, ATTACKER, BROADCAST), VICTIM, NEIGHBOUR, ROUTER)
_PROBE = said(ATTACKER, arp(REQUEST, ATTACKER, VICTIM, BROADCAST, psrc="0.0.0.0"), VICTIM)

_add(
    "reply: a neighbour's address is at my MAC",
    ATTACKER,
    arp(REPLY, ATTACKER, VICTIM, psrc=NEIGHBOUR.ip),
    Reason.ARP_SPOOF,
    _REPLY,
)
_add(
    "reply: the router's address is at my MAC",
    ATTACKER,
    arp(REPLY, ATTACKER, VICTIM, psrc=ROUTER.ip),
    Reason.ARP_SPOOF,
    _REPLY,
)
_add(
    "broadcast reply: a neighbour's address is at my MAC",
    ATTACKER,
    arp(REPLY, ATTACKER, VICTIM, BROADCAST, psrc=NEIGHBOUR.ip),
    Reason.ARP_SPOOF,
    _ANNOUNCE_REPLY,
)
_add(
    "request with a neighbour's address as sender",
    ATTACKER,
    arp(REQUEST, ATTACKER, VICTIM, BROADCAST, psrc=NEIGHBOUR.ip),
    Reason.ARP_SPOOF,
    _ASK,
)
_add(
    "unicast request with a neighbour's address as sender",
    ATTACKER,
    arp(REQUEST, ATTACKER, VICTIM, psrc=NEIGHBOUR.ip),
    Reason.ARP_SPOOF,
    _ASK_UNICAST,
)
_add(
    "request with the victim's own address as sender (address conflict)",
    ATTACKER,
    arp(REQUEST, ATTACKER, VICTIM, BROADCAST, psrc=VICTIM.ip),
    Reason.ARP_SPOOF,
    _ASK,
)
_add(
    "reply: my address is at a neighbour's MAC",
    ATTACKER,
    arp(REPLY, ATTACKER, VICTIM, hwsrc=NEIGHBOUR.mac),
    Reason.ARP_SPOOF,
    _REPLY,
)
_add(
    "reply from a neighbour's Ethernet address",
    ATTACKER,
    Ether(src=NEIGHBOUR.mac, dst=VICTIM.mac) / arp(REPLY, ATTACKER, VICTIM)[ARP],
    Reason.ARP_SPOOF,
    _REPLY,
)
_add(
    "exact copy of a neighbour's reply",
    ATTACKER,
    arp(REPLY, NEIGHBOUR, VICTIM),
    Reason.ARP_SPOOF,
    said(NEIGHBOUR, arp(REPLY, NEIGHBOUR, VICTIM), VICTIM),
)
_add(
    "exact copy of the victim's request",
    ATTACKER,
    arp(REQUEST, VICTIM, NEIGHBOUR, BROADCAST),
    Reason.ARP_SPOOF,
    said(VICTIM, arp(REQUEST, VICTIM, NEIGHBOUR, BROADCAST), NEIGHBOUR),
)
_add(
    "gratuitous request for a neighbour's address",
    ATTACKER,
    arp(REQUEST, ATTACKER, NEIGHBOUR, BROADCAST, psrc=NEIGHBOUR.ip),
    Reason.ARP_SPOOF,
    _ANNOUNCE,
)
_add(
    "gratuitous reply for a neighbour's address",
    ATTACKER,
    arp(REPLY, ATTACKER, NEIGHBOUR, BROADCAST, psrc=NEIGHBOUR.ip, hwdst=BROADCAST),
    Reason.ARP_SPOOF,
    _ANNOUNCE_REPLY,
)
_add(
    "gratuitous request for an own address at a neighbour's MAC",
    ATTACKER,
    arp(REQUEST, ATTACKER, ATTACKER, BROADCAST, hwsrc=NEIGHBOUR.mac),
    Reason.ARP_SPOOF,
    _ANNOUNCE,
)
_add(
    "probe with a neighbour's hardware address",
    ATTACKER,
    arp(REQUEST, ATTACKER, VICTIM, BROADCAST, psrc="0.0.0.0", hwsrc=NEIGHBOUR.mac),
    Reason.ARP_SPOOF,
    _PROBE,
)
_add(
    "probe from a neighbour's Ethernet address",
    ATTACKER,
    arp(REQUEST, NEIGHBOUR, VICTIM, BROADCAST, psrc="0.0.0.0"),
    Reason.ARP_SPOOF,
    said(NEIGHBOUR, arp(REQUEST, NEIGHBOUR, VICTIM, BROADCAST, psrc="0.0.0.0"), VICTIM),
)
_add(
    "reply with 0.0.0.0 as sender",
    ATTACKER,
    arp(REPLY, ATTACKER, VICTIM, psrc="0.0.0.0"),
    Reason.ARP_SPOOF,
    _REPLY,
)
_add(
    "reply with hardware type IEEE 802 (Linux accepts it as Ethernet)",
    ATTACKER,
    ieee802(arp(REPLY, ATTACKER, VICTIM, psrc=NEIGHBOUR.ip)),
    Reason.UNREADABLE,
    _REPLY,
)
_add(
    "reply with an undefined operation (0x0102)",
    ATTACKER,
    arp(0x0102, ATTACKER, VICTIM),
    Reason.UNREADABLE,
    _REPLY,
)
_add(
    "inverse ARP and reverse ARP operations",
    ATTACKER,
    [arp(operation, ATTACKER, VICTIM) for operation in (3, 4, 8, 9)],
    Reason.UNREADABLE,
    _REPLY,
)
_add(
    "truncated reply",
    ATTACKER,
    bytes(arp(REPLY, ATTACKER, VICTIM, psrc=NEIGHBOUR.ip))[:38],
    Reason.UNREADABLE,
    _REPLY,
)
_add(
    "reply for a neighbour's address in an 802.3 frame with SNAP",
    ATTACKER,
    Dot3(src=ATTACKER.mac, dst=VICTIM.mac)
    / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
    / SNAP(code=0x0806)
    / arp(REPLY, ATTACKER, VICTIM, psrc=NEIGHBOUR.ip)[ARP],
    Reason.ARP_SPOOF,
    _REPLY,
)
_add(
    "RARP request and reply",
    ATTACKER,
    [
        Ether(src=ATTACKER.mac, dst=to, type=0x8035)
        / ARP(op=operation, hwsrc=ATTACKER.mac, hwdst=VICTIM.mac, psrc=ATTACKER.ip, pdst=VICTIM.ip)
        for operation, to in ((3, BROADCAST), (4, VICTIM.mac))
    ],
    Reason.ETHERTYPE,
    _REPLY,
)
_add(
    "from outside: a local address is at my MAC",
    OUTSIDE,
    arp(REPLY, OUTSIDE, VICTIM, psrc=NEIGHBOUR.ip),
    Reason.UPLINK_SPOOF,
    said(OUTSIDE, arp(REPLY, OUTSIDE, VICTIM), VICTIM),
)
_add(
    "from outside, broadcast: a local address is at my MAC",
    OUTSIDE,
    arp(REPLY, OUTSIDE, VICTIM, BROADCAST, psrc=VICTIM.ip),
    Reason.UPLINK_SPOOF,
    said(OUTSIDE, arp(REPLY, OUTSIDE, VICTIM, BROADCAST), VICTIM, NEIGHBOUR, ROUTER),
)
_add(
    "from outside: request with a local address as sender",
    OUTSIDE,
    arp(REQUEST, OUTSIDE, VICTIM, BROADCAST, psrc=NEIGHBOUR.ip),
    Reason.UPLINK_SPOOF,
    said(OUTSIDE, arp(REQUEST, OUTSIDE, VICTIM, BROADCAST), VICTIM),
)
_add(
    "from outside: a local address, with hardware type IEEE 802",
    OUTSIDE,
    ieee802(arp(REPLY, OUTSIDE, VICTIM, psrc=NEIGHBOUR.ip)),
    Reason.UNREADABLE,
    said(OUTSIDE, arp(REPLY, OUTSIDE, VICTIM), VICTIM),
)
_add(
    "from outside: the router is at a local port's MAC",
    OUTSIDE,
    arp(REPLY, OUTSIDE, VICTIM, psrc=ROUTER.ip, hwsrc=NEIGHBOUR.mac),
    Reason.UPLINK_SPOOF,
    said(OUTSIDE, arp(REPLY, OUTSIDE, VICTIM), VICTIM),
)
_add(
    "listening to requests of others",
    VICTIM,
    arp(REQUEST, VICTIM, ROUTER, BROADCAST),
    None,
    said(VICTIM, arp(REQUEST, VICTIM, ROUTER, BROADCAST), ROUTER),
    spared=(ATTACKER, NEIGHBOUR),
)
_add(
    "listening to requests for a neighbour",
    VICTIM,
    arp(REQUEST, VICTIM, NEIGHBOUR, BROADCAST),
    None,
    said(VICTIM, arp(REQUEST, VICTIM, NEIGHBOUR, BROADCAST), NEIGHBOUR),
    spared=(ATTACKER, ROUTER, OUTSIDE),
)
_add(
    "reply with a zero hardware address",
    ATTACKER,
    ether(ATTACKER, VICTIM) / ARP(op=REPLY, hwsrc=NO_MAC, psrc=ATTACKER.ip, hwdst=VICTIM.mac, pdst=VICTIM.ip),
    Reason.ARP_SPOOF,
    _REPLY,
)
_add(
    "probe for an own address from a neighbour's MAC",
    ATTACKER,
    arp(REQUEST, ATTACKER, ATTACKER, BROADCAST, psrc="0.0.0.0", hwsrc=NEIGHBOUR.mac),
    Reason.ARP_SPOOF,
    said(ATTACKER, arp(REQUEST, ATTACKER, ATTACKER, BROADCAST, psrc="0.0.0.0"), ROUTER, OUTSIDE),
)
