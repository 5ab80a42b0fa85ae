"""Checks of a draft: each object by itself (`flows.policy.validate`), and the objects together.

Only edited objects are reported, so inconsistent rows written by another tool do not block other edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from flows.policy.objects import Change, Network, PolicyObject, Port, Prefix, Rule, SecurityGroup
from sgctl.service.addresses import host_range
from sgctl.service.draft import Draft
from sgctl.service.errors import Code
from sgctl.service.kinds import NOUNS
from sgctl.service.names import is_hidden, mention
from sgctl.service.references import references_of, users_of
from sgctl.service.subnets import details_of
from sgctl.store.checked import CheckedChanges, InvalidObjects


class Violation(NamedTuple):
    """A broken condition. `subject` is the object whose edit broke it, `field` the field's Neutron name."""

    subject: PolicyObject
    field: str
    reason: str
    code: Code


def check_changes(draft: Draft) -> tuple[CheckedChanges, list[Violation]]:
    """The changes of a draft, and all conditions that they break. If there are any, no change is returned."""
    changes = draft.changes()
    checked, violations = CheckedChanges(), list[Violation]()
    try:
        checked = CheckedChanges(changes)
    except InvalidObjects as error:
        found = [Violation(obj, *problem, Code.INVALID) for obj, problem in error.problems]
        violations.extend(found)
    violations.extend(_check_together(draft, changes))
    return (CheckedChanges() if violations else checked), violations


def _check_together(draft: Draft, changes: Sequence[Change]) -> Iterator[Violation]:
    for change in changes:
        if change.new is None:
            assert change.old is not None
            yield from _still_used(draft, change.old)
            continue
        yield from _dangling(draft, change.new)
        yield from _with_others(draft, change.new)


def _with_others(draft: Draft, obj: PolicyObject) -> Iterator[Violation]:
    if isinstance(obj, Port):
        yield from _port(draft, obj)
    elif isinstance(obj, Network):
        yield from _network(draft, obj, draft.before(Network, obj.id))
    elif isinstance(obj, SecurityGroup):
        yield from _statefulness_clash(draft, obj)


def _dangling(draft: Draft, obj: PolicyObject) -> Iterator[Violation]:
    for reference, identifier in references_of(obj):
        kind = reference.target
        if draft.get(kind, identifier) is None and draft.before(kind, identifier) is None:
            yield Violation(obj, reference.field, f"there is no {NOUNS[kind]} {identifier!r}", Code.NOT_FOUND)


def _still_used(draft: Draft, gone: PolicyObject) -> Iterator[Violation]:
    users = [_describe_user(draft, user) for user in users_of(draft, type(gone), gone.id)]
    if users:
        yield Violation(gone, "", in_use_by(users), Code.IN_USE)


def in_use_by(users: Sequence[str]) -> str:
    """Why an object cannot be deleted, as text; names at most five users."""
    more = f" and {len(users) - 5} more" if len(users) > 5 else ""
    return f"in use by {', '.join(users[:5])}{more}"


def _describe_user(draft: Draft, obj: PolicyObject) -> str:
    group = draft.get(SecurityGroup, obj.group_id) if isinstance(obj, Rule) else None
    if group is None or is_hidden(draft, obj):
        return mention(draft, obj)
    return f"{mention(draft, obj)} of {mention(draft, group)}"


def _port(draft: Draft, port: Port) -> Iterator[Violation]:
    yield from _mixed_groups(draft, port, port, "security_groups")
    network = draft.get(Network, port.network_id)
    if network is not None:
        yield from _outside_subnets(draft, network, port, port)
        yield from _address_taken(draft, network, port)
    for other in draft.where(Port, "mac", port.mac):
        if other.id != port.id and other.network_id == port.network_id:
            reason = f"{port.mac} is already the address of {mention(draft, other)} on this network"
            yield Violation(port, "mac_address", reason, Code.TAKEN)
    for other in draft.where(Port, "iface_id", port.iface_id):
        if other.id != port.id:
            yield Violation(
                port, "iface_id", f"{port.iface_id!r} already binds {mention(draft, other)}", Code.TAKEN
            )


def _mixed_groups(draft: Draft, port: Port, subject: PolicyObject, field: str) -> Iterator[Violation]:
    """Refuse stateless and stateful groups on one port: packets are either tracked or not for all groups."""
    groups = [draft.get(SecurityGroup, each) for each in sorted(port.security_groups)]
    stateless = [_called(draft, group) for group in groups if group is not None and not group.stateful]
    stateful = [_called(draft, group) for group in groups if group is not None and group.stateful]
    if stateless and stateful:
        of_port = "" if subject is port else f"{mention(draft, port)} has "
        reason = (
            f"{of_port}stateless groups ({', '.join(stateless)}) and stateful ones ({', '.join(stateful)})"
        )
        yield Violation(subject, field, reason, Code.INVALID)


def _called(draft: Draft, group: SecurityGroup) -> str:
    return "one of another project" if is_hidden(draft, group) else group.name or group.id


def _statefulness_clash(draft: Draft, group: SecurityGroup) -> Iterator[Violation]:
    """Check the unedited ports of a group that became stateful or stateless."""
    old = draft.before(SecurityGroup, group.id)
    if old is None or old.stateful == group.stateful:
        return
    for port in draft.having(Port, "security_groups", group.id):
        if draft.before(Port, port.id) == port:
            yield from _mixed_groups(draft, port, group, "stateful")


def _outside_subnets(
    draft: Draft, network: Network, port: Port, subject: PolicyObject
) -> Iterator[Violation]:
    field, of_port = ("fixed_ips", "") if subject is port else ("subnets", f"{mention(draft, port)} has ")
    for address in filter(lambda each: each.is_host, port.fixed_ips):
        homes = [subnet for subnet in network.subnets if subnet.covers(address)]
        if network.subnets and not homes:
            subnets = ", ".join(map(str, network.subnets))
            reason = f"{of_port}{address}, which is in no subnet of network {network.name} ({subnets})"
            yield Violation(subject, field, reason, Code.INVALID)
        elif any(address.value not in host_range(subnet) for subnet in homes):
            reason = f"{of_port}{address}, which is the network or broadcast address of {homes[0]}"
            yield Violation(subject, field, reason, Code.INVALID)


def _peers(draft: Draft, network: Network) -> list[Network]:
    """The networks that share addresses with this network; the network itself comes first."""
    if network.address_scope is None:
        return [network]
    others = draft.where(Network, "address_scope", network.address_scope)
    return [network, *(other for other in others if other.id != network.id)]


def _address_taken(draft: Draft, network: Network, port: Port) -> Iterator[Violation]:
    peers = {peer.id: peer for peer in _peers(draft, network)}
    for address in port.fixed_ips:
        for other in draft.having(Port, "fixed_ips", address):
            if other.id != port.id and other.network_id in peers:
                peer = peers[other.network_id]
                where = (
                    "this network" if peer is network else f"{mention(draft, peer)} of the same address scope"
                )
                reason = f"{address} is already an address of {mention(draft, other)} on {where}"
                yield Violation(port, "fixed_ips", reason, Code.TAKEN)


def _network(draft: Draft, network: Network, old: Network | None) -> Iterator[Violation]:
    yield from _overlapping_subnets(draft, network)
    if old is None or old.subnets != network.subnets:
        for port in draft.where(Port, "network_id", network.id):
            if draft.before(Port, port.id) == port:
                yield from _outside_subnets(draft, network, port, network)
    yield from _gateway_taken(draft, network, old)
    if old is not None and old.address_scope != network.address_scope:
        yield from _scope_clash(draft, network)


def _gateway_taken(draft: Draft, network: Network, old: Network | None) -> Iterator[Violation]:
    """Refuse an address of another project's port as gateway: ports trust the network's owner for it."""
    before = {detail.gateway for detail in details_of(old)} if old is not None else set()
    for gateway in {detail.gateway for detail in details_of(network)} - before - {None}:
        for port in draft.having(Port, "fixed_ips", gateway):
            if port.network_id == network.id and port.meta.project_id != network.meta.project_id:
                whose = "" if is_hidden(draft, port) else " of another project"
                reason = f"{gateway} is an address of {mention(draft, port)}{whose}"
                yield Violation(network, "gateway_ip", reason, Code.TAKEN)


def _overlapping_subnets(draft: Draft, network: Network) -> Iterator[Violation]:
    for one, two in combinations(network.subnets, 2):
        if overlap(one, two):
            yield Violation(network, "subnets", f"{one} and {two} overlap", Code.INVALID)
    for peer in _peers(draft, network)[1:]:
        for mine in network.subnets:
            for theirs in peer.subnets:
                if overlap(mine, theirs):
                    scope = (
                        f"{mention(draft, peer)}, which has the same address scope {network.address_scope!r}"
                    )
                    yield Violation(network, "subnets", f"{mine} overlaps {theirs} of {scope}", Code.TAKEN)


def overlap(one: Prefix, two: Prefix) -> bool:
    """Whether any address is in both prefixes."""
    return one.covers(two) or two.covers(one)


def _scope_clash(draft: Draft, network: Network) -> Iterator[Violation]:
    theirs = {
        address: other
        for peer in _peers(draft, network)[1:]
        for other in draft.where(Port, "network_id", peer.id)
        for address in other.fixed_ips
    }
    for port in draft.where(Port, "network_id", network.id):
        for address in port.fixed_ips:
            if address in theirs:
                both = f"{mention(draft, port)} and {mention(draft, theirs[address])}"
                reason = f"{both} both have {address} in this scope"
                yield Violation(network, "address_scope", reason, Code.TAKEN)
