"""All policy objects with the indexes that the compiler needs, and what a set of changes affects.

This module does not depend on bridges or flows. One `Policy` serves all bridges of a controller.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, TypeVar

from flows.policy.objects import (
    AddressGroup,
    Change,
    Direction,
    Network,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)

T = TypeVar("T", Network, AddressGroup, SecurityGroup)


class SelectorKind(Enum):
    """The kinds of remotes. ANY matches every address of the rule's ethertype."""

    ANY = "any"
    GROUP = "group"
    PREFIX = "prefix"
    ADDRESS_GROUP = "address_group"
    NETWORK = "network"


class Selector(NamedTuple):
    """A remote: its kind and its id (for PREFIX, the CIDR as text)."""

    kind: SelectorKind
    key: str

    def __str__(self) -> str:
        return f"{self.kind.value}={self.key}"


ANY = Selector(SelectorKind.ANY, "")


def selector_of(rule: Rule) -> Selector:
    """The rule's remote as a selector; a CIDR with prefix length 0 becomes ANY."""
    if rule.remote_group_id is not None:
        return Selector(SelectorKind.GROUP, rule.remote_group_id)
    if rule.remote_address_group_id is not None:
        return Selector(SelectorKind.ADDRESS_GROUP, rule.remote_address_group_id)
    if rule.remote_network_id is not None:
        return Selector(SelectorKind.NETWORK, rule.remote_network_id)
    if rule.remote_ip_prefix is not None and rule.remote_ip_prefix.length > 0:
        return Selector(SelectorKind.PREFIX, str(rule.remote_ip_prefix))
    return ANY


@lru_cache(maxsize=1 << 14)
def link_local(mac: str) -> Prefix:
    """The IPv6 link-local address that EUI-64 derives from a MAC (RFC 4291 appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return Prefix(6, 0xFE80 << 112 | int.from_bytes(interface, "big"), 128)


def member_addresses(port: Port) -> Iterator[Prefix]:
    """The addresses that a port contributes to its groups.

    An allowed address pair counts only if it is a single address. A wide pair would make members of
    addresses that other hosts have.
    """
    yield from port.fixed_ips
    yield link_local(port.mac)
    yield from (pair.prefix for pair in port.allowed_address_pairs if pair.prefix.is_host)


class Member(NamedTuple):
    """An address and its address scope (the network's id if the network has no named scope)."""

    scope: str
    address: Prefix


Claim = Prefix | str
"""A single address or a MAC that a port may use."""


def claims_of(port: Port) -> Iterator[Claim]:
    """The MACs and single addresses that a port may use.

    The CIDR of a wide allowed address pair is not included: it only permits the port to send.
    """
    yield port.mac
    yield link_local(port.mac)
    yield from port.fixed_ips
    for mac, prefix in port.allowed_address_pairs:
        yield mac
        yield link_local(mac)
        if prefix.is_host:
            yield prefix


class _Uses(NamedTuple):
    """The claims of a port, and whether the port is administratively up."""

    network_id: str
    admin_state_up: bool
    claims: frozenset[Claim]


def _uses(port: Port) -> _Uses:
    return _Uses(port.network_id, port.admin_state_up, frozenset(claims_of(port)))


def _sets() -> defaultdict[Claim, set[str]]:
    return defaultdict(set)


@dataclass
class Touched:
    """What a set of changes may affect. Compilers read the present state from the policy."""

    networks: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)
    kinds_of_rules: set[str] = field(default_factory=set)
    """The groups that got their first rule of a direction and IP version, or lost their last one."""
    members: set[tuple[str, Member]] = field(default_factory=set)
    prefixes: set[tuple[Selector, Prefix]] = field(default_factory=set)


class Policy:
    """All policy objects, indexed. `apply` accepts changes in any order that was valid at their source."""

    def __init__(self) -> None:
        self.networks: dict[str, Network] = {}
        self.ports: dict[str, Port] = {}
        self.groups: dict[str, SecurityGroup] = {}
        self.address_groups: dict[str, AddressGroup] = {}
        self.rules: dict[str, Rule] = {}
        self.rules_of_group: defaultdict[str, set[str]] = defaultdict(set)
        self.ports_of_network: defaultdict[str, set[str]] = defaultdict(set)
        self.port_of_iface: dict[str, str] = {}
        self.kinds_of_rules: Counter[tuple[str, Direction, int]] = Counter()
        """The number of rules, by group, direction and IP version."""
        self.members: defaultdict[str, Counter[Member]] = defaultdict(Counter)
        self.bound: set[str] = set()
        """The ids of the ports that are bound on some host."""
        self._users: defaultdict[str, defaultdict[Claim, set[str]]] = defaultdict(_sets)
        self._counted: dict[str, tuple[frozenset[str], tuple[Member, ...]]] = {}

    def apply(self, changes: Iterable[Change]) -> Touched:
        """Apply the changes; returns what they may affect."""
        touched = Touched()
        claimed: set[tuple[str, Claim]] = set()
        for change in changes:
            self._step(change, touched)
            claimed.update(self._step_claims(change))
        for network, claim in claimed:
            touched.ports.update(self.users_of(network, claim))
        for network in touched.networks:
            touched.ports |= self.ports_of_network.get(network, set())
        for port in touched.ports:
            self._recount(port, touched)
        return touched

    def apply_bound(self, changes: Mapping[str, bool]) -> Touched:
        """Record, by id, which ports are now bound on some host or on none; returns what this may affect."""
        touched = Touched()
        for port, bound in changes.items():
            (self.bound.add if bound else self.bound.discard)(port)
            self._recount(port, touched)
        return touched

    def is_member(self, port: Port) -> bool:
        """Whether the port counts as a member of its groups."""
        network = self.networks.get(port.network_id)
        return network is None or not network.bound_members_only or port.id in self.bound

    def effective_groups(self, port: Port) -> frozenset[str]:
        """The port's own groups, or its network's default group if it has none.

        A port without port security gets no default group.
        """
        if port.security_groups or not port.port_security_enabled:
            return port.security_groups
        network = self.networks.get(port.network_id)
        default = network.default_group if network else None
        return frozenset([default]) if default else frozenset()

    def users_of(self, network_id: str, claim: Claim) -> Collection[str]:
        """The ids of the network's ports that may use a MAC or a single address."""
        return self._users[network_id].get(claim, ()) if network_id in self._users else ()

    def shared_claims(self, port: Port) -> Iterator[Claim]:
        """The MACs and addresses that this port and other ports of its network may use."""
        return (claim for claim in claims_of(port) if len(self.users_of(port.network_id, claim)) > 1)

    def scope_of(self, network_id: str) -> str:
        """The address scope of a network, as `scope:NAME`, or the network's id if it has no named scope."""
        network = self.networks.get(network_id)
        return f"scope:{network.address_scope}" if network and network.address_scope else network_id

    def prefixes_of(self, selector: Selector) -> frozenset[Prefix]:
        """The present prefixes of a selector of the kind PREFIX, ADDRESS_GROUP or NETWORK."""
        if selector.kind is SelectorKind.PREFIX:
            return frozenset([Prefix.parse(selector.key)])
        if selector.kind is SelectorKind.ADDRESS_GROUP:
            group = self.address_groups.get(selector.key)
            return group.addresses if group else frozenset()
        network = self.networks.get(selector.key)
        return frozenset(network.subnets) if network else frozenset()

    def any_stateless(self, groups: Iterable[str]) -> bool:
        """Whether any of the groups is stateless. If so, no traffic of a port with them is tracked for it."""
        return any(not self.groups[group].stateful for group in groups if group in self.groups)

    def has_egress_rules(self, groups: Iterable[str]) -> bool:
        """Whether any of the groups has an egress rule."""
        return any(self.kinds_of_rules[group, Direction.EGRESS, each] for group in groups for each in (4, 6))

    def has_rules_for(self, groups: Iterable[str], version: int) -> bool:
        """Whether any of the groups has a rule, of either direction, for this IP version."""
        return any(self.kinds_of_rules[group, each, version] for group in groups for each in Direction)

    def _step(self, change: Change, touched: Touched) -> None:
        match change:
            case (Rule() | None as old, Rule() | None as new):
                self._step_rule(old, new, touched)
            case (Port() | None as old, Port() | None as new):
                self._step_port(old, new, touched)
            case (Network() | None, Network() | None as new):
                self._step_prefixes(SelectorKind.NETWORK, change, touched)
                touched.networks.add(_store(self.networks, new, change))
            case (AddressGroup() | None, AddressGroup() | None as new):
                self._step_prefixes(SelectorKind.ADDRESS_GROUP, change, touched)
                _store(self.address_groups, new, change)
            case (SecurityGroup() | None, SecurityGroup() | None as new):
                self._step_group(change, new, touched)

    def _step_rule(self, old: Rule | None, new: Rule | None, touched: Touched) -> None:
        for rule, step in ((old, -1), (new, 1)):
            if rule is None:
                continue
            touched.rules.add(rule.id)
            kind = rule.group_id, rule.direction, rule.ethertype.version
            self.kinds_of_rules[kind] += step
            if self.kinds_of_rules[kind] == (step > 0):
                touched.kinds_of_rules.add(rule.group_id)
            if step < 0:
                self.rules_of_group[rule.group_id].discard(rule.id)
                self.rules.pop(rule.id, None)
            else:
                self.rules_of_group[rule.group_id].add(rule.id)
                self.rules[rule.id] = rule

    def _step_port(self, old: Port | None, new: Port | None, touched: Touched) -> None:
        if old is not None:
            touched.ports.add(old.id)
            self.ports_of_network[old.network_id].discard(old.id)
            if self.port_of_iface.get(old.iface_id) == old.id:
                del self.port_of_iface[old.iface_id]
            self.ports.pop(old.id, None)
        if new is not None:
            touched.ports.add(new.id)
            self.ports_of_network[new.network_id].add(new.id)
            self.port_of_iface[new.iface_id] = new.id
            self.ports[new.id] = new

    def _step_claims(self, change: Change) -> Iterator[tuple[str, Claim]]:
        """Update the users of claims; yields (network id, claim) where the claim had or has another user."""
        old, new = (_uses(side) if isinstance(side, Port) else None for side in change)
        if old == new:
            return
        for uses, added in ((old, False), (new, True)):
            if uses is None:
                continue
            users = self._users[uses.network_id]
            for claim in uses.claims:
                (users[claim].add if added else users[claim].discard)(change.id)
                if len(users[claim]) > added:
                    yield uses.network_id, claim
                elif not users[claim]:
                    del users[claim]
            if not users:
                del self._users[uses.network_id]

    def _step_group(self, change: Change, new: SecurityGroup | None, touched: Touched) -> None:
        before = self.any_stateless([change.id])
        group = _store(self.groups, new, change)
        if self.any_stateless([group]) != before:
            touched.ports |= {p.id for p in self.ports.values() if group in self.effective_groups(p)}

    def _step_prefixes(self, kind: SelectorKind, change: Change, touched: Touched) -> None:
        before, after = (
            set(side.subnets if isinstance(side, Network) else side.addresses)
            if isinstance(side, Network | AddressGroup)
            else set()
            for side in change
        )
        selector = Selector(kind, change.id)
        touched.prefixes |= {(selector, prefix) for prefix in before ^ after}

    def _recount(self, port_id: str, touched: Touched) -> None:
        """Update the membership counts of one port."""
        port = self.ports.get(port_id)
        wanted: tuple[frozenset[str], tuple[Member, ...]] = (frozenset(), ())
        if port is not None and self.is_member(port):
            scope = self.scope_of(port.network_id)
            addresses = tuple(Member(scope, address) for address in member_addresses(port))
            wanted = (self.effective_groups(port), addresses)
        current = self._counted.pop(port_id, (frozenset(), ()))
        if wanted[0]:
            self._counted[port_id] = wanted
        if wanted == current:
            return
        for (groups, addresses), step in ((current, -1), (wanted, 1)):
            for group in groups:
                self._count(group, addresses, step, touched)

    def _count(self, group: str, addresses: Iterable[Member], step: int, touched: Touched) -> None:
        counts = self.members[group]
        for member in addresses:
            counts[member] += step
            if not counts[member]:
                del counts[member]
            touched.members.add((group, member))


def _store(where: dict[str, T], new: T | None, change: Change) -> str:
    where.pop(change.id, None)
    if new is not None:
        where[new.id] = new
    return change.id
