"""Identities: one number for a set, the same on every host, after every restart, and in any order of edits.

A number is a hash of the set's content. Nothing is allocated, so nothing has to be stored, and the same
policy gives the same flows after any sequence of edits.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from flows.openflow.registers import FIRST_IDENTITY, UNRESTRICTED
from flows.policy.objects import EgressDefault


class LocalSet(NamedTuple):
    """What decides a port's rules: its groups, and what it may send while they have no egress rule."""

    groups: frozenset[str]
    egress_default: EgressDefault = EgressDefault.DENY
    unrestricted: bool = False
    stateless: bool = False


def content_number(parts: Iterable[str]) -> int:
    """A 64-bit hash of a set of strings, never a reserved number."""
    digest = blake2b("\0".join(sorted(parts)).encode(), digest_size=8)
    return max(int.from_bytes(digest.digest(), "big"), FIRST_IDENTITY)


def local_number(local: LocalSet) -> int:
    """The identity of ports that have this set."""
    if local.unrestricted:
        return UNRESTRICTED
    return content_number([*local.groups, f"egress={local.egress_default}"])
