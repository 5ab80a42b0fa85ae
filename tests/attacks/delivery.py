"""Delivery: floods, sniffing, and poisoning of the addresses that the switch has learned."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from flows.openflow.numbers import FDB_LIMIT
from flows.openflow.reasons import Reason
from lab.attack import (
    ATTACKER,
    EVERYBODY,
    INSIDE,
    NEIGHBOUR,
    OUTSIDE,
    ROUTER,
    VICTIM,
    AttackHost,
    Family,
    said,
)
from tests.attacks.packets import (
    ALL_NODES,
    BROADCAST,
    NOBODY,
    REQUEST,
    arp,
    discard,
    echo,
    echo6,
    ether,
    ip,
    ip6,
    multicast,
    syn,
)

FLOOD_ATTACKS = Family("Broadcast and multicast")
SNIFFING_ATTACKS = Family("Sniffing")
LEARNING_ATTACKS = Family("Learned addresses")

_HONEST = said(ATTACKER, ip(ATTACKER, VICTIM) / discard(), VICTIM)
_FROM_OUTSIDE = said(OUTSIDE, ip(OUTSIDE, VICTIM) / discard(), VICTIM)


def _to(sender: AttackHost, mac: str, address: str) -> Packet:
    version = IPv6(src=sender.ip6, dst=address) if ":" in address else IP(src=sender.ip, dst=address)
    return ether(sender, mac) / version / discard()


def _except(*hosts: AttackHost) -> tuple[AttackHost, ...]:
    return tuple(host for host in EVERYBODY if host not in hosts)


def _floods() -> None:
    add = FLOOD_ATTACKS.add
    for name, mac, address in (
        ("limited broadcast", BROADCAST, "255.255.255.255"),
        ("broadcast to the subnet", BROADCAST, "10.0.0.255"),
        ("multicast (mDNS)", "01:00:5e:00:00:fb", "224.0.0.251"),
        ("multicast (all hosts)", "01:00:5e:00:00:01", "224.0.0.1"),
        ("multicast (IGMPv3 routers)", "01:00:5e:00:00:16", "224.0.0.22"),
        ("IPv6 multicast (mDNS)", "33:33:00:00:00:fb", "ff02::fb"),
        ("IPv6 multicast (all nodes)", "33:33:00:00:00:01", ALL_NODES),
        ("a host's address to the broadcast MAC", BROADCAST, VICTIM.ip),
        ("a host's address to a multicast MAC", "01:00:5e:00:00:01", VICTIM.ip),
        ("the broadcast address to a host's MAC", VICTIM.mac, "255.255.255.255"),
        ("a multicast address to a host's MAC", VICTIM.mac, "224.0.0.251"),
        ("an IPv6 multicast address to a host's MAC", VICTIM.mac, "ff02::fb"),
    ):
        add(name, ATTACKER, _to(ATTACKER, mac, address), Reason.BUM, _HONEST)
    add(
        "broadcast ping, in IPv4 and IPv6",
        ATTACKER,
        [
            ether(ATTACKER, BROADCAST) / IP(src=ATTACKER.ip, dst="255.255.255.255") / echo(),
            multicast(ATTACKER, ALL_NODES) / IPv6(src=ATTACKER.ip6, dst=ALL_NODES) / echo6(),
        ],
        Reason.BUM,
        said(ATTACKER, [ip(ATTACKER, VICTIM) / echo(), ip6(ATTACKER, VICTIM) / echo6()], VICTIM),
    )
    add(
        "from outside: broadcast and multicast",
        OUTSIDE,
        [
            _to(OUTSIDE, BROADCAST, "255.255.255.255"),
            _to(OUTSIDE, "01:00:5e:00:00:fb", "224.0.0.251"),
            _to(OUTSIDE, "33:33:00:00:00:fb", "ff02::fb"),
        ],
        None,
        _FROM_OUTSIDE,
        spared=INSIDE,
    )
    add(
        "from outside: ARP request for an address that no local port has",
        OUTSIDE,
        arp(REQUEST, OUTSIDE, AttackHost("nobody", 99, ""), BROADCAST),
        None,
        said(OUTSIDE, arp(REQUEST, OUTSIDE, VICTIM, BROADCAST), VICTIM),
        spared=INSIDE,
    )


def _sniffing() -> None:
    add = SNIFFING_ATTACKS.add
    to_neighbour = ip(VICTIM, NEIGHBOUR) / syn()
    answer = ip(NEIGHBOUR, VICTIM) / TCP(sport=80, dport=40000, flags="SA", seq=1, ack=1001)
    add(
        "a connection of two neighbours",
        VICTIM,
        to_neighbour,
        None,
        said(VICTIM, to_neighbour, NEIGHBOUR),
        said(NEIGHBOUR, answer, VICTIM),
        spared=_except(NEIGHBOUR),
    )
    add(
        "a neighbour's packets to the outside",
        VICTIM,
        ip(VICTIM, ROUTER) / syn(),
        None,
        said(VICTIM, ip(VICTIM, ROUTER) / syn(), ROUTER),
        spared=_except(ROUTER),
    )
    add(
        "packets from outside to a neighbour",
        ROUTER,
        ip(ROUTER, VICTIM) / syn(),
        None,
        said(ROUTER, ip(ROUTER, VICTIM) / syn(), VICTIM),
        spared=_except(VICTIM),
    )
    unknown = Ether(src=VICTIM.mac, dst=NOBODY) / IP(src=VICTIM.ip, dst="10.0.0.99") / discard()
    add(
        "frames to an unknown MAC",
        VICTIM,
        unknown,
        None,
        said(VICTIM, unknown, ROUTER, OUTSIDE),
        spared=INSIDE,
    )
    transit = Ether(src=OUTSIDE.mac, dst=NOBODY) / IP(src=OUTSIDE.ip, dst="10.0.0.99") / discard()
    add(
        "frames in transit between uplinks",
        OUTSIDE,
        [transit, ip(OUTSIDE, ROUTER) / discard()],
        None,
        said(OUTSIDE, [transit, ip(OUTSIDE, ROUTER) / discard()], ROUTER),
        spared=INSIDE,
    )
    add(
        "frames to the sender's own MAC",
        ATTACKER,
        ip(ATTACKER, ATTACKER) / discard(),
        None,
        _HONEST,
    )


def _learning() -> None:
    add = LEARNING_ATTACKS.add
    to_router = said(VICTIM, ip(VICTIM, ROUTER) / discard(), ROUTER)
    add(
        "a workload sends with the router's MAC, to receive the router's frames",
        ATTACKER,
        [
            Ether(src=ROUTER.mac, dst=to) / IP(src=ATTACKER.ip, dst=VICTIM.ip) / discard()
            for to in (VICTIM.mac, NOBODY)
        ],
        Reason.IP_SPOOF,
        _HONEST,
        after=(to_router,),
    )
    add(
        "a workload floods the switch with MACs",
        ATTACKER,
        [
            Ether(src=f"02:66:00:00:00:{n:02x}", dst=NOBODY) / IP(src=ATTACKER.ip, dst=VICTIM.ip) / discard()
            for n in range(200)
        ],
        Reason.IP_SPOOF,
        _HONEST,
        after=(to_router, said(VICTIM, ip(VICTIM, NEIGHBOUR) / discard(), NEIGHBOUR)),
    )
    flood = Ether(src="02:77:00:00:00:00", dst=ROUTER.mac) / IP(src="192.0.2.1", dst=ROUTER.ip) / discard()
    add(
        "from outside: more MACs than the switch learns",
        OUTSIDE,
        [_with_source(bytes(flood), number) for number in range(FDB_LIMIT + 100)],
        None,
        _FROM_OUTSIDE,
        spared=_except(ROUTER),
        after=(to_router,),
    )
    add(
        "from outside: a local port's MAC, to receive that port's frames",
        OUTSIDE,
        [
            Ether(src=VICTIM.mac, dst=to) / IP(src=OUTSIDE.ip, dst=ROUTER.ip) / discard()
            for to in (ROUTER.mac, NOBODY)
        ],
        Reason.UPLINK_SPOOF,
        _FROM_OUTSIDE,
        after=(
            said(ROUTER, ip(ROUTER, VICTIM) / discard(), VICTIM),
            said(NEIGHBOUR, ip(NEIGHBOUR, VICTIM) / discard(), VICTIM),
        ),
    )


def _with_source(frame: bytes, number: int) -> bytes:
    return frame[:8] + number.to_bytes(4, "big") + frame[12:]


_floods()
_sniffing()
_learning()
