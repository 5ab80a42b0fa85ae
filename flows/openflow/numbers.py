"""Numbers that flows use: priorities, cookies and meters, and the limits of learned flows."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Priority(IntEnum):
    """Named priority bands; within a table, higher wins."""

    MISS = 0
    DEFAULT = 10
    LOW = 20
    NORMAL = 100
    HIGH = 200
    GUARD = 300
    CONJUNCTION_TOP = 40000
    """The highest band of conjunctions of rules for a protocol; the others are below it."""
    UNNAMED = 40500
    """Ends the lookup of a packet of an unnamed protocol: between rules for all protocols and others."""
    UNCONDITIONAL = 50000
    """Plain accepts: above every conjunction of their table, so that they hide none of equal priority."""
    ALL_PROTOCOLS_TOP = 65000
    """The highest band of conjunctions of rules for all protocols; the others are below it."""
    READ_DSCP = 65500
    """Reads the DSCP, before the rules of the same table are looked up."""


PREFIX_BASE: Final = 100
"""Longest prefix match: the priority is PREFIX_BASE + prefix length."""

RULES_PER_BAND: Final = 2048
"""So many rules with consecutive numbers share a priority band. No flow of a clause can then have more
conjunction actions than fit into one flow (OpenFlow lengths have 16 bits, an action has 16 bytes)."""
BANDS: Final = 24000


def conjunction_priority(rule_number: int, *, all_protocols: bool = False) -> int:
    """The priority of all flows of a rule; the rules of a band share it."""
    top = Priority.ALL_PROTOCOLS_TOP if all_protocols else Priority.CONJUNCTION_TOP
    return top - rule_number // RULES_PER_BAND % BANDS


ROUTER_OF_ORIGINAL: Final = 80
ROUTER_OF_REPLY: Final = 32
"""The lowest bits of the router's MAC (48 bits) in a connection's label, by direction."""
DSCP_OF_OPENER: Final = 0
"""The lowest bit of the first packet's DSCP in a connection's label. DSCP_KNOWN follows its 6 bits."""

FRAGMENT_METERS: Final = 1 << 16
"""A port's fragment meter has its ofport plus this as its number; its control meter has its ofport."""
NETWORK_METERS: Final = 1 << 17
"""The meter for all fragments of a network has the network's zone plus this as its number."""

COOKIE_TAG: Final = 0x5C
"""The top byte of the cookies of sgctl's flows; the rest is a hash of the flow's content."""
LEARNED_COOKIE_TAG: Final = 0x5D
"""The top byte of the cookies of learned flows. Differs from COOKIE_TAG only in the last bit."""
DROPS_COOKIE: Final = LEARNED_COOKIE_TAG << 56 | 1
"""Cookie of the learned flows that count drops."""
DROPS_LIMIT: Final = 65536
"""The most learned drop counters per switch; ports × reasons stay far below it."""

FDB_LIMIT: Final = 4096
"""The most learned MACs per uplink and network, and per port without port security."""
FDB_IDLE_SECONDS: Final = 300

HOLDER_COOKIE: Final = LEARNED_COOKIE_TAG << 56 | 1 << 48
"""Cookie of the learned holders of a MAC; the MAC is in its low 48 bits."""
HOLDER_LIMIT: Final = 65536
"""The most learned holders of one MAC: each network has one, and there are fewer networks."""
HOLDER_SECONDS: Final = 300
"""The seconds after which a holder expires unless it is learned again."""
