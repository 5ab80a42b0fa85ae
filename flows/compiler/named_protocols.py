"""IP protocols that rules name: detects a workload's packet of another one by the first bit that differs.

OpenFlow matches the protocol only as a whole. However, Open vSwitch can copy single bits of it into a
register, and a megaflow holds only the bits that were copied (docs/decisions/megaflows.md). For a packet of
an unnamed protocol, the lookup of rules ends before the rules that name a protocol.
"""

from __future__ import annotations

from collections.abc import Iterator

from flows.compiler.services import ICMP, ICMPV6, TCP, UDP, ethertype_term
from flows.compiler.static import STATELESS, call
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, Move, SetField
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.policy.objects import Ethertype

_FRAGMENT = 44
_ALWAYS_NAMED = {
    Ethertype.IPV4: frozenset({ICMP, TCP, UDP}),
    Ethertype.IPV6: frozenset({ICMPV6, TCP, UDP, _FRAGMENT}),
}
"""The protocols that most rules name. A later fragment of IPv6 has the number of the fragment header."""
_BITS = 8
_READ_BIT = 63
"""The bit of MEMBER that holds the bit read last. Below are the count and the values of those read before."""


def protocol_flows() -> Iterator[Flow]:
    """The flows of PROTOCOL that every bridge has."""
    for ethertype, named in _ALWAYS_NAMED.items():
        begin = (r.MEMBER(0), ethertype_term(ethertype))
        yield Flow(p.PROTOCOL, Priority.NORMAL, begin, _read(0, 0))
        for protocol in sorted(named):
            yield from _path(ethertype, protocol)
    for flags, match in ((r.UNNAMED | r.STATELESS, (STATELESS,)), (r.UNNAMED, ())):
        unnamed = (SetField(r.MEMBER, 0), SetField(r.FLAGS, flags), call(p.LINK_MESSAGE))
        yield Flow(p.PROTOCOL, Priority.LOW if match else Priority.DEFAULT, match, unnamed)


def named_protocol(ethertype: Ethertype, protocol: int) -> Iterator[Flow]:
    """The flows of PROTOCOL for a protocol that a rule names. All rules that name it share them."""
    if protocol not in _ALWAYS_NAMED[ethertype]:
        yield from _path(ethertype, protocol)


def _path(ethertype: Ethertype, protocol: int) -> Iterator[Flow]:
    for count in range(_BITS):
        left = _BITS - count
        bit = protocol >> left - 1 & 1
        match = (r.MEMBER(bit << _READ_BIT | _state(count, protocol >> left)), ethertype_term(ethertype))
        found = (SetField(r.MEMBER, 0), call(p.ADMIT))
        following = _read(count + 1, protocol >> left - 1) if left > 1 else found
        yield Flow(p.PROTOCOL, Priority.NORMAL, match, following)


def _read(count: int, before: int) -> tuple[Action, ...]:
    """Read the next bit, after `count` bits that have the values in `before`."""
    bit = Move(f.IP_PROTO, r.MEMBER, _BITS - 1 - count, _READ_BIT, most=1)
    return (SetField(r.MEMBER, _state(count, before)), bit, call(p.PROTOCOL))


def _state(count: int, before: int) -> int:
    return count + 1 << _BITS | before
