"""Connections: no host can join, answer or break a connection of other hosts."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import (
    ATTACKER,
    MUTE,
    NEIGHBOUR,
    OUTSIDE,
    PARTNER,
    ROUTER,
    VICTIM,
    AttackHost,
    Family,
    OnKernel,
    Send,
    said,
)
from lab.attack_policy import EXPEDITED, FRIENDS_ONLY, TCP_SERVICE, UDP_SERVICE, VOICE
from tests.attacks.packets import CLIENT_PORT, discard, echo, echo6, ip, ip6, syn, udp

POLICY_ATTACKS = Family("Closed services")
STATE_ATTACKS = Family("Connection state")
ERROR_ATTACKS = Family("Forged ICMP errors")

CLOSED = 81
_NO_BEGINNING = OnKernel("the kernel starts no connection with a FIN or a RST", Reason.INVALID)
_OPEN = said(ATTACKER, ip(ATTACKER, VICTIM) / syn(), VICTIM)
_OPEN6 = said(ATTACKER, ip6(ATTACKER, VICTIM) / syn(), VICTIM)


def _segment(flags: str, port: int = TCP_SERVICE, source_port: int = CLIENT_PORT) -> Packet:
    return TCP(sport=source_port, dport=port, flags=flags, seq=1001, ack=1, window=8192)


def handshake(client: AttackHost, server: AttackHost) -> tuple[Send, ...]:
    """A TCP connection from the client's to the server's service port."""
    answer = TCP(sport=TCP_SERVICE, dport=CLIENT_PORT, flags="SA", seq=0, ack=1001, window=8192)
    return (
        said(client, ip(client, server) / syn(), server),
        said(server, ip(server, client) / answer, client),
        said(client, ip(client, server) / _segment("A"), server),
    )


def _closed() -> None:
    add = POLICY_ATTACKS.add
    add("TCP to a closed port", ATTACKER, ip(ATTACKER, VICTIM) / syn(CLOSED), Reason.INGRESS_POLICY, _OPEN)
    add(
        "TCP to a closed port, IPv6",
        ATTACKER,
        ip6(ATTACKER, VICTIM) / syn(CLOSED),
        Reason.INGRESS_POLICY,
        _OPEN6,
    )
    add(
        "UDP to a closed port",
        ATTACKER,
        [ip(ATTACKER, VICTIM) / udp(CLOSED), ip6(ATTACKER, VICTIM) / udp(CLOSED)],
        Reason.INGRESS_POLICY,
        said(ATTACKER, [ip(ATTACKER, VICTIM) / udp(), ip6(ATTACKER, VICTIM) / udp()], VICTIM),
    )
    add(
        "UDP to an open TCP port, TCP to an open UDP port",
        ATTACKER,
        [ip(ATTACKER, VICTIM) / udp(TCP_SERVICE), ip(ATTACKER, VICTIM) / syn(UDP_SERVICE)],
        Reason.INGRESS_POLICY,
        _OPEN,
    )
    add(
        "from outside to a closed port",
        OUTSIDE,
        ip(OUTSIDE, VICTIM) / syn(CLOSED),
        Reason.INGRESS_POLICY,
        said(OUTSIDE, ip(OUTSIDE, VICTIM) / syn(), VICTIM),
    )
    add(
        "to a port that is open to another group only",
        ATTACKER,
        ip(ATTACKER, VICTIM) / syn(FRIENDS_ONLY),
        Reason.INGRESS_POLICY,
        said(NEIGHBOUR, ip(NEIGHBOUR, VICTIM) / syn(FRIENDS_ONLY), VICTIM),
    )
    add(
        "ICMP timestamp request",
        ATTACKER,
        ip(ATTACKER, VICTIM) / ICMP(type=13, id=7),
        Reason.INGRESS_POLICY,
        said(ATTACKER, ip(ATTACKER, VICTIM) / echo(), VICTIM),
    )
    add(
        "a workload without an egress rule opens a connection",
        MUTE,
        [ip(MUTE, VICTIM) / syn(), ip(MUTE, ROUTER) / syn(), ip(MUTE, VICTIM) / discard()],
        Reason.EGRESS_POLICY,
        *handshake(ATTACKER, MUTE),
    )
    add(
        "a workload without an egress rule sends a TCP ACK, as if it replied",
        MUTE,
        ip(MUTE, VICTIM) / _segment("A", CLIENT_PORT, TCP_SERVICE),
        Reason.EGRESS_POLICY,
        *handshake(VICTIM, MUTE),
    )


def _marked() -> None:
    """A rule that names a DSCP: of a connection, only the first packet must have it."""
    tos, ecn = EXPEDITED << 2, 3
    answer = TCP(sport=VOICE, dport=CLIENT_PORT, flags="SA", seq=0, ack=1001, window=8192)
    opened = (
        said(ATTACKER, ip(ATTACKER, PARTNER, tos=tos | ecn) / syn(VOICE), PARTNER),
        said(PARTNER, ip(PARTNER, ATTACKER) / answer, ATTACKER),
        said(ATTACKER, ip(ATTACKER, PARTNER) / _segment("A", VOICE), PARTNER),
    )
    for marked in (0, tos - 4 | ecn, tos + 4):
        POLICY_ATTACKS.add(
            f"TCP SYN with DSCP {marked >> 2} to a port that is open to DSCP {EXPEDITED}",
            ATTACKER,
            ip(ATTACKER, PARTNER, tos=marked) / syn(VOICE, CLIENT_PORT + 1),
            Reason.INGRESS_POLICY,
            *opened,
            before=opened,
        )
    POLICY_ATTACKS.add(
        f"TCP SYN without a DSCP to a port that is open to DSCP {EXPEDITED}, IPv6",
        ATTACKER,
        ip6(ATTACKER, PARTNER, tc=ecn) / syn(VOICE),
        Reason.INGRESS_POLICY,
        said(ATTACKER, ip6(ATTACKER, PARTNER, tc=tos | ecn) / syn(VOICE), PARTNER),
    )


def _state() -> None:
    add = STATE_ATTACKS.add
    for flags, name in (("A", "ACK"), ("PA", "data"), ("FA", "FIN"), ("R", "RST")):
        add(
            f"TCP {name} without a connection, to a closed port",
            ATTACKER,
            ip(ATTACKER, VICTIM) / _segment(flags, CLOSED),
            Reason.INGRESS_POLICY,
            *handshake(ATTACKER, VICTIM),
            kernel=None if flags in ("A", "PA") else _NO_BEGINNING,
        )
    for flags, name in (
        ("SA", "SYN and ACK"),
        ("", "no flags"),
        ("FPU", "FIN, PSH and URG"),
        ("SF", "SYN and FIN"),
        ("SR", "SYN and RST"),
        ("FSRPAU", "all flags"),
    ):
        segment = ip(ATTACKER, VICTIM) / _segment(flags)
        add(f"TCP with {name} as first segment, to an open port", ATTACKER, segment, Reason.INVALID, _OPEN)
    for flags in ("SA", "A", "PA", "R"):
        reason = Reason.INVALID if flags == "SA" else Reason.INGRESS_POLICY
        add(
            f"TCP {flags} from a service port, as if it were a reply",
            ATTACKER,
            ip(ATTACKER, VICTIM) / _segment(flags, CLIENT_PORT, TCP_SERVICE),
            reason,
            *handshake(VICTIM, ATTACKER),
            kernel=_NO_BEGINNING if flags == "R" else None,
            before=handshake(VICTIM, ROUTER),
        )
    asked, answer = UDP(sport=CLIENT_PORT, dport=UDP_SERVICE), UDP(sport=UDP_SERVICE, dport=CLIENT_PORT)
    question = said(VICTIM, ip(VICTIM, ROUTER) / asked / b"who?", ROUTER)
    add(
        "UDP reply to a request that was sent to another host",
        ATTACKER,
        ip(ATTACKER, VICTIM) / answer / b"me",
        Reason.INGRESS_POLICY,
        question,
        said(ROUTER, ip(ROUTER, VICTIM) / answer / b"me", VICTIM),
        before=(question,),
    )
    add(
        "UDP reply with the address of the host that was asked",
        ATTACKER,
        ip(ATTACKER, VICTIM, src=ROUTER.ip) / answer / b"me",
        Reason.IP_SPOOF,
        question,
        said(ROUTER, ip(ROUTER, VICTIM) / answer / b"me", VICTIM),
        before=(question,),
    )
    add(
        "TCP RST with the address of one end, from a workload",
        ATTACKER,
        ip(ATTACKER, VICTIM, src=ROUTER.ip) / _segment("R", CLIENT_PORT, TCP_SERVICE),
        Reason.IP_SPOOF,
        *handshake(VICTIM, ROUTER),
        before=handshake(VICTIM, ROUTER),
    )
    add(
        "TCP RST with the address of a local end, from outside",
        OUTSIDE,
        ip(OUTSIDE, VICTIM, src=NEIGHBOUR.ip) / _segment("R", CLIENT_PORT, TCP_SERVICE),
        Reason.UPLINK_SPOOF,
        *handshake(VICTIM, NEIGHBOUR),
        before=handshake(VICTIM, NEIGHBOUR),
    )
    add(
        "echo reply without a request",
        ATTACKER,
        [ip(ATTACKER, VICTIM) / ICMP(type=0, id=7), ip6(ATTACKER, VICTIM) / ICMPv6EchoReply(id=7)],
        Reason.INVALID,
        said(VICTIM, [ip(VICTIM, ATTACKER) / echo(), ip6(VICTIM, ATTACKER) / echo6()], ATTACKER),
        said(ATTACKER, ip(ATTACKER, VICTIM) / ICMP(type=0, id=7), VICTIM),
        said(ATTACKER, ip6(ATTACKER, VICTIM) / ICMPv6EchoReply(id=7), VICTIM),
    )
    add(
        "wrong checksum, to open ports",
        ATTACKER,
        [
            ip(ATTACKER, VICTIM) / TCP(sport=CLIENT_PORT, dport=TCP_SERVICE, flags="S", chksum=0xBAD),
            ip(ATTACKER, VICTIM) / UDP(sport=CLIENT_PORT, dport=UDP_SERVICE, chksum=0xBAD) / b"some data",
            ip6(ATTACKER, VICTIM) / TCP(sport=CLIENT_PORT, dport=TCP_SERVICE, flags="S", chksum=0xBAD),
        ],
        Reason.INVALID,
        _OPEN,
    )


def _quoted() -> Packet:
    """The part of a segment from victim to router that an ICMP error about it quotes."""
    return IP(src=VICTIM.ip, dst=ROUTER.ip) / _segment("A")


def _error(sender: AttackHost, kind: int, code: int, **fields: object) -> Packet:
    return ip(sender, VICTIM) / ICMP(type=kind, code=code, **fields) / _quoted()


def _errors() -> None:
    add, connection = ERROR_ATTACKS.add, handshake(VICTIM, ROUTER)
    for name, kind, code, fields in (
        ("host unreachable", 3, 1, {}),
        ("port unreachable", 3, 3, {}),
        ("fragmentation needed (makes its packets small)", 3, 4, {"nexthopmtu": 68}),
        ("time exceeded", 11, 0, {}),
        ("redirect (makes the attacker its router)", 5, 1, {"gw": ATTACKER.ip}),
    ):
        add(
            f"{name}, about a neighbour's connection with the router",
            ATTACKER,
            _error(ATTACKER, kind, code, **fields),
            Reason.FORGED_ERROR,
            *connection,
            said(ROUTER, _error(ROUTER, kind, code, **fields), VICTIM),
            before=connection,
        )
    _errors6()
    add(
        "port unreachable, about a connection that does not exist",
        ATTACKER,
        _error(ATTACKER, 3, 3),
        Reason.INVALID,
        *connection,
        said(ROUTER, _error(ROUTER, 3, 3), VICTIM),
    )
    add(
        "host unreachable with the router's address",
        ATTACKER,
        ip(ATTACKER, VICTIM, src=ROUTER.ip) / ICMP(type=3, code=1) / _quoted(),
        Reason.IP_SPOOF,
        *connection,
        said(ROUTER, _error(ROUTER, 3, 1), VICTIM),
        before=connection,
    )
    add(
        "port unreachable with a local end's address, from outside",
        OUTSIDE,
        ip(OUTSIDE, VICTIM, src=NEIGHBOUR.ip)
        / ICMP(type=3, code=3)
        / IP(src=VICTIM.ip, dst=NEIGHBOUR.ip)
        / _segment("A"),
        Reason.UPLINK_SPOOF,
        *handshake(VICTIM, NEIGHBOUR),
        before=handshake(VICTIM, NEIGHBOUR),
    )


def _errors6() -> None:
    answer = TCP(sport=TCP_SERVICE, dport=CLIENT_PORT, flags="SA", seq=0, ack=1001, window=8192)
    connection = (
        said(VICTIM, ip6(VICTIM, ROUTER) / syn(), ROUTER),
        said(ROUTER, ip6(ROUTER, VICTIM) / answer, VICTIM),
    )
    quoted = IPv6(src=VICTIM.ip6, dst=ROUTER.ip6) / _segment("A")
    for name, error in (
        ("packet too big", ICMPv6PacketTooBig(mtu=1280)),
        ("unreachable", ICMPv6DestUnreach(code=0)),
        ("time exceeded", ICMPv6TimeExceeded()),
    ):
        ERROR_ATTACKS.add(
            f"ICMPv6 {name}, about a neighbour's connection with the router",
            ATTACKER,
            ip6(ATTACKER, VICTIM) / error / quoted,
            Reason.FORGED_ERROR,
            *connection,
            said(ROUTER, ip6(ROUTER, VICTIM) / error / quoted, VICTIM),
            before=connection,
        )


_closed()
_marked()
_state()
_errors()
