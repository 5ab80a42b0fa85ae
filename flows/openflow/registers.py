"""The registers of a packet, each with its meaning, and their reserved values.

Directions are relative to the workload.
"""

from __future__ import annotations

from typing import Final

from flows.openflow import fields as f

LOCAL: Final = f.wide_register(0)
"""Identity of the workload whose rules are being asked: a set of security groups.

Until rules are asked, a MAC of the sending port: the one that its frame should come from."""
MEMBER: Final = f.wide_register(1)
"""Identity of the remote address by membership: the remote groups it belongs to.

Until rules are asked, what is known of the hop limit: `HOPS_AS_WANTED` when it is the one demanded."""
PREFIX: Final = f.wide_register(2)
"""Identity of the remote address by prefix: the CIDRs and address groups that cover it."""
SOURCE: Final = f.wide_register(3)
"""Identity of the sender; 0 when the packet came from an uplink."""
DESTINATION: Final = f.wide_register(4)
"""Identity of the receiver."""
ZONE: Final = f.register(10)
"""Conntrack zone of the network on this bridge (1–65534), which also stands for the network."""
OUT: Final = f.register(11)
"""OpenFlow port to send to; 0 when not known."""
VERDICT: Final = f.register(12)
"""Number of the rule that allows the packet; 0 while none does."""
REASON: Final = f.register(13)
"""Why the packet is dropped (`Reason`)."""
VIEW: Final = f.register(14)
"""How the rule tables see the packet: 1 by its own header, 0 by its connection's first packet.

2 says that they do not: it is a message of the link. 3 says so of ARP for an address that nobody here has."""
FLAGS: Final = f.register(15)
"""What else is known of a packet: `STATELESS`, `UNNAMED`."""
BY_HEADER: Final = 1
OF_LINK: Final = 2
OF_NOBODY: Final = 3
HOPS_AS_WANTED: Final = 1
STATELESS: Final = 1
"""In FLAGS: the sender's groups are stateless, so that the packet is not tracked for it."""
UNNAMED: Final = 2
"""In FLAGS: its IP protocol is one that no rule on this bridge names."""

REGISTERS: Final = {
    "LOCAL": LOCAL,
    "MEMBER": MEMBER,
    "PREFIX": PREFIX,
    "SOURCE": SOURCE,
    "DESTINATION": DESTINATION,
    "ZONE": ZONE,
    "OUT": OUT,
    "VERDICT": VERDICT,
    "REASON": REASON,
    "VIEW": VIEW,
    "FLAGS": FLAGS,
}

ELSEWHERE: Final = 0xFFFFFFFF
"""In OUT, instead of an OpenFlow port: somewhere behind the uplinks (OFPP_ANY, which no port has)."""
NO_NETWORK: Final = 65535
"""A conntrack zone that is no network's."""
UNRESTRICTED: Final = 1
"""Identity of a port whose port security is off: no checks apply to it."""
FIRST_IDENTITY: Final = 16
"""Content identities are never below this."""
EGRESS_OPEN: Final = 1
"""Verdict of the implicit rule "egress is open until the first egress rule"."""
