"""A policy in memory to which plans are applied as to a database."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flows.policy.objects import KINDS, PolicyObject, Rule
from sgctl.service.apply.planner import plan
from sgctl.service.delete import Target, plan_removal
from sgctl.service.draft import Draft
from sgctl.service.errors import Finding, PolicyError
from sgctl.service.export import manifest, to_yaml
from sgctl.service.manifests.documents import documents
from sgctl.service.plan import Plan
from sgctl.store.snapshot import PolicySnapshot


class Policy:
    """Objects by kind and id; numbers rules as the database does."""

    def __init__(self) -> None:
        self.objects: dict[type[PolicyObject], dict[str, PolicyObject]] = {kind: {} for kind in KINDS}
        self._next = 16

    @property
    def snapshot(self) -> PolicySnapshot:
        """The objects, as a store has them."""
        return PolicySnapshot(self.objects)

    def apply(self, *texts: str) -> Plan:
        """Carry out the manifests of some files."""
        return self.carry_out(self.plan(*texts))

    def plan(self, *texts: str) -> Plan:
        found = [
            each for number, text in enumerate(texts) for each in documents(text.encode(), f"{number}.yaml")
        ]
        return plan(self.snapshot, found)

    def findings(self, *texts: str) -> list[Finding]:
        """The problems of manifests, which must be refused without any change."""
        with pytest.raises(PolicyError) as caught:
            self.plan(*texts)
        return list(caught.value.findings)

    def problems(self, *texts: str) -> list[tuple[int, str, str]]:
        """The line, field and reason of each problem."""
        return [(each.line, each.field, each.reason) for each in self.findings(*texts)]

    def delete(self, *targets: tuple[type[PolicyObject] | None, str]) -> Plan:
        return self.carry_out(plan_removal(self.snapshot, [Target(*target) for target in targets]))

    def carry_out(self, decided: Plan) -> Plan:
        for change in decided.changes:
            if change.new is None:
                assert change.old is not None
                del self.objects[change.kind][change.old.id]
            else:
                self.objects[change.kind][change.new.id] = self._numbered(change.new)
        return decided

    def _numbered(self, obj: PolicyObject) -> PolicyObject:
        if not isinstance(obj, Rule) or obj.number:
            return obj
        self._next += 1
        return Rule(**{field: getattr(obj, field) for field in obj.__slots__} | {"number": self._next - 1})

    def export(self) -> str:
        """Everything, as manifests."""
        draft = Draft(self.snapshot)
        kinds: Iterable[type[PolicyObject]] = (kind for kind in KINDS if kind is not Rule)
        return to_yaml(manifest(draft, obj) for kind in kinds for obj in draft.all(kind))

    def draft(self) -> Draft:
        """A draft of the policy, for look-ups."""
        return Draft(self.snapshot)
