"""Ways to hide a packet's port: fragments, IPv4 options, IPv6 extension headers, tunnels."""

from __future__ import annotations

from itertools import count

from scapy.layers.inet import (
    IP,
    UDP,
    IPOption,
    IPOption_LSRR,
    IPOption_Router_Alert,
    IPOption_RR,
    IPOption_SSRR,
    fragment,
    in4_chksum,
)
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import GRE
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import (
    ATTACKER,
    OPEN,
    OUTSIDE,
    PLAIN,
    ROUTER,
    VICTIM,
    AttackHost,
    Family,
    OnKernel,
    said,
)
from lab.attack_policy import TCP_SERVICE, UDP_SERVICE
from tests.attacks.connections import CLOSED
from tests.attacks.discovery import fragmented_router_advertisement, large_router_advertisement
from tests.attacks.packets import CLIENT_PORT, ip, ip6, syn

FRAGMENT_ATTACKS = Family("Fragments")
HEADER_ATTACKS = Family("Options and extension headers")
PROTOCOL_ATTACKS = Family("Other protocols on IP")

_IPV6_FRAGMENT = 44
_IDENTIFIERS = count(1000)
"""Every test uses new identifiers: waiting fragments must not be combined with those of another test."""
_FRAGMENT_BYTES = 1400
"""Open vSwitch takes fragments below 1200 bytes (IPv4) or 1280 (IPv6) that are not the last for an attack."""


def _large(receiver: AttackHost, port: int, sender: AttackHost = ATTACKER) -> list[Packet]:
    datagram = UDP(sport=CLIENT_PORT, dport=port) / bytes(2500)
    return list(fragment(ip(sender, receiver, id=next(_IDENTIFIERS)) / datagram, fragsize=_FRAGMENT_BYTES))


def _large6(receiver: AttackHost, port: int, sender: AttackHost = ATTACKER) -> list[Packet]:
    head = ip6(sender, receiver) / IPv6ExtHdrFragment(id=next(_IDENTIFIERS))
    return list(fragment6(head / UDP(sport=CLIENT_PORT, dport=port) / bytes(2500), _FRAGMENT_BYTES))


def _cut(*parts: tuple[int, bytes], proto: int = 6) -> list[Packet]:
    """IPv4 fragments of one packet from attacker to victim: offsets in units of 8 bytes, and payloads."""
    identifier = next(_IDENTIFIERS)
    return [
        ip(ATTACKER, VICTIM, id=identifier, flags="MF" if left else 0, frag=offset, proto=proto) / payload
        for left, (offset, payload) in zip(reversed(range(len(parts))), parts, strict=True)
    ]


def _judged_whole(fragments: list[Packet], segment: bytes) -> OnKernel:
    """The kernel's tracker reassembles the fragments, and the rules decide about that segment."""
    joined = said(ATTACKER, ip(ATTACKER, VICTIM, id=fragments[0].id, proto=6) / segment, VICTIM)
    return OnKernel("reassembled first, it is one segment to an open port", passes=(joined,))


def _segment(port: int) -> bytes:
    whole = IP(src=ATTACKER.ip, dst=VICTIM.ip) / syn(port) / bytes(32)
    return bytes(whole)[20:]


def _fragments() -> None:
    add = FRAGMENT_ATTACKS.add
    whole = said(ATTACKER, ip(ATTACKER, VICTIM) / syn(), VICTIM)
    add(
        "a large datagram to a closed port",
        ATTACKER,
        _large(VICTIM, CLOSED),
        None,
        said(ATTACKER, _large(VICTIM, UDP_SERVICE), VICTIM),
    )
    add(
        "IPv6: a large datagram to a closed port",
        ATTACKER,
        _large6(VICTIM, CLOSED),
        None,
        said(ATTACKER, _large6(VICTIM, UDP_SERVICE), VICTIM),
    )
    allowed, closed = _segment(TCP_SERVICE), _segment(CLOSED)
    tiny = _cut((0, allowed[:8]), (1, allowed[8:]))
    add(
        "a first fragment too small for TCP's header",
        ATTACKER,
        tiny,
        None,
        whole,
        kernel=_judged_whole(tiny, allowed),
    )
    add(
        "a first fragment too small for TCP's header, to a closed port",
        ATTACKER,
        _cut((0, closed[:8]), (1, closed[8:])),
        None,
        whole,
    )
    add(
        "TCP flags in the second fragment (RFC 3128)",
        ATTACKER,
        _cut((0, allowed[:24]), (1, closed[8:])),
        None,
        whole,
    )
    twice = _cut((0, allowed[:32]), (0, closed[:32]), (4, allowed[32:]))
    add(
        "a second fragment that overwrites the port",
        ATTACKER,
        twice,
        None,
        whole,
        kernel=_judged_whole(twice, allowed),
    )
    add(
        "fragments with overlapping data",
        ATTACKER,
        _cut((0, allowed[:32]), (3, closed[24:40]), (4, allowed[32:])),
        None,
        whole,
    )
    head = IP(src=ATTACKER.ip, dst=VICTIM.ip) / UDP(sport=CLIENT_PORT, dport=UDP_SERVICE)
    datagram = bytes(head / bytes(2500))[20:]
    add(
        "large fragments with overlapping data",
        ATTACKER,
        _cut((0, datagram[:1400]), (1360 // 8, datagram[1360:]), proto=17),
        None,
        said(ATTACKER, _large(VICTIM, UDP_SERVICE), VICTIM),
    )
    add(
        "later fragments without the first one",
        ATTACKER,
        _cut((3, allowed[24:40]), (5, allowed[40:])),
        None,
        whole,
    )
    add(
        "IPv6: a first fragment without the transport header",
        ATTACKER,
        _headless(VICTIM, CLOSED),
        None,
        said(ATTACKER, _large6(VICTIM, UDP_SERVICE), VICTIM),
    )
    add(
        "IPv6: router advertisement that begins in the second fragment",
        ATTACKER,
        fragmented_router_advertisement(ATTACKER, OPEN),
        None,
        said(ATTACKER, _large6(OPEN, CLOSED), OPEN),
    )
    add(
        "IPv6: router advertisement after 1280 bytes of options, in the second of two large fragments",
        ATTACKER,
        large_router_advertisement(ATTACKER, OPEN),
        None,
        said(ATTACKER, _large6(OPEN, CLOSED), OPEN),
    )


def _without_a_rule() -> None:
    """The connection tracker never sees them: it has few places for fragments."""
    for words, sender, receiver, reason in (
        ("from a port without a rule for IPv6", PLAIN, OPEN, Reason.EGRESS_FRAGMENT),
        ("from a port without a rule for IPv6, to the outside", PLAIN, OUTSIDE, Reason.EGRESS_FRAGMENT),
        ("from outside, to a port without a rule for IPv6", OUTSIDE, PLAIN, Reason.INGRESS_FRAGMENT),
    ):
        honest = said(sender, _large(receiver, UDP_SERVICE, sender), receiver)
        whole = _large6(receiver, UDP_SERVICE, sender)
        for part, frames in (("a large datagram", whole), ("a first fragment without later ones", whole[:1])):
            FRAGMENT_ATTACKS.add(f"IPv6: {part} {words}", sender, frames, reason, honest)


def _headless(receiver: AttackHost, port: int) -> list[Packet]:
    options = bytes([17, 1]) + bytes([1, 12]) + bytes(12)
    datagram = IPv6(src=ATTACKER.ip6, dst=receiver.ip6) / UDP(sport=CLIENT_PORT, dport=port) / bytes(32)
    first = IPv6ExtHdrFragment(nh=60, offset=0, m=1, id=79) / options
    second = IPv6ExtHdrFragment(nh=60, offset=2, m=0, id=79) / bytes(datagram)[40:]
    return [ip6(ATTACKER, receiver, nh=_IPV6_FRAGMENT) / part for part in (first, second)]


def _options() -> None:
    add = HEADER_ATTACKS.add
    for name, option in (
        ("loose source route", IPOption_LSRR(routers=[VICTIM.ip, ROUTER.ip])),
        ("strict source route", IPOption_SSRR(routers=[VICTIM.ip, ROUTER.ip])),
        ("record route", IPOption_RR(routers=["0.0.0.0"] * 9)),
        ("router alert", IPOption_Router_Alert()),
        ("timestamp", IPOption(b"\x44\x0c\x05\x00" + bytes(8))),
    ):
        # scapy computes the checksum with the last address of a source route, as a host on the path would.
        closed, allowed = (
            ip(ATTACKER, VICTIM, options=[option], proto=6) / _segment(port) for port in (CLOSED, TCP_SERVICE)
        )
        add(
            f"{name}, to a closed port",
            ATTACKER,
            closed,
            Reason.INGRESS_POLICY,
            said(ATTACKER, allowed, VICTIM),
        )


def _chains(port: int) -> dict[str, Packet]:
    hop, dest = IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()
    route = IPv6ExtHdrRouting(type=0, segleft=0, addresses=[ROUTER.ip6])
    headers = {
        "hop-by-hop options": hop,
        "destination options": dest,
        "a type 0 routing header": route,
        "hop-by-hop, destination, routing, destination": hop / dest / route / dest,
        "eight destination option headers": dest / dest / dest / dest / dest / dest / dest / dest,
        "a fragment header on a whole packet": IPv6ExtHdrFragment(offset=0, m=0, id=80),
    }
    chains = {name: ip6(ATTACKER, VICTIM) / header / syn(port) for name, header in headers.items()}
    segment = bytes(IPv6(src=ATTACKER.ip6, dst=VICTIM.ip6) / syn(port))[40:]
    authentication = AH(nh=6, payloadlen=4, spi=1, seq=1, icv=bytes(12))
    chains["an authentication header"] = ip6(ATTACKER, VICTIM) / authentication / segment
    return chains


def _extensions() -> None:
    add = HEADER_ATTACKS.add
    allowed = _chains(TCP_SERVICE)
    for name, frame in _chains(CLOSED).items():
        add(
            f"IPv6: a closed port behind {name}",
            ATTACKER,
            frame,
            Reason.INGRESS_POLICY,
            said(ATTACKER, allowed[name], VICTIM),
        )
    whole = said(ATTACKER, ip6(ATTACKER, VICTIM) / syn(), VICTIM)
    for name, header in (("an unknown header (253)", 253), ("a mobility header", 135), ("ESP", 50)):
        add(
            f"IPv6: an open port behind {name}",
            ATTACKER,
            ip6(ATTACKER, VICTIM, nh=header) / (bytes([6, 0]) + bytes(6) + bytes(syn())),
            Reason.INGRESS_POLICY,
            whole,
        )
    add(
        "IPv6: an extension header longer than the packet",
        ATTACKER,
        ip6(ATTACKER, VICTIM, nh=60) / (bytes([6, 200]) + bytes(30)),
        None,
        whole,
    )


def _payloads() -> dict[str, Packet]:
    inner = IP(src=ATTACKER.ip, dst=VICTIM.ip) / syn()
    return {
        "GRE": GRE() / inner,
        "SCTP": SCTP(sport=CLIENT_PORT, dport=TCP_SERVICE) / SCTPChunkInit(),
    }


def _udp_lite(receiver: AttackHost) -> Packet:
    """A datagram of UDP-Lite from the attacker, with a checksum over all of it (RFC 3828 section 3.1).

    The checksum is computed as for UDP: the kernel's tracker accepts no other (nf_conntrack_proto_udp.c), and
    the userspace tracker does not check it.
    """
    head = IP(src=ATTACKER.ip, dst=receiver.ip, proto=17)
    ports, data = CLIENT_PORT.to_bytes(2) + UDP_SERVICE.to_bytes(2) + bytes(2), b"some data"
    checksum = in4_chksum(17, head, ports + bytes(2) + data)
    return ip(ATTACKER, receiver, proto=136) / (ports + checksum.to_bytes(2) + data)


def _protocols() -> None:
    add = PROTOCOL_ATTACKS.add
    for name, payload in _payloads().items():
        add(
            name,
            ATTACKER,
            ip(ATTACKER, VICTIM) / payload,
            Reason.INGRESS_POLICY,
            said(ATTACKER, ip(ATTACKER, OPEN) / payload, OPEN),
        )
    inner = bytes(IP(src=ATTACKER.ip, dst=VICTIM.ip) / syn())
    inner6 = bytes(IPv6(src=ATTACKER.ip6, dst=VICTIM.ip6) / syn())
    for name, protocol, payload in (
        ("IP in IP", 4, inner),
        ("IPv6 in IPv4", 41, inner6),
        ("ESP", 50, bytes(32)),
        ("AH", 51, bytes([6, 4]) + bytes(22) + bytes(syn())),
        ("IGMP to one host", 2, bytes([0x16, 0, 0xE9, 0xFF, 0, 0, 0, 0])),
        ("OSPF", 89, bytes(32)),
        ("PIM", 103, bytes(32)),
        ("VRRP to one host", 112, bytes(20)),
        ("L2TP", 115, bytes(32)),
        ("a reserved protocol (255)", 255, bytes(32)),
    ):
        add(
            name,
            ATTACKER,
            ip(ATTACKER, VICTIM, proto=protocol) / payload,
            Reason.INGRESS_POLICY,
            said(ATTACKER, ip(ATTACKER, OPEN, proto=protocol) / payload, OPEN),
        )
    lite = said(ATTACKER, _udp_lite(OPEN), OPEN)
    add("UDP-Lite", ATTACKER, _udp_lite(VICTIM), Reason.INGRESS_POLICY, lite)


_fragments()
_without_a_rule()
_options()
_extensions()
_protocols()
