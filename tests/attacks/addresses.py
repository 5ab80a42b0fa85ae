"""Source addresses: a packet must carry a MAC and an address that belong together and to its sender."""

from __future__ import annotations

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import LLC, SNAP, Dot3, Ether

from flows.openflow.reasons import Reason
from lab.attack import (
    ATTACKER,
    NEIGHBOUR,
    OPEN,
    OUTSIDE,
    PAIRED,
    ROUTER,
    SHARED_ADDRESS,
    SHARED_MAC,
    VICTIM,
    Family,
    said,
)
from tests.attacks.packets import BROADCAST, NOBODY, discard, ether, ip, ip6

ADDRESS_ATTACKS = Family("Source addresses")
_add = ADDRESS_ATTACKS.add

_HONEST = said(ATTACKER, ip(ATTACKER, VICTIM) / discard(), VICTIM)
_HONEST6 = said(ATTACKER, ip6(ATTACKER, VICTIM) / discard(), VICTIM)
_SHARED = Ether(src=SHARED_MAC, dst=VICTIM.mac) / IP(src=SHARED_ADDRESS, dst=VICTIM.ip) / discard()

for _whose, _address in (
    ("a neighbour's", NEIGHBOUR.ip),
    ("the receiver's", VICTIM.ip),
    ("the router's", ROUTER.ip),
    ("a stranger's", "192.0.2.1"),
    ("the loopback", "127.0.0.1"),
    ("the broadcast", "255.255.255.255"),
    ("a multicast", "224.0.0.1"),
    ("the unspecified", "0.0.0.0"),
):
    _add(
        f"IPv4 from {_whose} address",
        ATTACKER,
        ip(ATTACKER, VICTIM, src=_address) / discard(),
        Reason.IP_SPOOF,
        _HONEST,
    )

for _whose, _address in (
    ("a neighbour's", NEIGHBOUR.ip6),
    ("a neighbour's link-local", NEIGHBOUR.link_local),
    ("the receiver's", VICTIM.ip6),
    ("the router's", ROUTER.ip6),
    ("the loopback", "::1"),
    ("an IPv4-mapped", f"::ffff:{ATTACKER.ip}"),
    ("a multicast", "ff02::1"),
):
    _add(
        f"IPv6 from {_whose} address",
        ATTACKER,
        ip6(ATTACKER, VICTIM, src=_address) / discard(),
        Reason.IP_SPOOF,
        _HONEST6,
    )
_add(
    "IPv6 from the unspecified address",
    ATTACKER,
    ip6(ATTACKER, VICTIM, src="::") / discard(),
    Reason.UNSPECIFIED_SOURCE,
    _HONEST6,
)

for _whose, _mac in (("a neighbour's", NEIGHBOUR.mac), ("an unknown", NOBODY), ("the router's", ROUTER.mac)):
    _add(
        f"own addresses with {_whose} MAC",
        ATTACKER,
        [
            Ether(src=_mac, dst=VICTIM.mac) / IP(src=ATTACKER.ip, dst=VICTIM.ip) / discard(),
            Ether(src=_mac, dst=VICTIM.mac) / IPv6(src=ATTACKER.ip6, dst=VICTIM.ip6) / discard(),
        ],
        Reason.IP_SPOOF,
        _HONEST,
        _HONEST6,
    )
_add(
    "exact copy of a neighbour's packet",
    ATTACKER,
    [ip(NEIGHBOUR, VICTIM) / discard(), ip6(NEIGHBOUR, VICTIM) / discard()],
    Reason.IP_SPOOF,
    said(NEIGHBOUR, [ip(NEIGHBOUR, VICTIM) / discard(), ip6(NEIGHBOUR, VICTIM) / discard()], VICTIM),
)
_add(
    "a packet from the receiver to itself (LAND)",
    ATTACKER,
    Ether(src=VICTIM.mac, dst=VICTIM.mac) / IP(src=VICTIM.ip, dst=VICTIM.ip) / discard(),
    Reason.IP_SPOOF,
    _HONEST,
)
for _kind, _mac, _reason in (
    ("zero", "00:00:00:00:00:00", Reason.IP_SPOOF),
    ("broadcast", BROADCAST, Reason.BAD_SOURCE_MAC),
    ("multicast", "01:00:5e:00:00:01", Reason.BAD_SOURCE_MAC),
):
    _add(
        f"{_kind} source MAC",
        ATTACKER,
        Ether(src=_mac, dst=VICTIM.mac) / IP(src=ATTACKER.ip, dst=VICTIM.ip) / discard(),
        _reason,
        _HONEST,
    )
for _kind, _mac in (("zero", "00:00:00:00:00:00"), ("multicast", "03:00:00:00:00:c8")):
    _add(
        f"{_kind} source MAC, from outside",
        OUTSIDE,
        Ether(src=_mac, dst=VICTIM.mac) / IP(src=OUTSIDE.ip, dst=VICTIM.ip) / discard(),
        Reason.BAD_SOURCE_MAC,
        said(OUTSIDE, ip(OUTSIDE, VICTIM) / discard(), VICTIM),
    )
_add(
    "a neighbour's address in an 802.3 frame with SNAP",
    ATTACKER,
    Dot3(src=ATTACKER.mac, dst=VICTIM.mac)
    / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
    / SNAP(code=0x0800)
    / IP(src=NEIGHBOUR.ip, dst=VICTIM.ip)
    / discard(),
    Reason.IP_SPOOF,
    _HONEST,
)
_add(
    "an IPv4 header shorter than the minimum",
    ATTACKER,
    ip(ATTACKER, VICTIM, ihl=4) / discard(),
    Reason.IP_SPOOF,
    _HONEST,
)
_add(
    "an IPv4 packet marked as IPv6",
    ATTACKER,
    Ether(src=ATTACKER.mac, dst=VICTIM.mac, type=0x86DD) / IP(src=ATTACKER.ip, dst=VICTIM.ip) / discard(),
    Reason.UNSPECIFIED_SOURCE,
    _HONEST6,
)
_add(
    "an IPv6 packet marked as IPv4",
    ATTACKER,
    Ether(src=ATTACKER.mac, dst=VICTIM.mac, type=0x0800) / IPv6(src=ATTACKER.ip6, dst=VICTIM.ip6) / discard(),
    Reason.IP_SPOOF,
    _HONEST,
)
_add(
    "the shared address with the port's own MAC",
    PAIRED,
    ip(PAIRED, VICTIM, src=SHARED_ADDRESS) / discard(),
    Reason.IP_SPOOF,
    said(PAIRED, _SHARED, VICTIM),
)
_add(
    "the port's own address with the shared MAC",
    PAIRED,
    Ether(src=SHARED_MAC, dst=VICTIM.mac) / IP(src=PAIRED.ip, dst=VICTIM.ip) / discard(),
    Reason.IP_SPOOF,
    said(PAIRED, _SHARED, VICTIM),
)
_add(
    "another port's shared address and MAC",
    ATTACKER,
    _SHARED,
    Reason.IP_SPOOF,
    said(PAIRED, _SHARED, VICTIM),
)

_FROM_OUTSIDE = said(OUTSIDE, [ip(OUTSIDE, OPEN) / discard(), ip6(OUTSIDE, OPEN) / discard()], OPEN)
_add(
    "from outside: exact copy of a local port's packet",
    OUTSIDE,
    [ip(NEIGHBOUR, OPEN) / discard(), ip6(NEIGHBOUR, OPEN) / discard()],
    Reason.UPLINK_SPOOF,
    _FROM_OUTSIDE,
)
_add(
    "from outside: a local port's address",
    OUTSIDE,
    [
        ip(OUTSIDE, OPEN, src=NEIGHBOUR.ip) / discard(),
        ip6(OUTSIDE, OPEN, src=NEIGHBOUR.ip6) / discard(),
        ip6(OUTSIDE, OPEN, src=NEIGHBOUR.link_local) / discard(),
    ],
    Reason.UPLINK_SPOOF,
    _FROM_OUTSIDE,
)
_add(
    "from outside: a local port's MAC",
    OUTSIDE,
    [
        Ether(src=NEIGHBOUR.mac, dst=OPEN.mac) / IP(src=OUTSIDE.ip, dst=OPEN.ip) / discard(),
        Ether(src=NEIGHBOUR.mac, dst=ROUTER.mac) / IP(src=OUTSIDE.ip, dst=ROUTER.ip) / discard(),
    ],
    Reason.UPLINK_SPOOF,
    _FROM_OUTSIDE,
)
_add(
    "from outside: the receiver's own address",
    OUTSIDE,
    ether(OUTSIDE, OPEN) / IP(src=OPEN.ip, dst=OPEN.ip) / discard(),
    Reason.UPLINK_SPOOF,
    _FROM_OUTSIDE,
)
