"""Reserved numbers of flows: priorities, cookies, meters, and how much a switch may learn."""

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
    """Conjunction bands of rules for a protocol go down from here."""
    UNNAMED = 40500
    """Here ends the lookup of a packet of an unnamed protocol: between rules for all protocols and others."""
    UNCONDITIONAL = 50000
    """Plain accepts: above every conjunction of their table, so that none of equal priority is hidden."""
    ALL_PROTOCOLS_TOP = 65000
    """Conjunction bands of rules for all protocols go down from here."""


PREFIX_BASE: Final = 100
"""Longest prefix match: the priority is PREFIX_BASE + prefix length."""

RULES_PER_BAND: Final = 2048
"""Rules with consecutive numbers share a priority band, so that no clause flow can hold more
conjunction actions than fit one flow (OpenFlow lengths are 16 bits, an action is 16 bytes)."""
BANDS: Final = 24000


def conjunction_priority(rule_number: int, *, all_protocols: bool = False) -> int:
    """The priority of every flow of a rule; rules of one band share it."""
    top = Priority.ALL_PROTOCOLS_TOP if all_protocols else Priority.CONJUNCTION_TOP
    return top - rule_number // RULES_PER_BAND % BANDS


ROUTER_OF_ORIGINAL: Final = 80
ROUTER_OF_REPLY: Final = 32
"""The bits of a connection's label from which on the MAC of the router is, by direction; 48 each."""

FRAGMENT_METERS: Final = 1 << 16
"""A port's meter for fragments has its number plus this; its meter for what needs no rule, its number."""
NETWORK_METERS: Final = 1 << 17
"""The meter for all fragments of a network has its zone plus this."""

COOKIE_TAG: Final = 0x5C
"""Top byte of the cookie of every flow of ours; the rest is a hash of the flow's content."""
LEARNED_COOKIE_TAG: Final = 0x5D
"""The same of flows that the switch has learned. Differs from COOKIE_TAG in the last bit only."""
DROPS_COOKIE: Final = LEARNED_COOKIE_TAG << 56 | 1
"""Cookie of the learned flows that count drops."""
DROPS_LIMIT: Final = 65536
"""Learned drop counters per switch: ports × reasons stay far below."""

FDB_LIMIT: Final = 4096
"""Learned MACs per uplink and network, and per port without port security."""
FDB_IDLE_SECONDS: Final = 300

HOLDER_COOKIE: Final = LEARNED_COOKIE_TAG << 56 | 1 << 48
"""Cookie of the learned holder of a MAC; the MAC is its low 48 bits."""
HOLDER_LIMIT: Final = 65536
"""Learned holders of one MAC: a network has one, and there are fewer networks than that."""
HOLDER_SECONDS: Final = 300
"""How long a holder is remembered that says nothing."""
