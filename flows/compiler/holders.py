"""MACs and addresses that several ports may use: who holds them now, and which of them the outside may use.

A request for an address goes to everybody who may have it. Frames to a MAC go to the port that used the MAC
last with an address of an allowed address pair. The switch learns that port without a controller. A learned
flow only chooses among the ports that may use the MAC.
"""

from __future__ import annotations

from collections.abc import Iterator

from flows.compiler.attachment import Attachment, mac_number
from flows.compiler.link_messages import (
    ARP_TERM,
    GROUP_MAC,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    SOLICITATION,
    icmpv6,
)
from flows.compiler.services import IPV4_TERM, IPV6_TERM, prefix_term
from flows.compiler.static import TELL_OUTSIDE, call, drop, with_target
from flows.openflow import fields as f
from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, Learn, Output, SetField
from flows.openflow.fields import Field, Match
from flows.openflow.flow import Flow
from flows.openflow.numbers import PREFIX_BASE, Priority
from flows.openflow.reasons import Reason
from flows.policy.objects import Prefix

LINK_LOCAL = Prefix.parse("fe80::/10")


def learn_holder(at: Attachment, mac: str, address: Prefix) -> tuple[Action, ...]:
    """The action that learns the holder of a MAC from a frame with this pair, if the pair counts.

    Only addresses that an allowed address pair names for the MAC count. A stand-by sends from the MAC, too:
    its kernel reports multicast listeners from the link-local address that it derives from the MAC.
    """
    named = any(pair.mac == mac and pair.prefix.covers(address) for pair in at.port.allowed_address_pairs)
    return (_learn(mac, f.IN_PORT),) if named and mac in at.shared_pair_macs() else ()


def _learn(mac: str, holder: Field | int) -> Action:
    return Learn(
        table=p.HOLDER.id,
        priority=Priority.NORMAL,
        cookie=numbers.HOLDER_COOKIE | mac_number(mac),
        idle_timeout=0,
        hard_timeout=numbers.HOLDER_SECONDS,
        limit=numbers.HOLDER_LIMIT,
        matches=((r.ZONE, r.ZONE), (f.ETH_SRC, f.ETH_DST)),
        loads=((holder, r.OUT),),
        bound=True,
    )


def shared_mac_flows(at: Attachment, mac: str) -> Iterator[Flow]:
    """Forward frames to a MAC that other ports may use, too."""
    zone, to_mac = r.ZONE(at.zone), f.ETH_DST(mac_number(mac))
    deliver = (SetField(r.DESTINATION, at.identity), call(p.RECEIVER))
    find = (SetField(r.OUT, 0), call(p.HOLDER), call(p.HOLDER_OUT))
    yield Flow(p.FORWARD, Priority.LOW, (zone, to_mac), find)
    yield Flow(p.HOLDER_OUT, Priority.NORMAL, (zone, r.OUT(at.ofport), to_mac), deliver)
    yield Flow(p.ALL_HOLDERS, Priority.NORMAL, (zone, to_mac), (SetField(r.OUT, at.ofport), *deliver))
    outside: tuple[Action, ...] = ()
    if at.leads_outside(mac):
        outside = (call(p.EXIT),)
        yield Flow(p.HOLDER_OUT, Priority.NORMAL, (zone, r.OUT(r.ELSEWHERE), to_mac), outside)
        sighted = (zone, f.ETH_SRC(mac_number(mac)))
        yield Flow(p.SIGHTED, Priority.NORMAL, sighted, (_learn(mac, r.ELSEWHERE),))
    yield Flow(p.HOLDER_OUT, Priority.LOW, (zone, to_mac), (call(p.ALL_HOLDERS), *outside))


def request_flow(at: Attachment, prefix: Prefix) -> Flow:
    """Send requests for an address to its owner.

    They also go outside if another owner may be there, and for a range, most of which may be there.
    """
    zone, out, match = r.ZONE(at.zone), Output(at.ofport), _request(prefix)
    priority = PREFIX_BASE + prefix.length
    if prefix.is_host:
        outside = TELL_OUTSIDE if at.leads_outside(prefix) else ()
        return Flow(p.NEIGHBOUR, priority, (zone, *match), (out, *outside))
    # A request to a single MAC is for the owner of that MAC, which may not have the range.
    return Flow(p.NEIGHBOUR, priority, (zone, GROUP_MAC, *match), (out, *TELL_OUTSIDE))


def _request(prefix: Prefix) -> Match:
    """Matches requests for the MAC of an address in this prefix."""
    if prefix.version == 4:
        return (ARP_TERM, f.ARP_OP(1), *prefix_term(f.ARP_TPA, prefix))
    return with_target(SOLICITATION, prefix)


def guard_flows(at: Attachment) -> Iterator[Flow]:
    """Keep the outside from using a MAC or address that only ports on this bridge may use."""
    zone = r.ZONE(at.zone)
    for claim in _claims(at):
        yield Flow(p.UPLINK, Priority.HIGH, (zone, *claim), drop(Reason.UPLINK_SPOOF))
    for address in at.exclusive_addresses():
        source = (IPV4_TERM, f.IPV4_SRC) if address.version == 4 else (IPV6_TERM, f.IPV6_SRC)
        match = (zone, source[0], source[1](address.value))
        if LINK_LOCAL.covers(address):  # which no router forwards (RFC 4291 section 2.5.6)
            yield Flow(p.UPLINK, Priority.HIGH, match, drop(Reason.UPLINK_SPOOF))
        else:
            yield Flow(p.UPLINK, Priority.NORMAL, match, (call(p.RETURNED),))


def _claims(at: Attachment) -> Iterator[Match]:
    for mac in map(mac_number, at.exclusive_macs()):
        yield (f.ETH_SRC(mac),)
        yield (ARP_TERM, f.ARP_SHA(mac))
        yield (*icmpv6(NEIGHBOUR_SOLICITATION), f.ND_SLL(mac))
        yield (*icmpv6(NEIGHBOUR_ADVERTISEMENT), f.ND_TLL(mac))
    for address in at.exclusive_addresses():
        if address.version == 4:
            yield (ARP_TERM, f.ARP_SPA(address.value))
        else:
            yield (*icmpv6(NEIGHBOUR_ADVERTISEMENT), f.ND_TARGET(address.value))
