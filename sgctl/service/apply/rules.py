"""Reads the rules in manifests, and replaces a group's rules with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import uuid4

from flows.policy.objects import (
    AddressGroup,
    Direction,
    Ethertype,
    Meta,
    Network,
    Prefix,
    Rule,
    SecurityGroup,
    permission_of,
)
from flows.policy.validate import ICMP, ICMPV6
from sgctl.service.apply.manifest_draft import ManifestDraft, Origin
from sgctl.service.manifests.documents import Document, Spec
from sgctl.service.manifests.yaml_reader import Path


@dataclass(frozen=True)
class ManifestRule:
    """A rule without id and number, and its path in the document."""

    rule: Rule
    path: Path
    renamed: Mapping[str, Path] = field(default_factory=dict)


class Remote(NamedTuple):
    """The remote of a rule, as arguments of `Rule`; all None means any remote."""

    ip_prefix: Prefix | None = None
    group_id: str | None = None
    address_group_id: str | None = None
    network_id: str | None = None


class Invalid(Exception):
    """A malformed rule, whose problem has already been reported."""


class RuleReader:
    """Reads the rules of one group's document, and reports problems to the planning."""

    def __init__(self, planning: ManifestDraft, document: Document, group_id: str) -> None:
        self.planning = planning
        self.document = document
        self.group_id = group_id

    def fail(self, path: Path, reason: str) -> Invalid:
        """Report a problem; returns the exception for the caller to raise."""
        self.planning.report(self.document, path, reason)
        return Invalid(reason)

    def rule(self, direction: str, ethertype: Ethertype, remote: Remote, meta: Meta, name: str) -> Rule:
        """A rule for all protocols."""
        return Rule(
            id="",
            number=0,
            group_id=self.group_id,
            direction=Direction(direction.lower()),
            ethertype=ethertype,
            remote_ip_prefix=remote.ip_prefix,
            remote_group_id=remote.group_id,
            remote_address_group_id=remote.address_group_id,
            remote_network_id=remote.network_id,
            name=name,
            meta=meta,
        )

    def prefix(self, path: Path, text: object) -> Prefix:
        """Parse an address or CIDR. Raises Invalid."""
        try:
            return Prefix.parse(str(text))
        except ValueError as error:
            raise self.fail(path, str(error)) from error

    def remote_group(self, path: Path, reference: object) -> Remote:
        """The members of a security group, as a remote. Raises Invalid."""
        return Remote(group_id=self._refer(path, SecurityGroup, reference))

    def remote_address_group(self, path: Path, reference: object) -> Remote:
        """The addresses of an address group, as a remote. Raises Invalid."""
        return Remote(address_group_id=self._refer(path, AddressGroup, reference))

    def remote_network(self, path: Path, reference: object) -> Remote:
        """The subnets of a network, as a remote. Raises Invalid."""
        return Remote(network_id=self._refer(path, Network, reference))

    def _refer(
        self, path: Path, kind: type[SecurityGroup | AddressGroup | Network], reference: object
    ) -> str:
        found = self.planning.refer(self.document, path, kind, reference)
        if found is None:
            raise Invalid(path)
        return found.id

    def ports(self, path: Path, value: object) -> tuple[int, int]:
        """Parse one port or an inclusive range `FIRST-LAST`, 0–65535. Raises Invalid."""
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", str(value), re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 65536)
        if last > 65535 or first > 65535:
            raise self.fail(path, f"{value} is neither a port from 0 to 65535 nor a range such as 1000-1100")
        if first > last:
            raise self.fail(path, f"{value} ends before it begins")
        return first, last


def replace_rules(
    planning: ManifestDraft, document: Document, group_id: str, stated: list[ManifestRule]
) -> None:
    """Replace the group's rules with the stated rules.

    A stated rule that permits the same as an old rule keeps the old rule's id and number.
    """
    old = {permission_of(rule): rule for rule in reversed(planning.draft.where(Rule, "group_id", group_id))}
    first: dict[tuple[object, ...], Path] = {}
    kept = set()
    for item in stated:
        key = permission_of(item.rule)
        if key in first:
            planning.report(document, item.path, f"permits the same as {_position(first[key])}")
            continue
        first[key] = item.path
        rule = _named_like(item.rule, old.get(key))
        kept.add(rule.id)
        planning.put(rule, Origin(document, item.path, item.renamed))
    for rule in planning.draft.where(Rule, "group_id", group_id):
        if rule.id not in kept:
            planning.draft.remove(Rule, rule.id)


def _position(path: Path) -> str:
    return f"rules[{path[-1]}]" if isinstance(path[-1], int) else str(path[-1])


def _named_like(rule: Rule, old: Rule | None) -> Rule:
    if old is None:
        return replace(rule, id=str(uuid4()))
    meta = replace(old.meta, description=rule.meta.description, tags=rule.meta.tags)
    return replace(rule, id=old.id, number=old.number, meta=meta)


def all_egress(reader: RuleReader, name: str = "") -> list[Rule]:
    """Rules that permit all egress, one per ethertype."""
    return [reader.rule("egress", family, Remote(), Meta(), name) for family in Ethertype]


def family_of(prefix: Prefix) -> Ethertype:
    """The ethertype of a prefix."""
    return Ethertype.IPV4 if prefix.version == 4 else Ethertype.IPV6


def icmp_of(ethertype: Ethertype) -> int:
    """The protocol number of ICMP for an ethertype."""
    return ICMP if ethertype is Ethertype.IPV4 else ICMPV6


def rule_specs(document: Document) -> list[tuple[Path, Spec]]:
    """The items of the list `rules` in a group's document, with their paths."""
    listed: list[Spec | None] = document.spec.get("rules", [])
    return [(("spec", "rules", position), spec) for position, spec in enumerate(listed) if spec is not None]
