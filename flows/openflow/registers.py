"""The registers that flows use, with their meanings and their reserved values.

Directions are relative to the workload.
"""

from __future__ import annotations

from typing import Final

from flows.openflow import fields as f

LOCAL: Final = f.wide_register(0)
"""Identity of the workload whose rules are checked: a set of security groups.

Before the rules are checked, a MAC of the sending port: the one that its frame should come from. After that,
for neighbour discovery, the high half of an address with which the target is compared."""
MEMBER: Final = f.wide_register(1)
"""Identity of the remote address by membership: the remote groups that it belongs to.

Before the rules are checked, the comparison of the hop limit: `HOPS_AS_WANTED` if it is the required one.
After that, for neighbour discovery, the comparison of its target: `EMPTY_TARGET`, `TARGET_IN_RANGE`,
`KNOWN_TARGET`, or 0."""
PREFIX: Final = f.wide_register(2)
"""Identity of the remote address by prefix: the CIDRs and address groups that cover it.

Before the rules are checked, an address with which ARP or neighbour discovery is compared."""
SOURCE: Final = f.wide_register(3)
"""Identity of the sender; 0 when the packet came from an uplink."""
DESTINATION: Final = f.wide_register(4)
"""Identity of the receiver."""
ZONE: Final = f.register(10)
"""Conntrack zone of the network on this bridge (1–65534); it also identifies the network."""
OUT: Final = f.register(11)
"""OpenFlow port to send to; 0 if it is not known yet."""
VERDICT: Final = f.register(12)
"""Number of the rule that allows the packet; 0 if none does.

Before the rules are checked, the prefix length of the range with which the target of neighbour discovery is
compared; 0 for a single address."""
REASON: Final = f.register(13)
"""Why the packet is dropped (`Reason`)."""
VIEW: Final = f.register(14)
"""What the rule tables match: 1 the packet's own header, 0 its connection's first packet.

2 means a message of the link, which they do not match; 3 means ARP for an address that nobody here has,
which they do not match either."""
FLAGS: Final = f.register(15)
"""Flags of a packet: `STATELESS`, `UNNAMED`. From `DSCP_BIT` on, the DSCP that rules match."""
BY_HEADER: Final = 1
OF_LINK: Final = 2
OF_NOBODY: Final = 3
HOPS_AS_WANTED: Final = 1
EMPTY_TARGET: Final = 2
"""In MEMBER: the target of neighbour discovery is zero, as in a message that Open vSwitch cannot parse."""
TARGET_IN_RANGE: Final = 4
"""In MEMBER: the target of neighbour discovery is in a range of addresses."""
KNOWN_TARGET: Final = 8 | TARGET_IN_RANGE
"""In MEMBER: the target of neighbour discovery is a single address that is looked up, in a range or not."""
STATELESS: Final = 1
"""In FLAGS: the sender's groups are stateless, so the packet is not tracked for it."""
UNNAMED: Final = 2
"""In FLAGS: no rule on this bridge names the packet's IP protocol."""
DSCP_BIT: Final = 8
"""In FLAGS: the lowest bit of the DSCP, which has 6 bits."""
DSCP_KNOWN: Final = 1 << 14
"""In FLAGS: the bits below hold a DSCP. The tracker may not have recorded that of a connection."""
DSCP_BITS: Final = 7
"""The bits of the DSCP and of DSCP_KNOWN."""
DSCP_OF_HEADER: Final = 1 << 15
"""In FLAGS: the DSCP was read from the packet's own header."""
DSCP_OF_CONNECTION: Final = 1 << 16
"""In FLAGS: the DSCP was read from the packet's connection."""
DSCP_ALL_BITS: Final = 9
"""The bits of the DSCP, of DSCP_KNOWN and of both origins."""

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
"""In OUT: the destination is behind the uplinks (OFPP_ANY, which is the number of no port)."""
NO_NETWORK: Final = 65535
"""A conntrack zone that belongs to no network."""
UNRESTRICTED: Final = 1
"""Identity of ports without port security: no checks apply to them."""
FIRST_IDENTITY: Final = 16
"""The lowest identity of a set of groups or prefixes."""
EGRESS_OPEN: Final = 1
"""Verdict of the implicit rule "egress is open until the first egress rule"."""
