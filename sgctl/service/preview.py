"""The policy as it would be after changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flows.policy.objects import FIRST_RULE_NUMBER, Change, Rule
from sgctl.service.draft import Draft
from sgctl.store.snapshot import PolicySnapshot


def preview(objects: PolicySnapshot, changes: Sequence[Change]) -> tuple[Draft, list[Change]]:
    """The policy after the changes, and the changes with numbers for new rules.

    The numbers are only a forecast: the final numbers are assigned when the rules are stored.
    """
    draft = Draft(objects)
    numbers = [rule.number for rule in draft.all(Rule)]
    number = max(numbers, default=FIRST_RULE_NUMBER - 1)
    numbered = []
    for old, new in changes:
        side = new
        if isinstance(new, Rule) and not new.number:
            number += 1
            side = replace(new, number=number)
        numbered.append(Change(old, side))
    for change in numbered:
        if change.new is None:
            draft.remove(change.kind, change.id)
        else:
            draft.put(change.new)
    return draft, numbered
