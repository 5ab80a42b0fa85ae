"""The flows of the bound ports of a bridge, apart from rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flows.compiler.attachment import Attachment, address_pairs, mac_number, source_macs
from flows.compiler.bitwise_checks import arp_target_flows, own_mac, port_bitwise_flows
from flows.compiler.fragment_budget import port_fragment_flows
from flows.compiler.holders import guard_flows, learn_holder, request_flow, shared_mac_flows
from flows.compiler.link_messages import (
    ADVERTISEMENT,
    ARP_TERM,
    DHCP_FROM_CLIENT,
    LIMITED_BROADCAST,
    NOT_ROUTED,
    SOLICITATION,
    SOLICITED_NODE,
    VRRP4_ANY_HOPS,
    VRRP6_ANY_HOPS,
)
from flows.compiler.nd_targets import advertised_flow, solicited_flows
from flows.compiler.services import IPV4_TERM, IPV6_TERM, prefix_term
from flows.compiler.static import (
    TELL_ALL,
    TELL_OUTSIDE,
    call,
    compare_hops,
    drop,
    on_link,
    question,
    with_target,
)
from flows.compiler.uplinks import learn
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow import table
from flows.openflow.actions import Action, Meter, Output, SetField
from flows.openflow.fields import Term, ct_state
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.openflow.reasons import Reason
from flows.policy.objects import AddressPair, Prefix

NO_ADDRESS, NO_ADDRESS6 = Prefix(4, 0, 32), Prefix(6, 0, 128)
CHUNK = 256
"""OpenFlow port numbers per flow that serves all ports of a network: limits what adding a port rewrites."""


def port_flows(at: Attachment) -> list[Flow]:
    """All flows of one bound port, apart from rules."""
    in_port = f.IN_PORT(at.ofport)
    if not at.port.admin_state_up:
        return [Flow(p.CLASSIFY, Priority.NORMAL, (in_port,), drop(Reason.ADMIN_DOWN))]
    pairs = address_pairs(at.port)
    return [
        *_classify(at, in_port),
        *port_fragment_flows(at, in_port),
        *(_spoof_flows(at, in_port, pairs) if at.port.port_security_enabled else ()),
        *_receive_flows(at, pairs),
        *_link_flows(at),
    ]


def _classify(at: Attachment, in_port: Term) -> Iterator[Flow]:
    start = p.SPOOF if at.port.port_security_enabled else p.ADMIT
    known: list[Action] = [SetField(r.ZONE, at.zone), SetField(r.SOURCE, at.identity)]
    if at.stateless:
        known.append(SetField(r.FLAGS, r.STATELESS))
    if at.port.port_security_enabled:
        known.append(own_mac(at))
    else:
        known.append(learn(at.zone, at.ofport))
        no_mac = (in_port, f.ETH_SRC(0))
        yield Flow(p.CLASSIFY, Priority.NORMAL + 50, no_mac, drop(Reason.BAD_SOURCE_MAC))
    yield Flow(p.CLASSIFY, Priority.NORMAL, (in_port,), (*known, call(start)))


def _spoof_flows(at: Attachment, in_port: Term, pairs: Sequence[AddressPair]) -> Iterator[Flow]:
    yield Flow(p.BUDGET, Priority.NORMAL, (in_port,), (Meter(at.ofport),))
    yield from port_bitwise_flows(at, in_port)
    own = dict.fromkeys(pair.prefix for pair in pairs)
    yield advertised_flow(in_port, own)
    for ethertype in sorted(at.port.permitted_ethertypes):
        yield Flow(p.SPOOF, Priority.NORMAL, (in_port, f.ETH_TYPE(ethertype)), (call(p.OWN_MAC),))
    for mac in source_macs(at.port):
        yield from _mac_flows(at, in_port, mac)
    for pair in pairs:
        yield from (_ipv4_pair_flows if pair.prefix.version == 4 else _ipv6_pair_flows)(at, in_port, pair)
        if at.port.allowed_address_pairs:
            yield _vrrp_flow(at, in_port, pair)
    for prefix in own:
        yield from _related_flows(in_port, prefix)


def _mac_flows(at: Attachment, in_port: Term, text: str) -> Iterator[Flow]:
    """What a MAC may send before it has an address: ARP probes, DHCP, duplicate address detection."""
    mac, note = mac_number(text), learn_holder(at, text, NO_ADDRESS)
    source = (in_port, f.ETH_SRC(mac))
    probe = (*source, ARP_TERM, f.ARP_OP(1), f.ARP_SPA(0), f.ARP_SHA(mac))
    yield Flow(p.SPOOF_ARP, Priority.NORMAL, probe, (*note, call(p.ASKED)))
    discover = (IPV4_TERM, f.IPV4_SRC(0), LIMITED_BROADCAST, *DHCP_FROM_CLIENT[1:])
    yield Flow(p.SPOOF_IP, Priority.NORMAL, (*source, *discover), (*note, call(p.PROTOCOL)))
    note = learn_holder(at, text, NO_ADDRESS6)
    yield Flow(p.SPOOF_IP, Priority.NORMAL, (*source, IPV6_TERM, f.IPV6_SRC(0)), (*note, call(p.PROTOCOL)))
    solicitation = (*source, *SOLICITATION, f.ND_SLL(mac))
    yield Flow(p.SPOOF_ND, Priority.LOW, solicitation, (call(p.ON_LINK),))


def _ipv4_pair_flows(at: Attachment, in_port: Term, pair: AddressPair) -> Iterator[Flow]:
    mac, prefix, note = mac_number(pair.mac), pair.prefix, learn_holder(at, *pair)
    source = (in_port, f.ETH_SRC(mac))
    arp = (*source, ARP_TERM, *prefix_term(f.ARP_SPA, prefix), f.ARP_SHA(mac))
    yield Flow(p.SPOOF_ARP, Priority.NORMAL, arp, (*note, call(p.ASKED)))
    if prefix.is_host:
        own, address = f.ARP_TPA(prefix.value), f.ARP_SPA(prefix.value)
        yield Flow(p.ANNOUNCING, Priority.NORMAL, (*source, ARP_TERM, address, own), TELL_ALL)
        probe = (*source, ARP_TERM, f.ARP_OP(1), f.ARP_SPA(0), own)
        yield Flow(p.ANNOUNCING, Priority.NORMAL, probe, _to_other_owners(at, prefix))
    ip = (*source, IPV4_TERM, *prefix_term(f.IPV4_SRC, prefix))
    yield Flow(p.SPOOF_IP, Priority.NORMAL, ip, (*note, call(p.PROTOCOL)))


def _to_other_owners(at: Attachment, address: Prefix) -> tuple[Action, ...]:
    """Ask whether a port's own address is in use: other ports that may have it, or else the outside."""
    return (call(p.NEIGHBOUR),) if address in at.shared else TELL_OUTSIDE


def _ipv6_pair_flows(at: Attachment, in_port: Term, pair: AddressPair) -> Iterator[Flow]:
    mac, prefix, note = mac_number(pair.mac), pair.prefix, learn_holder(at, *pair)
    source = (in_port, f.ETH_SRC(mac))
    ip = (*source, IPV6_TERM, *prefix_term(f.IPV6_SRC, prefix))
    yield Flow(p.SPOOF_IP, Priority.NORMAL, ip, (*note, call(p.PROTOCOL)))
    detection = (*source, *with_target(SOLICITATION, prefix), f.IPV6_SRC(0), SOLICITED_NODE, f.ND_SLL(0))
    # An address in a wider prefix may be a neighbour's.
    asked, rank = (_to_other_owners(at, prefix), 50) if prefix.is_host else ((call(p.ON_LINK),), 0)
    yield Flow(p.SPOOF_ND, Priority.HIGH + rank, detection, asked)
    without_address = 0  # allowed in the answer to a unicast solicitation (RFC 4861 section 4.4)
    for link_address in (mac, without_address):
        advertisement = (*source, *with_target(ADVERTISEMENT, prefix), f.ND_TLL(link_address))
        yield Flow(p.SPOOF_ND, Priority.NORMAL, advertisement, (*note, call(p.ON_LINK)))


def _permitted_flows(at: Attachment, mac: int) -> Iterator[Flow]:
    """Protocols other than IP, to and from one of the port's MACs: neither tracked nor subject to rules."""
    zone = r.ZONE(at.zone)
    for ethertype in sorted(at.port.permitted_ethertypes):
        kind = f.ETH_TYPE(ethertype)
        sent = (f.IN_PORT(at.ofport), f.ETH_SRC(mac), kind)
        yield Flow(p.SENDER, Priority.NORMAL, sent, (call(p.FORWARD),))
        yield Flow(p.RECEIVER, Priority.HIGH, (r.OUT(at.ofport), kind), (call(p.OUTPUT),))
        if at.uplinked:
            yield Flow(p.UPLINK_DELIVER, Priority.HIGH, (zone, f.ETH_DST(mac), kind), (call(p.FORWARD),))


def _vrrp_flow(at: Attachment, in_port: Term, pair: AddressPair) -> Flow:
    """Check a virtual router's advertisement by the rules, the egress rules first."""
    of4 = pair.prefix.version == 4
    group, field = (VRRP4_ANY_HOPS, f.IPV4_SRC) if of4 else (VRRP6_ANY_HOPS, f.IPV6_SRC)
    match = (in_port, f.ETH_SRC(mac_number(pair.mac)), *group, *prefix_term(field, pair.prefix))
    checked = (*learn_holder(at, *pair), *compare_hops(NOT_ROUTED), call(p.VRRP))
    return Flow(p.SPOOF_IP, Priority.HIGH, match, checked)


def _related_flows(in_port: Term, prefix: Prefix) -> Iterator[Flow]:
    """Errors about connections that an address of the port has opened or accepted."""
    for family, state, end, actions in _ERRORS_ABOUT[prefix.version]:
        match = (in_port, family, state, *prefix_term(end, prefix))
        yield Flow(p.RELATED, Priority.NORMAL, match, actions)


def _errors_about(family: Term, opener: f.Field, acceptor: f.Field) -> _RelatedKinds:
    """The kinds of errors, by which end of the connection the address is. Made once, for all ports."""
    ends = (
        (ct_state("-new+rel-rpl-inv+trk"), opener, p.EGRESS_TABLES),
        (ct_state("-new+rel+rpl-inv+trk"), acceptor, p.INGRESS_TABLES),
    )
    return tuple(
        (family, state, end, question(r.SOURCE, tables, p.SOURCE_VERDICT)) for state, end, tables in ends
    )


_RelatedKinds = tuple[tuple[Term, Term, f.Field, tuple[Action, ...]], ...]
_ERRORS_ABOUT = {
    4: _errors_about(IPV4_TERM, f.CT_NW_SRC, f.CT_NW_DST),
    6: _errors_about(IPV6_TERM, f.CT_IPV6_SRC, f.CT_IPV6_DST),
}


def _receive_flows(at: Attachment, pairs: Sequence[AddressPair]) -> Iterator[Flow]:
    """The flows by which frames reach the port."""
    for mac in source_macs(at.port):
        yield from _to_mac_flows(at, mac)
        yield from _permitted_flows(at, mac_number(mac))
    yield from _address_flows(at, pairs)
    if not at.port.port_security_enabled:
        yield from _part_flows(p.LISTENERS, at, (Output(at.ofport),))
        behind = (r.ZONE(at.zone), r.OUT(at.ofport))
        yield Flow(p.UPLINK_OUT, Priority.NORMAL, behind, (Output(at.ofport),))
    elif at.port.allowed_address_pairs:
        hear = (SetField(r.OUT, at.ofport), SetField(r.DESTINATION, at.identity), call(p.DEST_STATELESS))
        yield from _part_flows(p.SHARED, at, hear)
    prefixes = dict.fromkeys(pair.prefix for pair in pairs)
    yield from solicited_flows(r.ZONE(at.zone), prefixes)
    for prefix in prefixes:
        yield request_flow(at, prefix)
        if prefix.version == 4:
            yield from arp_target_flows(at, prefix)
    if at.uplinked:
        yield from guard_flows(at)


def _to_mac_flows(at: Attachment, mac: str) -> Iterator[Flow]:
    """Forward frames for a MAC to the port whose own MAC it is, if on this bridge, or else to its holder."""
    to_mac = (r.ZONE(at.zone), f.ETH_DST(mac_number(mac)))
    priority = Priority.NORMAL if mac == at.port.mac else Priority.LOW
    receiver: tuple[Action, ...] = ()
    if mac in at.shared_pair_macs():
        yield from shared_mac_flows(at, mac)
    else:
        receiver = (SetField(r.OUT, at.ofport), SetField(r.DESTINATION, at.identity))
        yield Flow(p.FORWARD, priority, to_mac, (*receiver, call(p.RECEIVER)))
    if at.uplinked:
        entry = p.FORWARD if at.stateless else p.CONNTRACK
        known = () if at.stateless else receiver  # whose fragment budget applies
        yield Flow(p.UPLINK_DELIVER, priority, to_mac, (*known, call(entry)))


def _link_flows(at: Attachment) -> Iterator[Flow]:
    """Allow neighbour discovery for addresses of the port that the network's IPv6 subnets may not contain.

    These are single addresses of allowed address pairs and, without IPv6 subnets, the /64 around each fixed
    IPv6 address. Interface identifiers have 64 bits (RFC 4291 section 2.5.1), so an IPv6 link is a /64.
    """
    own = () if at.subnets6 else at.port.fixed_ips
    around = [Prefix(6, ip.value >> 64 << 64, 64) for ip in own if ip.version == 6]
    shared = [pair.prefix for pair in at.port.allowed_address_pairs if pair.prefix.is_host]
    for prefix in dict.fromkeys([*around, *shared]):
        if prefix.version == 6:
            yield on_link(r.ZONE(at.zone), prefix)


def _part_flows(table: table.Table, at: Attachment, actions: tuple[Action, ...]) -> Iterator[Flow]:
    """The port's actions in a table that serves all ports of a network, and the call of the port's chunk."""
    zone, chunk = r.ZONE(at.zone), at.ofport // CHUNK + 1
    yield Flow(table, Priority.NORMAL, (zone, r.OUT(chunk)), actions)
    yield Flow(table, Priority.NORMAL, (zone, r.OUT(0)), (SetField(r.OUT, chunk), call(table)))


def _address_flows(at: Attachment, pairs: Sequence[AddressPair]) -> Iterator[Flow]:
    """Deliver only packets for the port's addresses: by the MAC alone, it could get answers for others."""
    if not at.port.port_security_enabled:
        return
    check = p.DEST_STATELESS if at.stateless else p.DEST_CONNTRACK
    for prefix in dict.fromkeys(pair.prefix for pair in pairs):
        family, field = (IPV4_TERM, f.IPV4_DST) if prefix.version == 4 else (IPV6_TERM, f.IPV6_DST)
        match = (r.OUT(at.ofport), family, *prefix_term(field, prefix))
        yield Flow(p.RECEIVER, Priority.NORMAL, match, (call(check),))
        if prefix.version == 4:
            arp = (r.OUT(at.ofport), ARP_TERM, *prefix_term(f.ARP_TPA, prefix))
            yield Flow(p.RECEIVER, Priority.NORMAL, arp, (call(p.OUTPUT),))


def broadcast_chunk(zone: int, chunk: int, ports: Iterable[int]) -> Flow:
    """Sends a network's broadcasts to the ports of one chunk."""
    outputs = tuple(Output(ofport) for ofport in sorted(ports))
    return Flow(p.BROADCAST, Priority.NORMAL, (r.ZONE(zone), r.OUT(chunk + 1)), outputs)


def broadcast_root(zone: int, chunks: Iterable[int]) -> Flow:
    """Visits all chunks of a network, for its broadcasts."""
    visits: list[Action] = []
    for chunk in sorted(chunks):
        visits += [SetField(r.OUT, chunk + 1), call(p.BROADCAST)]
    return Flow(p.BROADCAST, Priority.NORMAL, (r.ZONE(zone), r.OUT(0)), tuple(visits))
