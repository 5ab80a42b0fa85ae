"""The policy under which attacks are tried: few open services, some group members, all egress allowed."""

from __future__ import annotations

from typing import Any

from lab.attack import (
    DISABLED,
    GREEN,
    GREEN_VLAN,
    MUTE,
    NEIGHBOUR,
    OPEN,
    PAIRED,
    PARTNER,
    PLAIN,
    RIVAL,
    RIVAL_ADDRESS,
    SHARED_ADDRESS,
    SHARED_MAC,
    WORKLOADS,
    AttackHost,
)
from lab.scenario.model import Document
from lab.site import document, group

TCP_SERVICE, UDP_SERVICE, DISCARD, FRIENDS_ONLY, VOICE = 80, 53, 9, 3306, 5060
"""Open to all: TCP 80, UDP 53 and 9, echo requests. TCP 3306 is open to the group `friends`.

At PARTNER, TCP 5060 is open to packets with the DSCP `EXPEDITED`.
"""
EXPEDITED = 46
"""Of RFC 3246."""
FAMILIES = {"IPv4": ("icmp", 8), "IPv6": ("ipv6-icmp", 128)}


_GROUPS = {
    MUTE: ["serves"],
    OPEN: ["talks", "open"],
    NEIGHBOUR: ["talks", "serves", "friends"],
    PAIRED: ["talks", "serves", "routers"],
    PARTNER: ["talks", "serves", "routers", "voice"],
    PLAIN: ["plain"],
}
_SHARED = [{"ip_address": SHARED_ADDRESS, "mac_address": SHARED_MAC}]
RIVAL_RANGES = ("10.0.0.104/29", "2001:db8::1:0/112")
_PAIRS = {
    PAIRED: _SHARED,
    PARTNER: _SHARED,
    RIVAL: [{"ip_address": each} for each in (RIVAL_ADDRESS, *RIVAL_RANGES)],
}


def documents() -> list[Document]:
    """Networks, groups and ports."""
    hosts = [*WORKLOADS, DISABLED]
    return [*_networks(), *_groups(), *map(_port, hosts)]


def _networks() -> list[Document]:
    subnets = ["10.0.0.0/24", "2001:db8::/64"]
    routed = ["10.0.9.0/24", "2001:db8:9::/64"]
    return [
        document("Network", "blue", subnets=[*subnets, *routed]),
        document("Network", "green", subnets=subnets, segmentation_id=GREEN_VLAN),
    ]


def _groups() -> list[Document]:
    friends_only = _rule("IPv4", "ingress", protocol="tcp", ports=FRIENDS_ONLY, remote_group="friends")
    return [
        group("talks", *(_rule(family, "egress") for family in FAMILIES)),
        group("open", *(_rule(family, "ingress") for family in FAMILIES)),
        group("serves", *(rule for family in FAMILIES for rule in _service(family)), friends_only),
        group("friends"),
        group("plain", _rule("IPv4", "egress"), _rule("IPv4", "ingress")),
        group("voice", *(_voice(family) for family in FAMILIES)),
        group("routers", _rule("IPv4", "ingress", protocol="vrrp", remote_group="routers")),
    ]


def _voice(family: str) -> dict[str, Any]:
    return _rule(family, "ingress", protocol="tcp", ports=VOICE, ip_dscp=EXPEDITED)


def _service(family: str) -> list[dict[str, Any]]:
    protocol, echo_request = FAMILIES[family]
    return [
        _rule(family, "ingress", protocol="tcp", ports=TCP_SERVICE),
        _rule(family, "ingress", protocol="udp", ports=UDP_SERVICE),
        _rule(family, "ingress", protocol="udp", ports=DISCARD),
        _rule(family, "ingress", protocol=protocol, type=echo_request),
    ]


def _rule(family: str, direction: str, **service: Any) -> dict[str, Any]:
    return {"direction": direction, "ethertype": family, **service}


def _port(host: AttackHost) -> Document:
    groups = _GROUPS.get(host, ["talks", "serves"])
    return document(
        "Port",
        host.name,
        network="green" if host is GREEN else "blue",
        mac_address=host.mac,
        fixed_ips=[host.ip, host.ip6],
        security_groups=groups,
        allowed_address_pairs=_PAIRS.get(host, []),
        admin_state_up=host is not DISABLED,
    )
