"""Finds rules without effect: another rule permits the same or more, or no port or remote matches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from flows.policy.index import ANY, link_local, selector_of
from flows.policy.objects import (
    AddressGroup,
    Direction,
    Ethertype,
    Network,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
    fits_header,
    remote_of,
)
from flows.policy.validate import ICMP, ICMPV6
from sgctl.service.draft import Draft
from sgctl.service.kinds import describe


class Flaw(StrEnum):
    """Why a rule has no effect."""

    REDUNDANT = "redundant"
    SHADOWED = "shadowed"
    IDLE = "matches nothing"


class LintWarning(NamedTuple):
    """A rule that currently has no effect."""

    rule: Rule
    flaw: Flaw
    reason: str


def lint(draft: Draft, groups: Iterable[str]) -> Iterator[LintWarning]:
    """Every rule of these groups (ids) that has no effect."""
    linter = _Linter(draft)
    for identifier in groups:
        group = draft.get(SecurityGroup, identifier)
        if group is not None:
            yield from linter.of_group(group)


class _Linter:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._rules_of: dict[str, list[Rule]] = {}
        self._default_of: dict[str, list[Network]] = {}
        for network in draft.all(Network):
            if network.default_group is not None:
                self._default_of.setdefault(network.default_group, []).append(network)

    def of_group(self, group: SecurityGroup) -> Iterator[LintWarning]:
        """At most one piece of advice for each rule of a group."""
        rules = self._rules(group.id)
        alike = _by_service(rules)
        members = [port for port in self._members(group.id) if port.port_security_enabled]
        for rule in rules:
            candidates = [other for key in _wider_services(rule) for other in alike.get(key, ())]
            wider = next((other for other in candidates if self._replaces(other, rule)), None)
            if wider is not None:
                yield LintWarning(rule, Flaw.REDUNDANT, f"{describe(wider)} of the same group permits it")
            elif not members:
                yield LintWarning(rule, Flaw.IDLE, "no port is in the group")
            elif (nobody := self._nobody(rule)) is not None:
                yield LintWarning(rule, Flaw.IDLE, nobody)
            elif (others := self._elsewhere(rule, group, members)) is not None:
                reason = f"every port of the group is also in {others}, which permits it"
                yield LintWarning(rule, Flaw.SHADOWED, reason)

    def _rules(self, group: str) -> list[Rule]:
        if group not in self._rules_of:
            rules = self._draft.where(Rule, "group_id", group)
            self._rules_of[group] = sorted(rules, key=lambda rule: (rule.number, rule.id))
        return self._rules_of[group]

    def _members(self, group: str) -> list[Port]:
        ports = self._draft.having(Port, "security_groups", group)
        for network in self._default_of.get(group, ()):
            on_network = self._draft.where(Port, "network_id", network.id)
            ports += [port for port in on_network if not port.security_groups]
        return ports

    def _replaces(self, other: Rule, rule: Rule) -> bool:
        """Whether `other` makes `rule` redundant; of two rules that permit the same, the newer one is."""
        if other is rule or not self.covers(other, rule):
            return False
        return not self.covers(rule, other) or (other.number, other.id) < (rule.number, rule.id)

    def _elsewhere(self, rule: Rule, group: SecurityGroup, members: list[Port]) -> str | None:
        """Other groups that permit the same, if every member is in one of them; else None."""
        found: dict[str, None] = {}
        for groups in {port.security_groups: None for port in members}:
            others = sorted(groups - {group.id})
            wider = next((each for each in others if self._group_covers(each, rule)), None)
            if wider is None:
                return None
            found[wider] = None
        named = (self._draft.get(SecurityGroup, each) for each in found)
        return " or ".join(describe(each) for each in named if each is not None)

    def _group_covers(self, group: str, rule: Rule) -> bool:
        return any(self.covers(other, rule) for other in self._rules(group))

    def covers(self, wide: Rule, narrow: Rule) -> bool:
        """Whether `wide` permits everything that `narrow` permits."""
        same_side = (wide.direction, wide.ethertype) == (narrow.direction, narrow.ethertype)
        return same_side and _covers_service(wide, narrow) and self._covers_remote(wide, narrow)

    def _covers_remote(self, wide: Rule, narrow: Rule) -> bool:
        if remote_of(wide) == remote_of(narrow) or selector_of(wide) == ANY:
            return True
        if wide.remote_group_id is not None or narrow.remote_group_id is not None:
            return False  # the members of a group may change at any time
        fences, wanted = self._prefixes(wide), self._prefixes(narrow)
        return bool(wanted) and all(any(fence.covers(each) for fence in fences) for each in wanted)

    def _prefixes(self, rule: Rule) -> list[Prefix]:
        """The addresses of a remote that is no security group, in the rule's address family."""
        version = rule.ethertype.version
        found: Iterable[Prefix] = (Prefix(version, 0, 0),)
        if rule.remote_ip_prefix is not None:
            found = (rule.remote_ip_prefix,)
        elif rule.remote_address_group_id is not None:
            group = self._draft.get(AddressGroup, rule.remote_address_group_id)
            found = group.addresses if group is not None else ()
        elif rule.remote_network_id is not None:
            network = self._draft.get(Network, rule.remote_network_id)
            found = network.subnets if network is not None else ()
        return [prefix for prefix in found if prefix.version == version]

    def _nobody(self, rule: Rule) -> str | None:
        """Why the rule's remote is empty; None when it is not."""
        family = str(rule.ethertype)
        if rule.remote_group_id is not None:
            addresses = (each for port in self._members(rule.remote_group_id) for each in _addresses(port))
            if any(address.version == rule.ethertype.version for address in addresses):
                return None
            members = self._members(rule.remote_group_id)
            return f"no member of the remote group has an {family} address" if members else _EMPTY
        if self._prefixes(rule):
            return None
        what = "address group" if rule.remote_address_group_id is not None else "network"
        return f"the remote {what} has no {family} addresses"


_EMPTY = "the remote group has no members"


def _addresses(port: Port) -> list[Prefix]:
    pairs = [pair.prefix for pair in port.allowed_address_pairs if pair.prefix.is_host]
    return [*port.fixed_ips, link_local(port.mac), *pairs]


_Service = tuple[Direction, Ethertype, int | None]


def _by_service(rules: Iterable[Rule]) -> dict[_Service, list[Rule]]:
    found: dict[_Service, list[Rule]] = {}
    for rule in rules:
        found.setdefault((rule.direction, rule.ethertype, rule.protocol), []).append(rule)
    return found


def _wider_services(rule: Rule) -> list[_Service]:
    """The keys of `_by_service` under which rules may permit at least as much."""
    protocols = dict.fromkeys((None, rule.protocol))
    return [(rule.direction, rule.ethertype, protocol) for protocol in protocols]


def _covers_service(wide: Rule, narrow: Rule) -> bool:
    if not fits_header(wide, narrow):
        return False
    if wide.port_range_min is None:
        return True
    if narrow.port_range_min is None:
        return False
    if wide.protocol in (ICMP, ICMPV6):
        same_type = wide.port_range_min == narrow.port_range_min
        return same_type and wide.port_range_max in (None, narrow.port_range_max)
    assert wide.port_range_max is not None
    assert narrow.port_range_max is not None
    return wide.port_range_min <= narrow.port_range_min and narrow.port_range_max <= wide.port_range_max
