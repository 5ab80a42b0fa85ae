"""Remote addresses: one flow lookup per table gives the identity of the selectors that cover an address.

Every direction and family has two such tables: members (single addresses of remote groups, within
a network) and prefixes (CIDRs, address groups, networks; an address inherits every selector whose
prefix covers it). Both hold only what an active rule names.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from flows.compiler.claims import ClaimTable, Owner
from flows.compiler.identities import content_number
from flows.compiler.services import BY_CONNECTION, BY_HEADER, IPV4_TERM, IPV6_TERM, prefix_term
from flows.openflow import fields as f
from flows.openflow import registers as r
from flows.openflow.actions import SetField
from flows.openflow.fields import Field, Term
from flows.openflow.flow import Flow
from flows.openflow.numbers import PREFIX_BASE
from flows.openflow.table import Table
from flows.policy.index import Member, Selector, SelectorKind
from flows.policy.objects import Direction, Prefix

_HEADER = {
    (Direction.EGRESS, 4): f.IPV4_DST,
    (Direction.EGRESS, 6): f.IPV6_DST,
    (Direction.INGRESS, 4): f.IPV4_SRC,
    (Direction.INGRESS, 6): f.IPV6_SRC,
}
_TRACKED = {
    (Direction.EGRESS, 4): f.CT_NW_DST,
    (Direction.EGRESS, 6): f.CT_IPV6_DST,
    (Direction.INGRESS, 4): f.CT_NW_SRC,
    (Direction.INGRESS, 6): f.CT_IPV6_SRC,
}

SelectorSet = frozenset[Selector]
_NONE: SelectorSet = frozenset()
Watcher = Callable[[Selector, int, bool], None]
"""Called when a selector is now (True) or no longer (False) part of the identity with this number."""


@lru_cache(maxsize=1 << 12)
def _number(selectors: SelectorSet) -> int:
    """Cached, because many addresses have the same selectors."""
    return content_number(map(str, selectors))


@lru_cache(maxsize=1 << 12)
def _load(register: Field, number: int) -> tuple[SetField]:
    return (SetField(register, number),)


@lru_cache(maxsize=1 << 12)
def _shared(selectors: SelectorSet) -> SelectorSet:
    """One object for all addresses with an equal set: a set takes more memory than an address."""
    return selectors


def _changed(selectors: SelectorSet, selector: Selector, present: bool) -> SelectorSet:
    """The set with the selector, or without it."""
    return _shared(selectors | {selector} if present else selectors - {selector})


class RemoteIdentities:
    """The sets of selectors in use in one table. Calls the watcher when a set appears or disappears."""

    def __init__(self, watcher: Watcher) -> None:
        self.of_selector: defaultdict[Selector, set[int]] = defaultdict(set)
        self._uses: Counter[SelectorSet] = Counter()
        self._watcher = watcher

    def number(self, selectors: SelectorSet) -> int:
        """The identity of a set of selectors."""
        return _number(selectors)

    def sets(self) -> Iterable[SelectorSet]:
        """The sets in use."""
        return self._uses.keys()

    def swap(self, old: SelectorSet, new: SelectorSet) -> None:
        """Move one address from one set to another. The empty set stands for none."""
        for selectors, step in ((new, 1), (old, -1)):
            if not selectors:
                continue
            self._uses[selectors] += step
            if self._uses[selectors] == max(step, 0):
                self._announce(selectors, appeared=step > 0)
            if not self._uses[selectors]:
                del self._uses[selectors]

    def _announce(self, selectors: SelectorSet, appeared: bool) -> None:
        number = self.number(selectors)
        for selector in selectors:
            numbers = self.of_selector[selector]
            (numbers.add if appeared else numbers.discard)(number)
            self._watcher(selector, number, appeared)


class RemoteTable:
    """The common part of member and prefix tables: two flows per address, one for each view."""

    def __init__(
        self, claims: ClaimTable, table: Table, register: Field, side: tuple[Direction, int], watcher: Watcher
    ) -> None:
        self.identities = RemoteIdentities(watcher)
        self._claims = claims
        self._table = table
        self._register = register
        self._side = side

    def _flows(self, prefix: Prefix, selectors: SelectorSet, *extra: Term) -> Iterator[Flow]:
        family = IPV4_TERM if self._side[1] == 4 else IPV6_TERM
        actions = _load(self._register, self.identities.number(selectors))
        for view, field in ((BY_HEADER, _HEADER[self._side]), (BY_CONNECTION, _TRACKED[self._side])):
            match = (*extra, *view, family, *prefix_term(field, prefix))
            yield Flow(self._table, PREFIX_BASE + prefix.length, match, actions)

    def _owner(self, prefix: Prefix) -> Owner:
        return (self._table.name, self._side[1], prefix)


class MemberTable(RemoteTable):
    """Addresses of the groups that active rules name, in the networks present on the bridge."""

    def __init__(
        self,
        claims: ClaimTable,
        table: Table,
        side: tuple[Direction, int],
        watcher: Watcher,
        zones_of_scope: dict[str, set[int]],
    ) -> None:
        super().__init__(claims, table, r.MEMBER, side, watcher)
        self._zones_of_scope = zones_of_scope
        self._groups: defaultdict[str, dict[Prefix, SelectorSet]] = defaultdict(dict)
        self._placed: dict[tuple[int, Prefix], SelectorSet] = {}

    def set_member(self, selector: Selector, member: Member, present: bool) -> None:
        """Add an address to a group, or remove it."""
        if member.address.version != self._side[1]:
            return
        held = self._groups[member.scope]
        here = _changed(held.get(member.address, _NONE), selector, present)
        if here:
            held[member.address] = here
        else:
            held.pop(member.address, None)
        for zone in self._zones_of_scope.get(member.scope, ()):
            self._place(zone, member.address, here)

    def refresh_zone(self, zone: int, scope: str | None) -> None:
        """Update a zone whose network appears on the bridge, leaves it (no `scope`), or changes its scope."""
        wanted = self._groups.get(scope, {}) if scope is not None else {}
        for placed_zone, address in list(self._placed):
            if placed_zone == zone and address not in wanted:
                self._place(zone, address, _NONE)
        for address, selectors in wanted.items():
            self._place(zone, address, selectors)

    def _place(self, zone: int, address: Prefix, selectors: SelectorSet) -> None:
        old = self._placed.pop((zone, address), _NONE)
        if selectors:
            self._placed[zone, address] = selectors
        if old == selectors:
            return
        self.identities.swap(old, selectors)
        owner = (*self._owner(address), zone)
        self._claims.assign(owner, self._flows(address, selectors, r.ZONE(zone)) if selectors else ())


class PrefixTable(RemoteTable):
    """CIDRs, address groups and networks that active rules name, found by longest prefix match."""

    def __init__(
        self, claims: ClaimTable, table: Table, side: tuple[Direction, int], watcher: Watcher
    ) -> None:
        super().__init__(claims, table, r.PREFIX, side, watcher)
        self._direct: dict[Prefix, SelectorSet] = {}
        self._sorted: list[Prefix] = []
        self._lengths: Counter[int] = Counter()
        self._effective: dict[Prefix, SelectorSet] = {}

    def set_prefix(self, selector: Selector, prefix: Prefix, present: bool) -> None:
        """Add a prefix to a selector, or remove it."""
        if prefix.version != self._side[1]:
            return
        here = self._direct.get(prefix, _NONE)
        if (selector in here) == present:
            return
        if present:
            self._add(prefix, selector)
        else:
            self._remove(prefix, selector)
        for nested in [prefix, *self._nested(prefix)]:
            self._place(nested, self._covering(nested))

    def _add(self, prefix: Prefix, selector: Selector) -> None:
        if prefix not in self._direct:
            insort(self._sorted, prefix)
            self._lengths[prefix.length] += 1
        self._direct[prefix] = _changed(self._direct.get(prefix, _NONE), selector, present=True)

    def _remove(self, prefix: Prefix, selector: Selector) -> None:
        self._direct[prefix] = _changed(self._direct[prefix], selector, present=False)
        if not self._direct[prefix]:
            del self._direct[prefix]
            del self._sorted[bisect_left(self._sorted, prefix)]
            self._lengths[prefix.length] -= 1
            if not self._lengths[prefix.length]:
                del self._lengths[prefix.length]

    def _nested(self, prefix: Prefix) -> Iterable[Prefix]:
        start = bisect_left(self._sorted, prefix)
        past = Prefix(prefix.version, prefix.value + (1 << (prefix.bits - prefix.length)), 0)
        inside = self._sorted[start : bisect_left(self._sorted, past)]
        return [other for other in inside if other != prefix]

    def _covering(self, prefix: Prefix) -> SelectorSet:
        """All selectors with a prefix that covers this one; none if no rule names the prefix itself."""
        if prefix not in self._direct:
            return _NONE
        found = _NONE
        for length in self._lengths:
            if length <= prefix.length:
                mask = ((1 << length) - 1) << (prefix.bits - length)
                found |= self._direct.get(Prefix(prefix.version, prefix.value & mask, length), _NONE)
        return _shared(found)

    def _place(self, prefix: Prefix, selectors: SelectorSet) -> None:
        old = self._effective.pop(prefix, _NONE)
        if selectors:
            self._effective[prefix] = selectors
        if old == selectors:
            return
        self.identities.swap(old, selectors)
        self._claims.assign(self._owner(prefix), self._flows(prefix, selectors) if selectors else ())


def is_member_selector(selector: Selector) -> bool:
    """Whether a remote is found in the member tables and not in the prefix tables."""
    return selector.kind is SelectorKind.GROUP
