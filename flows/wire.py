"""OpenFlow 1.4 messages as bytes: flow mods, bundles, and reading cookies out of flow statistics.

Source: OpenFlow 1.4 sections 7.3.4.1 (flow mod), 7.3.9 (bundles), 7.3.5.2 (flow statistics).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from flows.flow import Flow, FlowDiff

VERSION = 5
FLOW_MOD = 14
BARRIER_REQUEST = 20
BUNDLE_CONTROL = 33
BUNDLE_ADD_MESSAGE = 34

BUNDLE_OPEN, BUNDLE_COMMIT, BUNDLE_DISCARD = 0, 4, 6
BUNDLE_ATOMIC_ORDERED = 3

_ADD, _DELETE = 0, 3
_ALL_TABLES = 0xFF
_ANY = 0xFFFFFFFF
_NO_BUFFER = 0xFFFFFFFF
_EXACT_COOKIE = (1 << 64) - 1
_EMPTY_MATCH = struct.pack("!HH4x", 1, 4)
_HEADER = struct.Struct("!BBHI")
_FLOW_MOD = struct.Struct("!BBHIQQBBHHHIIIHH")
_BUNDLE = struct.Struct("!BBHIIHH")


def _flow_mod(
    command: int, table: int, cookie: tuple[int, int], priority: int, body: bytes, xid: int
) -> bytes:
    """`cookie` is value and mask; no timeouts, no port or group filter, no flags."""
    length = _FLOW_MOD.size + len(body)
    head = (VERSION, FLOW_MOD, length, xid, *cookie, table, command, 0, 0, priority)
    return _FLOW_MOD.pack(*head, _NO_BUFFER, _ANY, _ANY, 0, 0) + body


def add_flow(flow: Flow, xid: int = 0) -> bytes:
    """The flow mod that adds the flow, in place of one with the same key."""
    body = flow.match_bytes + flow.instruction_bytes
    return _flow_mod(_ADD, flow.key.table, (flow.cookie, 0), flow.key.priority, body, xid)


def delete_by_cookie(cookie: int, xid: int = 0, table: int = _ALL_TABLES) -> bytes:
    """The flow mod that deletes whatever carries exactly this cookie.

    A cookie is a hash of the flow's content, so that a flow which has already been replaced by
    another of the same key stays.
    """
    return _flow_mod(_DELETE, table, (cookie, _EXACT_COOKIE), 0, _EMPTY_MATCH, xid)


def bundle_control(bundle: int, kind: int, xid: int) -> bytes:
    """Open, commit or discard a bundle; its messages take effect all at once, in order, or not at all."""
    return _BUNDLE.pack(VERSION, BUNDLE_CONTROL, _BUNDLE.size, xid, bundle, kind, BUNDLE_ATOMIC_ORDERED)


def bundle_add(bundle: int, message: bytes, xid: int) -> bytes:
    """Put a message into a bundle; `xid` must be the one inside the message."""
    length = _BUNDLE.size + len(message)
    return _BUNDLE.pack(VERSION, BUNDLE_ADD_MESSAGE, length, xid, bundle, 0, BUNDLE_ATOMIC_ORDERED) + message


def barrier_request(xid: int) -> bytes:
    """The message the switch answers when it is done with everything before."""
    return _HEADER.pack(VERSION, BARRIER_REQUEST, _HEADER.size, xid)


def diff_messages(diff: FlowDiff, bundle: int, xid: int) -> Iterator[bytes]:
    """The contents of a bundle that makes the change."""
    for flow in diff.removed:
        yield bundle_add(bundle, delete_by_cookie(flow.cookie, xid, flow.key.table), xid)
    for flow in diff.added:
        yield bundle_add(bundle, add_flow(flow, xid), xid)


class Installed(NamedTuple):
    """What reconciliation needs to know of a flow on the switch."""

    table: int
    cookie: int


_STATS_HEAD = struct.Struct("!HB")
_STATS_COOKIE_OFFSET = 24


def installed_flows(body: bytes) -> Iterator[Installed]:
    """Read table and cookie of each entry of an OFPMP_FLOW reply body; matches are not parsed.

    Raises ValueError when the body is cut short.
    """
    offset = 0
    while offset < len(body):
        length, table = _STATS_HEAD.unpack_from(body, offset)
        if length < _STATS_COOKIE_OFFSET + 8 or offset + length > len(body):
            raise ValueError("flow statistics entry cut short")
        (cookie,) = struct.unpack_from("!Q", body, offset + _STATS_COOKIE_OFFSET)
        yield Installed(table, cookie)
        offset += length


def reconcile(
    expected: Iterable[Flow], installed: Iterable[Installed], tag: int
) -> tuple[list[Flow], list[int]]:
    """What to add, and which cookies under `tag` to delete, so that the switch holds what is expected."""
    wanted = {flow.cookie: flow for flow in expected}
    present = {entry.cookie for entry in installed}
    missing = [flow for cookie, flow in wanted.items() if cookie not in present]
    foreign = [cookie for cookie in present if cookie >> 56 == tag and cookie not in wanted]
    return missing, foreign
