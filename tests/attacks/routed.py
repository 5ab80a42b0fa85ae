"""Packets from outside with a local port's address: a router returns the port's packets, thieves forge it."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import NEIGHBOUR, OUTSIDE, ROUTED, ROUTER, VICTIM, AttackHost, Family, said
from lab.attack_policy import DISCARD, UDP_SERVICE
from tests.attacks.packets import CLIENT_PORT, udp

ROUTED_ATTACKS = Family("Routed subnets")
_add = ROUTED_ATTACKS.add


def _between(
    macs: tuple[AttackHost, AttackHost], ends: tuple[AttackHost, AttackHost], said: Packet, version: int = 4
) -> Packet:
    """A frame between the MACs of two hosts that carries a packet between two other hosts."""
    source, destination = ends
    head = IP(src=source.ip, dst=destination.ip)
    if version == 6:
        head = IPv6(src=source.ip6, dst=destination.ip6)
    return Ether(src=macs[0].mac, dst=macs[1].mac) / head / said


_THERE, _BACK = (VICTIM, ROUTED), (ROUTED, VICTIM)
_QUESTION, _ANSWER = udp(), UDP(sport=UDP_SERVICE, dport=CLIENT_PORT) / b"some data"


def _sent(version: int) -> Packet:
    return _between((VICTIM, ROUTER), _THERE, _QUESTION, version)


def _brought(version: int) -> Packet:
    return _between((ROUTER, ROUTED), _THERE, _QUESTION, version)


for _version in (4, 6):
    _opened = said(VICTIM, _sent(_version), ROUTER)
    _arrived = said(ROUTER, _brought(_version), ROUTED)
    _answered = said(ROUTED, _between((ROUTED, ROUTER), _BACK, _ANSWER, _version), ROUTER)
    _heard = said(ROUTER, _between((ROUTER, VICTIM), _BACK, _ANSWER, _version), VICTIM)
    _honest = (_opened, _arrived, _answered, _heard)
    _family = f"IPv{_version}"
    _add(
        f"{_family}: another host outside returns the packet that the victim sent to the router",
        OUTSIDE,
        _between((OUTSIDE, ROUTED), _THERE, _QUESTION, _version),
        Reason.UPLINK_SPOOF,
        *_honest,
        before=(_opened,),
        after=(_arrived,),
    )
    _add(
        f"{_family}: another host outside returns the reply",
        OUTSIDE,
        _between((OUTSIDE, VICTIM), _BACK, _ANSWER, _version),
        Reason.UPLINK_SPOOF,
        *_honest,
        before=(_opened, _arrived, _answered),
        after=(_heard,),
    )
    _add(
        f"{_family}: from the router's MAC and the victim's address, to a host never contacted by it",
        ROUTER,
        [
            _between((ROUTER, ROUTED), _THERE, udp(DISCARD), _version),
            _between((ROUTER, NEIGHBOUR), (VICTIM, NEIGHBOUR), _QUESTION, _version),
        ],
        Reason.UPLINK_SPOOF,
        *_honest,
        before=(_opened,),
        after=(_arrived,),
    )
    _add(
        f"{_family}: the router returns a packet that the victim may send but the receiver does not allow",
        ROUTER,
        _between((ROUTER, ROUTED), _THERE, udp(UDP_SERVICE + 1), _version),
        Reason.INGRESS_POLICY,
        *_honest,
        before=(said(VICTIM, _between((VICTIM, ROUTER), _THERE, udp(UDP_SERVICE + 1), _version), ROUTER),),
    )
    _add(
        f"{_family}: a workload sends it, with the router's MAC",
        NEIGHBOUR,
        _brought(_version),
        Reason.IP_SPOOF,
        *_honest,
        before=(_opened,),
    )

_add(
    "the router returns the victim's packet as a broadcast",
    ROUTER,
    Ether(src=ROUTER.mac, dst="01:00:5e:00:00:12") / IP(src=VICTIM.ip, dst=ROUTED.ip) / _QUESTION,
    Reason.UPLINK_SPOOF,
    said(VICTIM, _sent(4), ROUTER),
    said(ROUTER, _brought(4), ROUTED),
    before=(said(VICTIM, _sent(4), ROUTER),),
)
