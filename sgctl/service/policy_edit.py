"""A change of the policy while it is made, and the checks that make a plan of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sgctl.service.addresses import AddressPool
from sgctl.service.checks import Violation, check_changes
from sgctl.service.draft import Draft
from sgctl.service.errors import Finding, PolicyError, Source
from sgctl.service.kinds import MANIFEST_KINDS
from sgctl.service.plan import ObjectOutcome, Plan
from sgctl.store.checked import CheckedChanges


def _no_outcomes(_: CheckedChanges) -> Iterable[ObjectOutcome]:
    return ()


class PolicyEdit:
    """A draft with a pool of free addresses and the problems that were found. It makes every plan."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.addresses = AddressPool(draft)
        self.findings: list[Finding] = []

    def plan(self, outcomes: Callable[[CheckedChanges], Iterable[ObjectOutcome]] = _no_outcomes) -> Plan:
        """The draft's edits, checked once: each object by itself, and the objects together.

        `outcomes` gives the outcomes of the changes. Raises PolicyError with every problem.
        """
        changes, violations = check_changes(self.draft)
        self.findings += map(self.finding, violations)
        if self.findings:
            raise PolicyError(self.sorted_findings())
        return Plan(changes, tuple(outcomes(changes)))

    def finding(self, violation: Violation) -> Finding:
        """The problem that a violation is to the user."""
        obj = violation.subject
        source = Source(kind=MANIFEST_KINDS[type(obj)], name=obj.name or obj.id)
        return Finding(source, violation.field, violation.reason, violation.code)

    def sorted_findings(self) -> list[Finding]:
        """The problems in the order in which the user reads them."""
        return self.findings
