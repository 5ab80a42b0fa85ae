"""Multicast listeners and routers: listeners report to routers, and no workload is a multicast router."""

from __future__ import annotations

from typing import Any

from scapy.layers.igmp import IGMP
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLQuery2,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_INDAdv,
    ICMPv6ND_INDSol,
    ICMPv6NIQueryIPv6,
    ICMPv6Unknown,
    IPv6,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import (
    ATTACKER,
    NEIGHBOUR,
    OPEN,
    ROUTER,
    VICTIM,
    WORKLOADS,
    AttackHost,
    Family,
    OnKernel,
    said,
)
from tests.attacks.packets import ALL_NODES, ALL_ROUTERS, echo6, ether, ip, ip6, multicast

LISTENER_ATTACKS = Family("Multicast listeners and routers")
_BLUE = tuple(host for host in WORKLOADS if host.name != "green")
_A_QUESTION = OnKernel("the kernel's tracker takes it as a new connection", Reason.INGRESS_POLICY)
_MLD_ROUTERS, _GROUP6, _GROUP = "ff02::16", "ff05::abcd", "239.1.2.3"


def _to_group(sender: AttackHost, group: str, message: Packet, **head: Any) -> Packet:
    fields = {"src": sender.link_local, "dst": group, "hlim": 1, **head}
    return multicast(sender, group) / IPv6(**fields) / message


def _mac_of(group: str) -> str:
    """RFC 1112 section 6.4."""
    octets = [int(part) for part in group.split(".")]
    return "01:00:5e:" + ":".join(f"{octet:02x}" for octet in (octets[1] & 0x7F, *octets[2:]))


def _igmp(sender: AttackHost, group: str, message: Packet, source: str = "") -> Packet:
    head = IP(src=source or sender.ip, dst=group, ttl=1, options=[IPOption_Router_Alert()])
    return Ether(src=sender.mac, dst=_mac_of(group)) / head / message


def _queriers() -> None:
    add = LISTENER_ATTACKS.add
    to_all = said(ROUTER, _to_group(ROUTER, ALL_NODES, ICMPv6MLQuery2()), *_BLUE)
    add(
        "MLDv2 query",
        ATTACKER,
        _to_group(ATTACKER, ALL_NODES, ICMPv6MLQuery2()),
        Reason.ROUTER_ADVERTISEMENT,
        to_all,
    )
    add(
        "MLD query for one group",
        ATTACKER,
        _to_group(ATTACKER, _GROUP6, ICMPv6MLQuery(mladdr=_GROUP6)),
        Reason.ROUTER_ADVERTISEMENT,
        to_all,
    )
    add(
        "MLD query to one host",
        ATTACKER,
        ip6(ATTACKER, VICTIM, src=ATTACKER.link_local, hlim=1) / ICMPv6MLQuery(),
        Reason.ROUTER_ADVERTISEMENT,
        to_all,
    )
    add(
        "MLD query with the router's address",
        ATTACKER,
        _to_group(ATTACKER, ALL_NODES, ICMPv6MLQuery(), src=ROUTER.link_local),
        Reason.IP_SPOOF,
        to_all,
    )
    honest = said(ATTACKER, ip(ATTACKER, OPEN, proto=2) / IGMP(type=0x16, gaddr=_GROUP), OPEN)
    for name, group, message in (
        ("query", "224.0.0.1", IGMP(type=0x11, gaddr="0.0.0.0")),
        ("query for one group", _GROUP, IGMP(type=0x11, gaddr=_GROUP)),
        ("report", _GROUP, IGMP(type=0x16, gaddr=_GROUP)),
        ("leave", "224.0.0.2", IGMP(type=0x17, gaddr=_GROUP)),
    ):
        add(f"IGMP {name}", ATTACKER, _igmp(ATTACKER, group, message), Reason.BUM, honest)
    add(
        "IGMP query with 0.0.0.0 as source",
        ATTACKER,
        _igmp(ATTACKER, "224.0.0.1", IGMP(type=0x11, gaddr="0.0.0.0"), source="0.0.0.0"),
        Reason.IP_SPOOF,
        honest,
    )


def _listeners() -> None:
    add = LISTENER_ATTACKS.add
    for name, group, message in (
        ("MLDv2 report", _MLD_ROUTERS, ICMPv6MLReport2()),
        ("MLD report", _GROUP6, ICMPv6MLReport(mladdr=_GROUP6)),
        ("MLD done", ALL_ROUTERS, ICMPv6MLDone(mladdr=_GROUP6)),
    ):
        honest = said(ATTACKER, _to_group(ATTACKER, group, message), ROUTER)
        add(
            f"{name} from a neighbour's address",
            ATTACKER,
            _to_group(ATTACKER, group, message, src=NEIGHBOUR.link_local),
            Reason.IP_SPOOF,
            honest,
        )
        add(
            f"{name} from a neighbour's MAC",
            ATTACKER,
            _to_group(NEIGHBOUR, group, message),
            Reason.IP_SPOOF,
            honest,
        )
        add(
            f"{name} to listeners, not to routers",
            ATTACKER,
            _to_group(ATTACKER, group, message),
            None,
            honest,
            spared=_BLUE,
        )
    add(
        "MLDv2 report to another group",
        ATTACKER,
        _to_group(ATTACKER, ALL_NODES, ICMPv6MLReport2()),
        Reason.BUM,
        said(ATTACKER, _to_group(ATTACKER, _MLD_ROUTERS, ICMPv6MLReport2()), ROUTER),
    )


def _others() -> None:
    """ICMPv6 messages of the link that need a rule."""
    add = LISTENER_ATTACKS.add
    honest = said(ATTACKER, ip6(ATTACKER, VICTIM) / echo6(), VICTIM)
    for name, message in (
        ("inverse neighbour solicitation", ICMPv6ND_INDSol()),
        ("inverse neighbour advertisement", ICMPv6ND_INDAdv()),
        ("node information query", ICMPv6NIQueryIPv6(data=VICTIM.ip6)),
        ("router renumbering", ICMPv6Unknown(type=138, msgbody=bytes(12))),
        ("certification path solicitation", ICMPv6Unknown(type=149, msgbody=bytes(8))),
        ("multicast router advertisement", ICMPv6Unknown(type=151, msgbody=bytes(4))),
        ("routing over lossy links (RPL)", ICMPv6Unknown(type=155, msgbody=bytes(8))),
    ):
        add(
            f"{name}, to all nodes",
            ATTACKER,
            _to_group(ATTACKER, ALL_NODES, message, hlim=255),
            Reason.BUM,
            honest,
        )
        add(
            f"{name}, to one host",
            ATTACKER,
            ether(ATTACKER, VICTIM) / IPv6(src=ATTACKER.ip6, dst=VICTIM.ip6, hlim=255) / message,
            Reason.INVALID,
            honest,
            kernel=_A_QUESTION if isinstance(message, ICMPv6NIQueryIPv6) else None,
        )


_queriers()
_listeners()
_others()
