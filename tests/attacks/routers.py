"""VRRP: only ports with an allowed address pair may send it, and only to ports that expect it."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.layers.vrrp import VRRP
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import (
    ATTACKER,
    EVERYBODY,
    OUTSIDE,
    PAIRED,
    PARTNER,
    RIVAL,
    ROUTER,
    SHARED_ADDRESS,
    SHARED_MAC,
    VICTIM,
    AttackHost,
    Family,
    said,
)
from tests.attacks.packets import BROADCAST, REQUEST, arp, discard, ip

VRRP_ATTACKS = Family("Virtual routers and shared addresses")
_GROUP_MAC, _GROUP = "01:00:5e:00:00:12", "224.0.0.18"


def _advertisement(sender: AttackHost, mac: str = "", **fields: Any) -> Packet:
    header = {"src": sender.ip, "dst": _GROUP, "ttl": 255, "proto": 112, **fields}
    message = VRRP(version=2, vrid=10, priority=200, addrlist=[SHARED_ADDRESS])
    return Ether(src=mac or sender.mac, dst=_GROUP_MAC) / IP(**header) / message


def _attacks() -> None:
    add = VRRP_ATTACKS.add
    honest = said(PAIRED, _advertisement(PAIRED), PARTNER, ROUTER, OUTSIDE)
    members = (PAIRED, PARTNER, ROUTER, OUTSIDE)
    add("advertisement from a port without a pair", ATTACKER, _advertisement(ATTACKER), Reason.BUM, honest)
    add(
        "advertisement from the partner's address",
        PAIRED,
        _advertisement(PAIRED, src=PARTNER.ip),
        Reason.IP_SPOOF,
        honest,
    )
    add(
        "advertisement that was routed (TTL below 255)",
        PAIRED,
        _advertisement(PAIRED, ttl=254),
        Reason.BUM,
        honest,
    )
    add(
        "another protocol to the group of virtual routers",
        PAIRED,
        Ether(src=PAIRED.mac, dst=_GROUP_MAC) / IP(src=PAIRED.ip, dst=_GROUP, ttl=255) / discard(),
        Reason.BUM,
        honest,
    )
    add(
        "advertisement to another group",
        PAIRED,
        [_advertisement(PAIRED, dst="224.0.0.1"), _advertisement(PAIRED, dst=VICTIM.ip)],
        Reason.BUM,
        honest,
    )
    add(
        "advertisement to routers whose rules do not allow it",
        RIVAL,
        _advertisement(RIVAL),
        Reason.INGRESS_POLICY,
        honest,
        spared=(PAIRED, PARTNER, VICTIM, ATTACKER),
    )
    others = tuple(host for host in EVERYBODY if host not in members)
    add("listening to advertisements", PAIRED, _advertisement(PAIRED), None, honest, spared=others)
    add(
        "from outside: advertisement that no rule allows",
        OUTSIDE,
        _advertisement(OUTSIDE),
        Reason.INGRESS_POLICY,
        said(OUTSIDE, ip(OUTSIDE, PAIRED) / discard(), PAIRED),
        spared=tuple(host for host in EVERYBODY if host is not ROUTER),
    )


def _thefts() -> None:
    """Frames to the shared MAC go to the permitted port that used the MAC last."""
    add = VRRP_ATTACKS.add
    held = said(PARTNER, _announced(), VICTIM, PAIRED, ROUTER)
    still_held = (
        said(VICTIM, _to_shared(VICTIM), PARTNER),
        said(ROUTER, _to_shared(ROUTER), PARTNER),
    )
    add(
        "announcement of a shared address by a port without the pair",
        ATTACKER,
        [_announced(), _announced(ATTACKER.mac), _announced(claimed=ATTACKER.mac)],
        Reason.ARP_SPOOF,
        held,
        after=still_held,
    )
    add(
        "a packet from a shared MAC by a port without the pair",
        ATTACKER,
        [
            Ether(src=SHARED_MAC, dst=VICTIM.mac) / IP(src=address, dst=VICTIM.ip) / discard()
            for address in (SHARED_ADDRESS, ATTACKER.ip)
        ],
        Reason.IP_SPOOF,
        held,
        said(PARTNER, _from_shared(VICTIM), VICTIM),
        after=still_held,
    )
    add(
        "advertisement from a shared MAC by a port without the pair",
        ATTACKER,
        _advertisement(ATTACKER, mac=SHARED_MAC),
        Reason.IP_SPOOF,
        held,
        after=still_held,
    )
    add(
        "listening to packets for the holder of a shared MAC",
        VICTIM,
        _to_shared(VICTIM),
        None,
        held,
        said(VICTIM, _to_shared(VICTIM), PARTNER),
        spared=tuple(host for host in EVERYBODY if host is not PARTNER),
    )
    add(
        "from outside: announcement of an address that only local ports share",
        OUTSIDE,
        [_announced(), _announced(OUTSIDE.mac), _announced(claimed=OUTSIDE.mac)],
        Reason.UPLINK_SPOOF,
        held,
        after=still_held,
    )
    add(
        "from outside: a packet from an address or MAC that only local ports share",
        OUTSIDE,
        [
            Ether(src=SHARED_MAC, dst=VICTIM.mac) / IP(src=OUTSIDE.ip, dst=VICTIM.ip) / discard(),
            ip(OUTSIDE, VICTIM, src=SHARED_ADDRESS) / discard(),
        ],
        Reason.UPLINK_SPOOF,
        held,
        said(OUTSIDE, ip(OUTSIDE, VICTIM) / discard(), VICTIM),
        after=still_held,
    )


def _announced(source: str = SHARED_MAC, claimed: str = SHARED_MAC) -> Packet:
    shared = AttackHost("shared", 100, "")
    message = bytes(arp(REQUEST, shared, shared, BROADCAST, hwsrc=claimed))[14:]
    return Ether(src=source, dst=BROADCAST, type=0x0806) / message


def _from_shared(receiver: AttackHost) -> Packet:
    return Ether(src=SHARED_MAC, dst=receiver.mac) / IP(src=SHARED_ADDRESS, dst=receiver.ip) / discard()


def _to_shared(sender: AttackHost) -> Packet:
    return Ether(src=sender.mac, dst=SHARED_MAC) / IP(src=sender.ip, dst=SHARED_ADDRESS) / discard()


_attacks()
_thefts()
