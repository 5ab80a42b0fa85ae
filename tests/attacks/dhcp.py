"""DHCP and DHCPv6: servers must be behind uplinks; clients use their own addresses and reach only servers."""

from __future__ import annotations

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise, DHCP6_Reply, DHCP6_Solicit
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RS, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from flows.openflow.reasons import Reason
from lab.attack import ATTACKER, INSIDE, MUTE, NEIGHBOUR, ROUTER, VICTIM, WORKLOADS, AttackHost, Family, said
from tests.attacks.packets import BROADCAST, ether, ip, ip6, multicast

DHCP_ATTACKS = Family("DHCP")
_BLUE = tuple(host for host in WORKLOADS if host.name != "green")
_SERVERS6 = "ff02::1:2"


def _mac_bytes(host: AttackHost) -> bytes:
    return bytes.fromhex(host.mac.replace(":", ""))


def _discover(sender: AttackHost, to: str = BROADCAST) -> Packet:
    head = ether(sender, to) / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
    return (
        head / BOOTP(chaddr=_mac_bytes(sender), xid=7) / DHCP(options=[("message-type", "discover"), "end"])
    )


def _renewal(sender: AttackHost, address: str, server: AttackHost = ROUTER) -> Packet:
    head = ip(sender, server, src=address) / UDP(sport=68, dport=67)
    options = [("message-type", "request"), "end"]
    return head / BOOTP(chaddr=_mac_bytes(sender), ciaddr=address, xid=7) / DHCP(options=options)


def _offer(server: AttackHost, to_all: bool = False) -> Packet:
    to_mac, to_ip = (BROADCAST, "255.255.255.255") if to_all else (VICTIM.mac, VICTIM.ip)
    head = ether(server, to_mac) / IP(src=server.ip, dst=to_ip) / UDP(sport=67, dport=68)
    options = [("message-type", "offer"), ("server_id", server.ip), ("router", server.ip), "end"]
    return head / BOOTP(op=2, yiaddr=VICTIM.ip, chaddr=_mac_bytes(VICTIM), xid=7) / DHCP(options=options)


def _answers6(server: AttackHost) -> list[Packet]:
    head = ether(server, VICTIM) / IPv6(src=server.link_local, dst=VICTIM.link_local)
    datagram = head / UDP(sport=547, dport=546)
    return [datagram / DHCP6_Advertise(trid=7), datagram / DHCP6_Reply(trid=7)]


def _solicit6(sender: AttackHost, source: str) -> Packet:
    head = multicast(sender, _SERVERS6) / IPv6(src=source, dst=_SERVERS6)
    return head / UDP(sport=546, dport=547) / DHCP6_Solicit(trid=7)


def _rogue_servers() -> None:
    add = DHCP_ATTACKS.add
    to_one, to_all = said(ROUTER, _offer(ROUTER), VICTIM), said(ROUTER, _offer(ROUTER, to_all=True), *_BLUE)
    add("rogue server: offer", ATTACKER, _offer(ATTACKER), Reason.DHCP_SERVER, to_one)
    add(
        "rogue server: broadcast offer",
        ATTACKER,
        _offer(ATTACKER, to_all=True),
        Reason.DHCP_SERVER,
        to_all,
    )
    add(
        "rogue server: exact copy of the real server's offer",
        ATTACKER,
        _offer(ROUTER),
        Reason.IP_SPOOF,
        to_one,
    )
    add(
        "rogue DHCPv6 server: advertise and reply",
        ATTACKER,
        _answers6(ATTACKER),
        Reason.DHCP_SERVER,
        said(ROUTER, _answers6(ROUTER), VICTIM),
    )


def _clients() -> None:
    add = DHCP_ATTACKS.add
    discover = said(ATTACKER, _discover(ATTACKER), ROUTER)
    solicit = said(ATTACKER, _solicit6(ATTACKER, ATTACKER.link_local), ROUTER)
    renewal = said(ATTACKER, _renewal(ATTACKER, ATTACKER.ip), ROUTER)
    add("client: discover from a neighbour's MAC", ATTACKER, _discover(NEIGHBOUR), Reason.IP_SPOOF, discover)
    add(
        "client: discover without an address, to one host",
        ATTACKER,
        Ether(src=ATTACKER.mac, dst=VICTIM.mac)
        / IP(src="0.0.0.0", dst=VICTIM.ip)
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=_mac_bytes(ATTACKER), xid=7),
        Reason.IP_SPOOF,
        discover,
    )
    add(
        "client: renewal or release of a neighbour's lease",
        ATTACKER,
        _renewal(ATTACKER, NEIGHBOUR.ip),
        Reason.IP_SPOOF,
        renewal,
    )
    add(
        "DHCPv6 client with a neighbour's link-local address",
        ATTACKER,
        _solicit6(ATTACKER, NEIGHBOUR.link_local),
        Reason.IP_SPOOF,
        solicit,
    )
    add(
        "DHCP request to a neighbour",
        ATTACKER,
        [_renewal(ATTACKER, ATTACKER.ip, VICTIM), _discover(ATTACKER, VICTIM.mac)],
        None,
        renewal,
        spared=INSIDE,
    )
    add(
        "listening to clients' requests, to reply before the server",
        VICTIM,
        [_discover(VICTIM), _solicit6(VICTIM, VICTIM.link_local)],
        None,
        said(VICTIM, [_discover(VICTIM), _solicit6(VICTIM, VICTIM.link_local)], ROUTER),
        spared=INSIDE,
    )


def _smuggled() -> None:
    """Data disguised as a request to a server, from a workload without an egress rule."""
    solicitation = IPv6(src=MUTE.link_local, dst=ROUTER.link_local) / ICMPv6ND_RS()
    DHCP_ATTACKS.add(
        "data for one host outside, disguised as a DHCP request",
        MUTE,
        [
            ip(MUTE, ROUTER) / UDP(sport=68, dport=67) / b"secret",
            ip6(MUTE, ROUTER) / UDP(sport=546, dport=547) / b"secret",
        ],
        Reason.EGRESS_POLICY,
        said(MUTE, [_discover(MUTE), _solicit6(MUTE, MUTE.link_local)], ROUTER),
    )
    DHCP_ATTACKS.add(
        "data for one host outside, disguised as a router solicitation",
        MUTE,
        ether(MUTE, ROUTER) / solicitation / b"secret",
        Reason.INVALID,
        said(
            MUTE,
            multicast(MUTE, "ff02::2") / IPv6(src=MUTE.link_local, dst="ff02::2") / ICMPv6ND_RS(),
            ROUTER,
        ),
    )


_rogue_servers()
_clients()
_smuggled()
