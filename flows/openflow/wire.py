"""OpenFlow 1.4 messages as bytes: flow mods, meter mods and bundles; cookies from flow statistics.

Source: OpenFlow 1.4 sections 7.3.4.1 (flow mod), 7.3.4.4 (meter mod), 7.3.9 (bundles), 7.3.5.2 (flow
statistics).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from flows.openflow.fields import IN_PORT, Match
from flows.openflow.flow import Flow, FlowKey, match_bytes
from flows.openflow.numbers import (
    COOKIE_TAG,
    DROPS_COOKIE,
    FRAGMENT_METERS,
    LEARNED_COOKIE_TAG,
    NETWORK_METERS,
)
from flows.openflow.pipeline import DROPPED, LEARNING, TABLE_BY_ID
from flows.openflow.registers import OUT

VERSION = 5
FLOW_MOD = 14
BARRIER_REQUEST = 20
METER_MOD = 29
BUNDLE_CONTROL = 33
BUNDLE_ADD_MESSAGE = 34

BUNDLE_OPEN, BUNDLE_COMMIT, BUNDLE_DISCARD = 0, 4, 6
BUNDLE_ATOMIC_ORDERED = 3

_ADD, _DELETE, _DELETE_STRICT = 0, 3, 4
_ALL_TABLES = 0xFF
_ANY = 0xFFFFFFFF
_NO_BUFFER = 0xFFFFFFFF
_EXACT_COOKIE = (1 << 64) - 1
_WITH_BURST, _COUNTING = 4, 8
_DROP = 1
_HEADER = struct.Struct("!BBHI")
_METER_MOD = struct.Struct("!BBHIHHI")
_BAND = struct.Struct("!HHII4x")
_FLOW_MOD = struct.Struct("!BBHIQQBBHHHIIIHH")
_BUNDLE = struct.Struct("!BBHIIHH")
_BUNDLED_FLOW_MOD = struct.Struct("!BBHIIHHBBHIQQBBHHHIIIHH")


def _flow_mod(
    command: int, table: int, cookie: tuple[int, int], priority: int, body: bytes, xid: int
) -> bytes:
    """A flow mod without timeouts, flags, and filters by port or group. `cookie` is value and mask."""
    length = _FLOW_MOD.size + len(body)
    head = (VERSION, FLOW_MOD, length, xid, *cookie, table, command, 0, 0, priority)
    return _FLOW_MOD.pack(*head, _NO_BUFFER, _ANY, _ANY, 0, 0) + body


def add_flow(flow: Flow, xid: int = 0) -> bytes:
    """The flow mod that adds a flow and replaces one with the same key."""
    cookie, body = flow.encode()
    return _flow_mod(_ADD, flow.key.table, (cookie, 0), flow.key.priority, body, xid)


def delete_flow(key: FlowKey, xid: int = 0) -> bytes:
    """The flow mod that deletes the flow with this key if it is one of ours (by COOKIE_TAG)."""
    tag_mask = 0xFF << 56
    body = match_bytes(key.match)
    return _flow_mod(_DELETE_STRICT, key.table, (COOKIE_TAG << 56, tag_mask), key.priority, body, xid)


def delete_by_cookie(cookie: int, xid: int = 0) -> bytes:
    """The flow mod that deletes the flows with exactly this cookie from all tables."""
    return _flow_mod(_DELETE, _ALL_TABLES, (cookie, _EXACT_COOKIE), 0, match_bytes(()), xid)


class DropCounters(NamedTuple):
    """The drop counters (learned flows) whose match includes `match`."""

    match: Match

    @classmethod
    def of_port(cls, ofport: int) -> list[DropCounters]:
        """The counters of an OpenFlow port: of packets that it sent, and of packets to it."""
        return [cls((IN_PORT(ofport),)), cls((OUT(ofport),))]

    def meters(self) -> list[int]:
        """The numbers of the meters of the OpenFlow ports whose sent packets are counted.

        Reserved ports, such as the bridge's own interface, have no meters: Open vSwitch numbers ports up to
        65,279, and the numbers of reserved ports belong to other meters.
        """
        ports = [term.value for term in self.match if term.field is IN_PORT]
        senders = [ofport for ofport in ports if ofport < FRAGMENT_METERS]
        return [*senders, *(FRAGMENT_METERS + ofport for ofport in senders)]


def delete_counters(counters: DropCounters, xid: int = 0) -> bytes:
    """The flow mod that deletes these drop counters."""
    cookie = DROPS_COOKIE, _EXACT_COOKIE
    return _flow_mod(_DELETE, DROPPED.id, cookie, 0, match_bytes(counters.match), xid)


class MeterUnit(IntEnum):
    """What a meter counts (OpenFlow 1.4 section 7.3.4.4)."""

    KILOBITS = 1
    PACKETS = 2


class Budget(NamedTuple):
    """A meter's limit: `rate` units a second, and `burst` units at once."""

    rate: int
    burst: int
    unit: MeterUnit = MeterUnit.KILOBITS

    def times(self, factor: int) -> Budget:
        """The budget multiplied by `factor`."""
        return self._replace(rate=self.rate * factor, burst=self.burst * factor)


class Budgets(NamedTuple):
    """A port's budgets: for exempt traffic, and for fragments that it sends or gets from outside."""

    control: Budget
    fragments: Budget

    def of_meter(self, number: int) -> Budget:
        """The limit of the meter with this number, which tells whether it belongs to a port or a network."""
        if number < FRAGMENT_METERS:
            return self.control
        return self.fragments if number < NETWORK_METERS else self.fragments.times(PORTS_AT_ONCE)


PORTS_AT_ONCE = 3
"""The number of ports of a network that can use their whole budget of fragments at the same time."""
BUDGETS = Budgets(Budget(rate=128, burst=512), Budget(rate=15, burst=400, unit=MeterUnit.PACKETS))
"""About 250 ARP requests a second, and 1,000 at once; about 600 fragments in 15 seconds."""


class MeterCommand(IntEnum):
    """What a meter mod does (OpenFlow 1.4 section 7.3.4.4)."""

    ADD = 0
    MODIFY = 1


METER_FAILED = 12
"""OFPET_METER_MOD_FAILED."""
METER_EXISTS, UNKNOWN_METER = 1, 3
"""Its codes: the meter to add exists already; the meter to modify does not exist."""


def meter_mod(command: MeterCommand, number: int, budget: Budget, xid: int = 0) -> bytes:
    """The meter mod for a meter with one band, which drops. Modifying a meter resets its counters."""
    length = _METER_MOD.size + _BAND.size
    head = (VERSION, METER_MOD, length, xid, command, budget.unit | _WITH_BURST | _COUNTING, number)
    return _METER_MOD.pack(*head) + _BAND.pack(_DROP, _BAND.size, budget.rate, budget.burst)


Edit = Flow | FlowKey | int | DropCounters
"""A change of a switch: add this flow; delete the flow with this key, flows by cookie, or drop counters."""


def encode(edit: Edit, xid: int = 0) -> bytes:
    """The flow mod of an edit."""
    match edit:
        case Flow():
            return add_flow(edit, xid)
        case FlowKey():
            return delete_flow(edit, xid)
        case DropCounters():
            return delete_counters(edit, xid)
        case _:
            return delete_by_cookie(edit, xid)


def bundle_control(bundle: int, kind: int, xid: int) -> bytes:
    """Open, commit or discard a bundle. Its messages take effect at once and in order, or not at all."""
    return _BUNDLE.pack(VERSION, BUNDLE_CONTROL, _BUNDLE.size, xid, bundle, kind, BUNDLE_ATOMIC_ORDERED)


def bundle_add(bundle: int, message: bytes, xid: int) -> bytes:
    """Add a message to a bundle. Both must have the same xid, so the xid of the message is replaced."""
    head = (VERSION, BUNDLE_ADD_MESSAGE, _BUNDLE.size + len(message), xid, bundle, 0, BUNDLE_ATOMIC_ORDERED)
    return _BUNDLE.pack(*head) + message[:4] + xid.to_bytes(4, "big") + message[8:]


def bundle_edit(bundle: int, edit: Edit, xid: int) -> bytes:
    """Add an edit to a bundle: like `bundle_add` of `encode`, but faster for the flows of a whole switch."""
    if not isinstance(edit, Flow):
        return bundle_add(bundle, encode(edit), xid)
    (table, priority, _), (cookie, body) = edit.key, edit.encode()
    length = _FLOW_MOD.size + len(body)
    outer = (VERSION, BUNDLE_ADD_MESSAGE, _BUNDLE.size + length, xid, bundle, 0, BUNDLE_ATOMIC_ORDERED)
    inner = (VERSION, FLOW_MOD, length, xid, cookie, 0, table, _ADD, 0, 0, priority)
    return _BUNDLED_FLOW_MOD.pack(*outer, *inner, _NO_BUFFER, _ANY, _ANY, 0, 0) + body


def barrier_request(xid: int) -> bytes:
    """The message that a switch answers after it has processed all earlier messages."""
    return _HEADER.pack(VERSION, BARRIER_REQUEST, _HEADER.size, xid)


class Installed(NamedTuple):
    """What reconciliation needs of a flow on the switch.

    `bypasses`: the flow is in one of our tables, is not ours, and does more than drop. Our flows do not check
    the packets that it matches.
    """

    table: int
    cookie: int
    bypasses: bool = False


_STATS_HEAD = struct.Struct("!HB21xQ")
_STATS_COOKIE_END = _STATS_HEAD.size
_STATS_MATCH = struct.Struct("!48x2xH")
_STATS_MATCH_AT = 48


def installed_flow(buffer: bytes, offset: int) -> tuple[int, Installed]:
    """The length in bytes and the content of the flow statistics entry at `offset`; the match is not parsed.

    Raises ValueError if the entry is cut short.
    """
    if offset + _STATS_COOKIE_END > len(buffer):
        raise ValueError("flow statistics entry cut short")
    length, table, cookie = _STATS_HEAD.unpack_from(buffer, offset)
    if length < _STATS_COOKIE_END or offset + length > len(buffer):
        raise ValueError("flow statistics entry cut short")
    if cookie >> 56 == COOKIE_TAG:
        return length, Installed(table, cookie)
    foreign = table in TABLE_BY_ID and not is_learned(table, cookie)
    return length, Installed(table, cookie, foreign and _has_instructions(buffer, offset, length))


def is_learned(table: int, cookie: int) -> bool:
    """Whether the switch learned the flow from a learn action of one of our flows."""
    return cookie >> 56 == LEARNED_COOKIE_TAG and table in LEARNING


def _has_instructions(buffer: bytes, offset: int, length: int) -> bool:
    """Whether anything follows the match, which is padded to a multiple of 8 bytes (section 7.2.3.1)."""
    if length < _STATS_MATCH.size:
        raise ValueError("flow statistics entry cut short")
    match_length = int(_STATS_MATCH.unpack_from(buffer, offset)[0])
    return _STATS_MATCH_AT + (match_length + 7) // 8 * 8 < length


def _others_cookies() -> list[tuple[int, int]]:
    """Values and masks that together match every cookie with neither of our tags, each cookie once.

    One for each bit of the tag except the last: the higher bits equal those of our tags, this bit differs.
    """
    return [
        ((COOKIE_TAG << 56 ^ 1 << bit) & (-1 << bit) & _EXACT_COOKIE, (-1 << bit) & _EXACT_COOKIE)
        for bit in range(63, 56, -1)
    ]


OTHERS_COOKIES = _others_cookies()


def reconcile(
    expected: Iterable[Flow], installed: Iterable[Installed], tag: int
) -> tuple[list[Flow], list[int]]:
    """The flows to add, and the cookies under `tag` to delete, so that the switch has the expected flows."""
    wanted = {flow.cookie: flow for flow in expected}
    present = {entry.cookie for entry in installed}
    missing = [flow for cookie, flow in wanted.items() if cookie not in present]
    foreign = [cookie for cookie in present if cookie >> 56 == tag and cookie not in wanted]
    return missing, foreign
