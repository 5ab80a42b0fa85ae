"""Plans that delete objects. Objects that are still in use cannot be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from flows.policy.objects import Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.service.checks import Violation, in_use_by
from sgctl.service.draft import Draft
from sgctl.service.errors import Code, Finding, Source
from sgctl.service.kinds import MANIFEST_KINDS, describe
from sgctl.service.manifests.documents import Document
from sgctl.service.names import Named, Unresolved, resolve
from sgctl.service.ownership import DEFAULT_GROUP_TAG, MACHINE_OWNER, ports_of
from sgctl.service.plan import ObjectAction, ObjectOutcome, Plan
from sgctl.service.policy_edit import PolicyEdit
from sgctl.service.references import users_of
from sgctl.service.subnets import Subnet, ports_in, without_subnet
from sgctl.store.snapshot import Key, PolicySnapshot


class Target(NamedTuple):
    """What to delete: an object by name or id or, if `kind` is None, the ports of a virtual machine.

    A name refers to an object of `project`.
    """

    kind: type[Named] | None
    reference: str
    source: Source = Source()
    project: str = ""


def target_of(document: Document) -> Target | None:
    """The object that a manifest describes, as a target; None without a known kind or a name."""
    kind, identifier = document.kind, document.metadata.get("id")
    reference = identifier if isinstance(identifier, str) else document.source.name
    if kind is None or not reference:
        return None
    return Target(kind.object_kind, reference, document.source, document.project)


def plan_removal(objects: PolicySnapshot, targets: Sequence[Target], ignore_missing: bool = False) -> Plan:
    """Plan the deletion of all targets in one transaction. Pure: changes nothing.

    Deleting a group deletes its rules. Deleting a network deletes the default group that was created for it,
    unless other objects use that group. Raises PolicyError with every problem: targets that do not exist or
    are still in use.
    """
    removal = _Removal(Draft(objects), ignore_missing)
    return removal.run(list(dict.fromkeys(targets)))


class _Removal(PolicyEdit):
    def __init__(self, draft: Draft, ignore_missing: bool) -> None:
        super().__init__(draft)
        self._ignore_missing = ignore_missing
        self._sources: dict[Key, Source] = {}
        self._outcomes: list[ObjectOutcome] = []

    def run(self, targets: list[Target]) -> Plan:
        found = [(target, obj) for target in targets for obj in self._find(target)]
        for target, obj in sorted(found, key=_turn):
            if isinstance(obj, Subnet):
                self._take_subnet(obj, target.source)
            elif target.kind is None:
                self._detach(target, obj)
            else:
                self._take(obj, target.source)
        return self.plan(lambda _: dict.fromkeys(self._outcomes))

    def _find(self, target: Target) -> list[Named]:
        if target.kind is not None:
            try:
                return [resolve(self.draft, target.kind, target.reference, target.project)]
            except Unresolved as error:
                return self._missing(target, error.code, str(error))
        ports = ports_of(self.draft, target.reference, target.project)
        if not ports:
            return self._missing(target, Code.NOT_FOUND, f"there is no port of machine {target.reference!r}")
        return list(ports)

    def _missing(self, target: Target, code: Code, reason: str) -> list[Named]:
        if not (self._ignore_missing and code is Code.NOT_FOUND):
            self.findings.append(Finding(target.source, "", reason, code))
        return []

    def _detach(self, target: Target, obj: Named) -> None:
        """Delete a port that was created for the machine; only remove the groups from any other port."""
        assert isinstance(obj, Port)
        self._outcomes.append(ObjectOutcome("VirtualMachine", target.reference, ObjectAction.DELETED))
        if obj.device_owner == MACHINE_OWNER:
            self._take(obj, target.source)
        else:
            self.draft.put(replace(obj, security_groups=frozenset()))

    def _take(self, obj: PolicyObject, source: Source) -> None:
        if self.draft.get(type(obj), obj.id) is None:
            return
        self.draft.remove(type(obj), obj.id)
        self._sources[type(obj), obj.id] = source
        self._outcomes.append(ObjectOutcome(MANIFEST_KINDS[type(obj)], _label(obj), ObjectAction.DELETED))
        if isinstance(obj, SecurityGroup):
            for rule in self.draft.where(Rule, "group_id", obj.id):
                self.draft.remove(Rule, rule.id)
        if isinstance(obj, Network) and obj.default_group is not None:
            self._take_default_group(obj.default_group, source)

    def _take_subnet(self, subnet: Subnet, source: Source) -> None:
        prefix, network = subnet.detail.prefix, self.draft.get(Network, subnet.network.id)
        name = subnet.name or str(prefix)
        users = [describe(port) for port in ports_in(self.draft, subnet)]
        if users:
            source = replace(source, kind=MANIFEST_KINDS[Subnet], name=name)
            self.findings.append(Finding(source, "", in_use_by(users), Code.IN_USE))
        elif network is not None:
            self.draft.put(without_subnet(network, prefix))
        self._outcomes.append(ObjectOutcome(MANIFEST_KINDS[Subnet], name, ObjectAction.DELETED))

    def _take_default_group(self, identifier: str, source: Source) -> None:
        group = self.draft.get(SecurityGroup, identifier)
        if group is None or DEFAULT_GROUP_TAG not in group.meta.tags:
            return
        users = users_of(self.draft, SecurityGroup, identifier)
        if all(isinstance(user, Rule) and user.group_id == identifier for user in users):
            self._take(group, source)

    def finding(self, violation: Violation) -> Finding:
        """The problem, with the target that a violation comes from."""
        found = super().finding(violation)
        source = self._sources.get((type(violation.subject), violation.subject.id), Source())
        if not source.kind:
            source = replace(source, kind=found.source.kind, name=found.source.name)
        return replace(found, source=source)


def _turn(found: tuple[Target, Named]) -> int:
    """The order of deletion: machines first; subnets last, after ports that have addresses in them."""
    target, obj = found
    return 2 if isinstance(obj, Subnet) else 0 if target.kind is None else 1


def _label(obj: PolicyObject) -> str:
    number = str(obj.number) if isinstance(obj, Rule) and obj.number else ""
    return obj.name or number or obj.id
