"""Detects a forged frame by the first bit that differs from an allowed value.

A megaflow of Open vSwitch holds every bit that the lookup compared. If a lookup compares a whole field, each
forged MAC makes a megaflow of its own, and thousands of them slow down all workloads. Open vSwitch avoids
this for addresses of IP packets (`prefixes` of Flow_Table in ovs-vswitchd.conf.db(5)), but not for other
fields. So these tables compare a field bit by bit with an allowed value, which a register holds. The
first bit that differs decides, and the megaflow holds no bit after it. The tables only filter: later tables
compare the whole field of the frames that pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from flows.compiler.attachment import Attachment, address_pairs, mac_number, source_macs
from flows.compiler.link_messages import (
    ARP_TERM,
    GROUP_MAC,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    READABLE_ARP,
    icmpv6,
)
from flows.compiler.services import IPV4_TERM, IPV6_TERM
from flows.compiler.static import TELL_ALL, TELL_OUTSIDE, call, drop
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, SetField
from flows.openflow.fields import Field, Match, Term
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.openflow.reasons import Reason
from flows.openflow.table import Table
from flows.policy.objects import Prefix

MOST = 4
"""The most values that are compared after the first one. If there are more, only the first is compared."""
_NO_ADDRESS = 0xFFFFFFFF
"""0.0.0.0/32 as PREFIX holds it: the sender's address in ARP probes (RFC 5227 section 2.1.1)."""
_WHOLE = 32
"""The bits of an IPv4 address."""
BITS_AT_ONCE, BITS_IN_ALL = 2, 30
"""How many bits of an address one step compares with the addresses of ports here, and all steps together.

A step has a flow for each prefix of these addresses. The last bits would need a flow for each address."""
_ANY = 1 << 63
"""In LOCAL: there is no MAC to compare with."""
_ANY_MAC = r.LOCAL(_ANY, _ANY)
_SOLICITATION, _ADVERTISEMENT = icmpv6(NEIGHBOUR_SOLICITATION), icmpv6(NEIGHBOUR_ADVERTISEMENT)
COMPARING = frozenset(
    table.id
    for table in (p.OWN_MAC, p.OWN_ARP, p.OWN_ADDRESS, p.OWN_LINK, p.NO_LINK, p.IN_SUBNET, p.SAME_TARGET)
)
"""The tables that compare bit by bit, with flows of priority NORMAL and above."""


def bitwise_flows() -> Iterator[Flow]:
    """The flows that all ports share."""
    yield from _differences(p.OWN_MAC, f.ETH_SRC, (call(p.OTHER_MAC),))
    yield Flow(p.OWN_MAC, Priority.DEFAULT, (), (call(p.SENDER),))
    spoofed = ((ARP_TERM, Reason.ARP_SPOOF), (IPV4_TERM, Reason.IP_SPOOF), (IPV6_TERM, Reason.IP_SPOOF))
    for kind, reason in spoofed:
        yield Flow(p.OTHER_MAC, Priority.LOW, (kind,), drop(reason))
    yield from _arp_flows()
    yield from _link_address_flows()
    yield from _arp_target_flows()


def _arp_flows() -> Iterator[Flow]:
    yield from _differences(p.OWN_ARP, f.ARP_SHA, drop(Reason.ARP_SPOOF), (ARP_TERM,))
    address = (SetField(r.PREFIX, _NO_ADDRESS), call(p.OWN_ADDRESS))
    for priority, match in ((Priority.GUARD, (_ANY_MAC,)), (Priority.DEFAULT, ())):
        yield Flow(p.OWN_ARP, priority, match, address)
    yield from _address_differences(p.OWN_ADDRESS, f.ARP_SPA, p.OTHER_ADDRESS)
    yield Flow(p.OWN_ADDRESS, Priority.DEFAULT, (), (call(p.SPOOF_ARP),))


def _link_address_flows() -> Iterator[Flow]:
    """Drop solicitations and advertisements whose link address is neither the source MAC nor missing."""
    for kind, field in ((_SOLICITATION, f.ND_SLL), (_ADVERTISEMENT, f.ND_TLL)):
        yield from _differences(p.OWN_LINK, field, (call(p.NO_LINK),), kind)
        for bit in range(field.bits):
            said = (*kind, field(1 << bit, 1 << bit))
            yield Flow(p.NO_LINK, Priority.NORMAL + bit, said, drop(Reason.ND_SPOOF))
    for table in (p.OWN_LINK, p.NO_LINK):
        yield Flow(table, Priority.DEFAULT, (), (call(p.TARGET), call(p.SPOOF_ND)))
    yield Flow(p.OWN_LINK, Priority.GUARD, (_ANY_MAC,), (call(p.TARGET), call(p.SPOOF_ND)))


def _differences(table: Table, field: Field, actions: tuple[Action, ...], kind: Match = ()) -> Iterator[Flow]:
    """Do `actions` if a bit of the field differs from the same bit of LOCAL."""
    for bit in range(field.bits):
        one = 1 << bit
        for own, said in ((one, 0), (0, one)):
            match = (*kind, r.LOCAL(own, one), field(said, one))
            yield Flow(table, Priority.NORMAL + bit, match, actions)


def _address_differences(table: Table, field: Field, other: Table) -> Iterator[Flow]:
    """Go to `other` if an ARP address differs from the address in PREFIX in a bit that the mask there has."""
    for bit in range(32):
        one = 1 << bit
        for own, said in ((one, 0), (0, one)):
            held = r.PREFIX(own << 32 | one, one << 32 | one)
            yield Flow(table, Priority.NORMAL + bit, (ARP_TERM, held, field(said, one)), (call(other),))


def _arp_target_flows() -> Iterator[Flow]:
    """ARP for an address that is in no subnet of the network, or that no port here has, goes to NOBODY."""
    yield Flow(p.ASKED, Priority.DEFAULT, (), (SetField(r.PREFIX, _NO_ADDRESS), call(p.IN_SUBNET)))
    yield from _address_differences(p.IN_SUBNET, f.ARP_TPA, p.OTHER_SUBNET)
    yield Flow(p.OTHER_SUBNET, Priority.DEFAULT, (), (call(p.ANNOUNCING),))
    yield Flow(p.IN_SUBNET, Priority.DEFAULT, (), (call(p.KNOWN),))
    yield Flow(p.KNOWN, Priority.HIGH, (_compared(_WHOLE),), (call(p.ANNOUNCING),))
    yield Flow(p.KNOWN, Priority.DEFAULT, (), (call(p.NOBODY),))
    yield Flow(p.ANNOUNCING, Priority.DEFAULT, (), (call(p.NEIGHBOUR),))
    yield Flow(p.NOBODY, Priority.LOW + 10, (GROUP_MAC, *READABLE_ARP[1]), TELL_ALL)
    yield Flow(p.NOBODY, Priority.LOW, (GROUP_MAC,), TELL_OUTSIDE)
    yield Flow(p.NOBODY, Priority.DEFAULT, (), (SetField(r.VIEW, r.OF_NOBODY), call(p.FORWARD)))
    foreign = (r.VIEW(r.OF_NOBODY), ARP_TERM)
    yield Flow(p.RECEIVER, Priority.HIGH + 50, foreign, drop(Reason.FOREIGN_ADDRESS))


def subnet_flows(zone: Term, subnets: Iterable[Prefix]) -> Iterator[Flow]:
    """Compare the target of ARP with the network's subnets, which contain all addresses of its ports."""
    held = [_NO_ADDRESS, *(_masked(subnet) for subnet in subnets if subnet.version == 4)]
    if len(held) in range(2, MOST + 2):
        yield from _next_flows(zone, r.PREFIX, held, (p.OTHER_SUBNET, p.IN_SUBNET), ())
        yield Flow(p.OTHER_SUBNET, Priority.NORMAL, (zone, r.PREFIX(held[-1])), (call(p.NOBODY),))


def arp_target_flows(at: Attachment, prefix: Prefix) -> Iterator[Flow]:
    """Compare the target of ARP with an IPv4 address or range of the port, a few bits at a time.

    Ports whose addresses begin with the same bits share flows.
    """
    for subnet in at.subnets4 if len(at.subnets4) <= MOST else ():
        if subnet.covers(prefix):
            yield from _path(r.ZONE(at.zone), subnet.length, prefix)


def _path(zone: Term, start: int, prefix: Prefix) -> Iterator[Flow]:
    last = min(prefix.length, BITS_IN_ALL)
    for length in range(start, last, BITS_AT_ONCE):
        end = min(length + BITS_AT_ONCE, last)
        mask = _mask(end)
        match = (zone, _compared(length), ARP_TERM, f.ARP_TPA(prefix.value & mask, mask))
        if end < last:
            yield Flow(p.KNOWN, Priority.NORMAL, match, (SetField(r.PREFIX, mask), call(p.KNOWN)))
        else:
            yield Flow(p.KNOWN, Priority.HIGH, match, (call(p.ANNOUNCING),))
    if start >= last:
        yield Flow(p.KNOWN, Priority.HIGH, (zone, _compared(start)), (call(p.ANNOUNCING),))


def _compared(length: int) -> Term:
    """Matches if `length` bits of the address have been compared: PREFIX holds their mask."""
    return r.PREFIX(_mask(length), _mask(_WHOLE))


def _mask(length: int) -> int:
    return Prefix(4, 0, length).mask


def _masked(prefix: Prefix) -> int:
    """An IPv4 prefix as PREFIX holds it: the address in the high 32 bits, the mask in the low 32 bits."""
    return prefix.value << 32 | prefix.mask


def own_mac(at: Attachment) -> SetField:
    """Set the MAC with which a frame of the port is compared first."""
    return SetField(r.LOCAL, mac_number(source_macs(at.port)[0]))


def port_bitwise_flows(at: Attachment, in_port: Term) -> Iterator[Flow]:
    """The further MACs and addresses with which the frames of a port are compared."""
    macs = list(map(mac_number, source_macs(at.port)))
    tables, any_mac = (p.OTHER_MAC, p.OWN_MAC), (SetField(r.LOCAL, _ANY), call(p.SENDER))
    yield from _next_flows(in_port, r.LOCAL, macs, tables, any_mac)
    own = (pair.prefix for pair in address_pairs(at.port) if pair.prefix.version == 4)
    addresses = list(dict.fromkeys([_NO_ADDRESS, *map(_masked, own)]))
    tables = p.OTHER_ADDRESS, p.OWN_ADDRESS
    yield from _next_flows(in_port, r.PREFIX, addresses, tables, (call(p.SPOOF_ARP),))


def _next_flows(
    at: Term, register: Field, values: list[int], tables: tuple[Table, Table], unsorted: tuple[Action, ...]
) -> Iterator[Flow]:
    """Flows of the first table: after each value, set the next one, which the second table compares.

    If there are too many values, do `unsorted` after the first one.
    """
    table, compare = tables
    if len(values) > MOST + 1:
        yield Flow(table, Priority.NORMAL, (at, register(values[0])), unsorted)
        return
    for value, following in pairwise(values):
        actions = (SetField(register, following), call(compare))
        yield Flow(table, Priority.NORMAL, (at, register(value)), actions)
