"""A plan: the changes that a request needs, and the outcome for each object to show to the user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flows.policy.objects import Change, Rule
from sgctl.store.checked import CheckedChanges
from sgctl.store.snapshot import Key


class ObjectAction(StrEnum):
    """What happened to an object."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class ObjectOutcome:
    """What a plan does to one object, with the user's name for it. `detail` may be empty."""

    kind: str
    name: str
    action: ObjectAction
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Checked changes for one transaction, which must be applied completely or not at all.

    Only `PolicyEdit.plan` makes it.
    """

    changes: CheckedChanges
    outcomes: tuple[ObjectOutcome, ...]


class Summary:
    """Summarizes changes by object; a group's rules count as part of the group."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self._by_key: dict[Key, Change] = {}
        self._rules: dict[str, list[Change]] = {}
        for change in self.changes:
            self._file(change)

    def _file(self, change: Change) -> None:
        obj = change.new if change.new is not None else change.old
        assert obj is not None
        self._by_key[type(obj), obj.id] = change
        if isinstance(obj, Rule):
            self._rules.setdefault(obj.group_id, []).append(change)

    def action(self, keys: Iterable[Key]) -> ObjectAction:
        """The action on these objects taken together."""
        changes = [change for key in keys for change in self._changes(key)]
        if any(change.old is None and change.kind is not Rule for change in changes):
            return ObjectAction.CREATED
        return ObjectAction.UPDATED if changes else ObjectAction.UNCHANGED

    def _changes(self, key: Key) -> Iterator[Change]:
        if key in self._by_key:
            yield self._by_key[key]
        yield from self._rules.get(key[1], ())

    def rules(self, group_id: str) -> str:
        """The changes of a group's rules, such as `2 rules added, 1 removed`; empty if there are none."""
        changes = self._rules.get(group_id, [])
        counts = {
            "added": sum(change.old is None for change in changes),
            "removed": sum(change.new is None for change in changes),
            "renamed": sum(None not in change for change in changes),
        }
        parts = [f"{count} {verb}" for verb, count in counts.items() if count]
        if not parts:
            return ""
        count, _, rest = ", ".join(parts).partition(" ")
        return f"{count} {'rule' if count == '1' else 'rules'} {rest}"
