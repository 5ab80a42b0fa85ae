"""A flow: table, priority, match and actions, with its cookie, wire format and text."""

from __future__ import annotations

import struct
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Self

from flows.openflow import fields as f
from flows.openflow.actions import Action, Meter
from flows.openflow.datapath_key import loses_neighbour_fields
from flows.openflow.fields import Match
from flows.openflow.numbers import COOKIE_TAG
from flows.openflow.pipeline import TABLE_BY_ID
from flows.openflow.table import Table

MAX_ACTION_BYTES = 65_000
"""The most bytes of actions that fit into one flow mod: OpenFlow lengths have 16 bits."""

_APPLY_ACTIONS = 4
_FEW_ACTIONS = 400
"""Fewer actions than this always fit: the longest action has fewer than 150 bytes."""
_PLACE = struct.Struct("!BH")
_MATCH = struct.Struct("!HH")
_INSTRUCTION = struct.Struct("!HH4x")
_PADDING = [bytes(-length % 8) for length in range(8)]


class FlowKey(NamedTuple):
    """Identifies a flow on a switch: a flow replaces one with an equal key."""

    table: int
    priority: int
    match: Match


@lru_cache(maxsize=1 << 14, typed=True)
def _encoded(action: Action) -> bytes:
    """Cached, because flows share actions. By type, because actions of two types can be equal tuples."""
    return action.encode()


def match_bytes(match: Match) -> bytes:
    """The ofp_match structure, padded (OpenFlow 1.4 section 7.2.3.1)."""
    entries = b"".join([term[3] for term in match])
    length = 4 + len(entries)
    return _MATCH.pack(1, length) + entries + _PADDING[length % 8]


class FlowError(Exception):
    """A flow that its table's declaration or OpenFlow does not allow."""


class Flow:
    """One flow of the pipeline, checked against its table's declaration.

    `table` is a declared table, `priority` is 0–65535. Raises FlowError for a field that the table
    does not declare, and for a condition that the kernel datapath would not compare
    (`flows.openflow.datapath_key`).
    """

    __slots__ = ("_cookie", "actions", "key")

    def __init__(self, table: Table, priority: int, match: Match, actions: tuple[Action, ...]) -> None:
        fields = table.fields
        for term in match:
            if term[0] not in fields:
                raise FlowError(f"table {table.name} does not match {term.field.name}")
        if table.asks_neighbour and loses_neighbour_fields(match):
            raise FlowError(f"table {table.name}: the kernel would not compare all of {match_text(match)}")
        self.key = FlowKey(table.id, priority, match)
        self.actions = actions
        self._cookie = 0

    @classmethod
    def at(cls, key: FlowKey, actions: tuple[Action, ...]) -> Self:
        """The flow with this key object, so that a large table stores each key only once."""
        flow = cls(TABLE_BY_ID[key.table], key.priority, key.match, actions)
        flow.key = key
        return flow

    @property
    def match_bytes(self) -> bytes:
        """The match in wire format."""
        return match_bytes(self.key.match)

    @property
    def fits(self) -> bool:
        """Whether the actions fit into one flow mod."""
        return len(self.actions) < _FEW_ACTIONS or sum(map(len, self._encoded_actions())) <= MAX_ACTION_BYTES

    def _encoded_actions(self) -> list[bytes]:
        return [_encoded(action) for action in self.actions]

    @property
    def instruction_bytes(self) -> bytes:
        """A meter instruction if there is a meter, and an apply-actions instruction if there are actions.

        Raises FlowError if the actions do not fit into one flow mod.
        """
        encoded = self._encoded_actions()
        meter = encoded.pop(0) if self.meter else b""
        actions = b"".join(encoded)
        if len(actions) > MAX_ACTION_BYTES:
            where = f"table={self.key.table},{','.join(match_text(self.key.match))}"
            raise FlowError(f"{where}: {len(actions)} bytes of actions do not fit one flow")
        return meter + _INSTRUCTION.pack(_APPLY_ACTIONS, 8 + len(actions)) + actions if actions else meter

    @property
    def meter(self) -> int:
        """The number of the flow's meter, which the switch must have before the flow; 0 for none."""
        first = self.actions[0] if self.actions else None
        return first.number if isinstance(first, Meter) else 0

    @property
    def cookie(self) -> int:
        """COOKIE_TAG and a 56-bit hash of the flow's table, priority, match and actions."""
        return self._cookie or self.encode()[0]

    def encode(self) -> tuple[int, bytes]:
        """The cookie; match and instructions in wire format. Only the cookie, which is small, is cached."""
        body = self.match_bytes + self.instruction_bytes
        if not self._cookie:
            digest = blake2b(_PLACE.pack(self.key.table, self.key.priority) + body, digest_size=7)
            self._cookie = COOKIE_TAG << 56 | int.from_bytes(digest.digest(), "big")
        return self._cookie, body

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flow) and self.key == other.key and self.actions == other.actions

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Flow {self}>"

    def text(self, *, names: bool = False) -> str:
        """The flow as `ovs-ofctl add-flows` reads it; with `names`, for people, with names of tables."""
        table = TABLE_BY_ID[self.key.table].name if names else self.key.table
        match = "".join(f",{part}" for part in match_text(self.key.match))
        actions = ",".join(_action_text(action, names) for action in self.actions) or "drop"
        return f"table={table},priority={self.key.priority}{match},actions={actions}"


_SHORTHAND = {0x0800: "ip", 0x86DD: "ipv6", 0x0806: "arp"}
_PROTOCOLS = {
    (0x0800, 1): "icmp",
    (0x0800, 6): "tcp",
    (0x0800, 17): "udp",
    (0x0800, 132): "sctp",
    (0x86DD, 58): "icmp6",
    (0x86DD, 6): "tcp6",
    (0x86DD, 17): "udp6",
    (0x86DD, 132): "sctp6",
}


def match_text(match: Match) -> list[str]:
    """The conditions as ovs-ofctl writes them, with its protocol shorthands."""
    exact = {term.field: term.value for term in match if term.mask is None}
    ethertype, protocol = exact.get(f.ETH_TYPE, -1), exact.get(f.IP_PROTO, -1)
    short = _PROTOCOLS.get((ethertype, protocol))
    parts = []
    for term in match:
        if term.field is f.ETH_TYPE and ethertype in _SHORTHAND:
            parts.append(short or _SHORTHAND[ethertype])
        elif not (term.field is f.IP_PROTO and short):
            parts.append(str(term))
    return parts


def _action_text(action: Action, names: bool) -> str:
    table = getattr(action, "table", None)
    if not names or table is None:
        return str(action)
    return str(action._replace(table=TABLE_BY_ID[table].name))  # type: ignore[attr-defined]  # all are NamedTuples


class FlowDiff(NamedTuple):
    """The flows to add and to remove on a switch; an added flow replaces one of equal key.

    `removed` never contains a key that `added` contains. `vacated` are the OpenFlow ports whose interface
    has left: their drop counters must not pass to the next interface.
    """

    added: list[Flow]
    removed: list[Flow]
    vacated: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.vacated)
