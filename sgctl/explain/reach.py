"""Who can reach whom, for the whole policy at once: ports with the same groups are evaluated together.

Only the first packet of a connection counts. The result for each pair equals the reference verdict; a test
compares the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from flows.policy.index import ANY, Policy, member_addresses, selector_of
from flows.policy.objects import Direction, EgressDefault, Port, Prefix, Rule, fits_header, without_service
from flows.reference.verdict import TCP, Conversation, rule_allows
from sgctl.explain.expected import text_of
from sgctl.explain.question import ServiceQuestion
from sgctl.explain.services import Services, union

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Reached:
    """A port that can be reached, or that can reach: by which IP version, services and rules.

    An empty list of rules means that no rule is needed.
    """

    port: Port
    version: int
    services: Services
    egress: Numbers
    ingress: Numbers


@dataclass(frozen=True)
class Outside:
    """Addresses outside the policy as a rule names them, and the services that it allows. Rule 0: no rule."""

    remote: str
    version: int
    services: Services
    rule: int


class _CommonServices(NamedTuple):
    """The services that both sides allow, and the rules that allow them."""

    services: Services
    egress: Numbers
    ingress: Numbers


class _Side:
    """What one port's groups allow in one direction, for one service and IP version."""

    def __init__(self, reach: Reach, groups: frozenset[str], direction: Direction) -> None:
        rules = [
            reach.policy.rules[r] for group in groups for r in reach.policy.rules_of_group.get(group, ())
        ]
        fitting = (rule for rule in rules if rule.direction is direction and reach.is_service(rule))
        self.rules = sorted(fitting, key=lambda rule: rule.number)

    @cached_property
    def by_group(self) -> dict[str, list[Rule]]:
        """The rules whose remote is a group."""
        found = defaultdict(list)
        for rule in self.rules:
            if rule.remote_group_id is not None:
                found[rule.remote_group_id].append(rule)
        return found

    @cached_property
    def everyone(self) -> list[Rule]:
        """The rules without a remote."""
        return [rule for rule in self.rules if _has_no_remote(rule)]

    @cached_property
    def by_prefix(self) -> list[Rule]:
        """The rules whose remote is a set of prefixes."""
        return [rule for rule in self.rules if rule.remote_group_id is None and not _has_no_remote(rule)]


def _has_no_remote(rule: Rule) -> bool:
    return selector_of(rule) == ANY


class Reach:
    """Who reaches whom with one service, a whole protocol or all services, over one IP version."""

    def __init__(self, policy: Policy, service: ServiceQuestion, version: int) -> None:
        self.policy = policy
        self._version = version
        self._within = service.meant(version)
        self._asked = service
        self._services: dict[str, Services] = {}
        self._cached: dict[tuple[Numbers, Numbers], _CommonServices] = {}
        self._text = text_of(policy)
        self._sides: dict[tuple[frozenset[str], Direction], _Side] = {}
        self._prefix_hits: dict[tuple[str, Prefix], bool] = {}

    def sources(self, target: Port) -> list[Reached]:
        """The ports that can open a connection to `target`."""
        return [each for peer in self._peers(target) if (each := self._reached(peer, peer, target))]

    def targets(self, source: Port) -> list[Reached]:
        """The ports to which `source` can open a connection."""
        return [each for peer in self._peers(source) if (each := self._reached(peer, source, peer))]

    def outside(self, port: Port, direction: Direction) -> list[Outside]:
        """What a port's rules allow for addresses that belong to no port."""
        if not port.admin_state_up:
            return []
        if not port.port_security_enabled or (direction is Direction.EGRESS and self._open(port)):
            return [Outside("anywhere", self._version, self._within, 0)]
        side = self._side(port, direction)
        named = [(rule, "anywhere") for rule in side.everyone]
        named += [(rule, self._prefixes(rule)) for rule in side.by_prefix]
        return [Outside(remote, self._version, self.services_of(rule), rule.number) for rule, remote in named]

    def is_service(self, rule: Rule) -> bool:
        """Whether the rule is of this IP version and allows some of the requested services."""
        fits = rule.ethertype.version == self._version and fits_header(rule, self._asked, ("protocol",))
        return fits and bool(self.services_of(rule))

    def services_of(self, rule: Rule) -> Services:
        """Those of the requested services that the rule allows."""
        if rule.id not in self._services:
            self._services[rule.id] = Services.of_rule(rule) & self._within
        return self._services[rule.id]

    def _peers(self, port: Port) -> Iterator[Port]:
        for identifier in self.policy.ports_of_network.get(port.network_id, ()):
            if identifier != port.id and identifier in self.policy.ports:
                yield self.policy.ports[identifier]

    def _reached(self, peer: Port, source: Port, target: Port) -> Reached | None:
        """The peer with what both sides allow, over all pairs of addresses; None when they allow nothing."""
        if not (source.admin_state_up and target.admin_state_up):
            return None
        common = list(self._common_services(source, target))
        if not common:
            return None
        if all(each is common[0] for each in common):
            return Reached(peer, self._version, *common[0])
        services = union(each.services for each in common)
        egress = sorted({number for each in common for number in each.egress})
        ingress = sorted({number for each in common for number in each.ingress})
        return Reached(peer, self._version, services, tuple(egress), tuple(ingress))

    def _common_services(self, source: Port, target: Port) -> Iterator[_CommonServices]:
        for sender in self._addresses(source):
            for receiver in self._addresses(target):
                egress = self._admits(source, Direction.EGRESS, receiver)
                ingress = None if egress is None else self._admits(target, Direction.INGRESS, sender)
                if egress is not None and ingress is not None:
                    common = self._allowed_services(egress, ingress)
                    if common.services:
                        yield common

    def _allowed_services(self, egress: Numbers, ingress: Numbers) -> _CommonServices:
        """The services that both sides allow, and the rules that do; a side without rules allows all."""
        key = egress, ingress
        if key not in self._cached:
            common = self._allowed_by(egress) & self._allowed_by(ingress)
            self._cached[key] = _CommonServices(
                common, self._part_of(egress, common), self._part_of(ingress, common)
            )
        return self._cached[key]

    def _part_of(self, numbers: Numbers, services: Services) -> Numbers:
        return tuple(number for number in numbers if self.services_of(self._rules[number]) & services)

    def _allowed_by(self, numbers: Numbers) -> Services:
        if not numbers:
            return self._within
        return union(self.services_of(self._rules[number]) for number in numbers)

    @cached_property
    def _rules(self) -> dict[int, Rule]:
        return {rule.number: rule for rule in self.policy.rules.values()}

    def _addresses(self, port: Port) -> Iterable[Prefix]:
        return (address for address in port.fixed_ips if address.version == self._version)

    def _admits(self, port: Port, direction: Direction, remote: Prefix) -> tuple[int, ...] | None:
        if not port.port_security_enabled:
            return ()
        if direction is Direction.EGRESS and self._open(port):
            return ()
        side = self._side(port, direction)
        found = list(side.everyone)
        for group in self._groups_of(remote, port.network_id) & side.by_group.keys():
            found += side.by_group[group]
        found += [rule for rule in side.by_prefix if self._covers(rule, remote, port.network_id)]
        return tuple(sorted(rule.number for rule in found)) if found else None

    def _open(self, port: Port) -> bool:
        network = self.policy.networks[port.network_id]
        open_until_rule = network.egress_default is EgressDefault.OPEN_UNTIL_RULE
        return open_until_rule and not self.policy.has_egress_rules(self.policy.effective_groups(port))

    def _side(self, port: Port, direction: Direction) -> _Side:
        key = (self.policy.effective_groups(port), direction)
        if key not in self._sides:
            self._sides[key] = _Side(self, *key)
        return self._sides[key]

    def _covers(self, rule: Rule, remote: Prefix, network: str) -> bool:
        key = (rule.id, remote)
        if key not in self._prefix_hits:
            ends = Conversation(remote, remote, TCP)
            self._prefix_hits[key] = rule_allows(self._text, without_service(rule), network, ends)
        return self._prefix_hits[key]

    def _groups_of(self, address: Prefix, network: str) -> frozenset[str]:
        return self._members.get((self.policy.scope_of(network), address), frozenset())

    @cached_property
    def _members(self) -> dict[tuple[str, Prefix], frozenset[str]]:
        """The groups that an address is a member of, by address scope."""
        found: dict[tuple[str, Prefix], frozenset[str]] = {}
        for port in filter(self.policy.is_member, self.policy.ports.values()):
            scope, groups = self.policy.scope_of(port.network_id), self.policy.effective_groups(port)
            for address in member_addresses(port):
                found[scope, address] = found.get((scope, address), frozenset()) | groups
        return found

    def _prefixes(self, rule: Rule) -> str:
        if rule.remote_ip_prefix is not None:
            return str(rule.remote_ip_prefix)
        held: Iterable[Prefix] = ()
        if rule.remote_address_group_id is not None:
            group = self.policy.address_groups.get(rule.remote_address_group_id)
            held = group.addresses if group else ()
        elif rule.remote_network_id is not None:
            network = self.policy.networks.get(rule.remote_network_id)
            held = network.subnets if network else ()
        return ", ".join(str(prefix) for prefix in sorted(held) if prefix.version == self._version)
