"""A change of the policy as one OVSDB transaction, which fails if the data it is based on has changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from flows.policy.objects import Change, PolicyObject, Rule, SecurityGroup
from flows.policy.validate import MAX_RULE_NUMBER, check
from sgctl.ovsdb.errors import Conflict, StoreError
from sgctl.ovsdb.replica import Json, Operation, Replica, elements, first_error
from sgctl.ovsdb.requests import describe_error
from sgctl.store import codec, explain
from sgctl.store.checked import CheckedChanges
from sgctl.store.reader import PolicyReader
from sgctl.store.status import row_is

BY_MEMBERS = frozenset({"addresses"})
"""Sets that can be large: additions and removals are written, and they are not compared with the base."""

_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_NOT_AS_EXPECTED = "timed out"
"""The server's error when the condition of a `wait` operation with timeout 0 does not hold."""

_NO_QUORUM = "cluster error"
"""The server's error when the cluster lost its leader; the transaction may still succeed."""

_NUMBERS = "the next rule number"
_GENERATION = "the generation"
_GET_GENERATION: Operation = {"op": "select", "table": "Global", "where": [], "columns": ["generation"]}
Subject = Change | str | None


class Commit:
    """Changes to be written to the database. Call `attempt` until it returns a generation or raises."""

    def __init__(
        self, replica: Replica, reader: PolicyReader, changes: Sequence[Change], at_generation: int | None
    ) -> None:
        self._replica = replica
        self._reader = reader
        checked = isinstance(changes, CheckedChanges)
        self._changes = [_storable(change, checked) for change in changes]
        self._at_generation = at_generation
        self.uncertain = False
        self._deleted_groups = {
            _identifier(change) for change in self._changes if _deletes(change, SecurityGroup)
        }
        self._add_rules_of_deleted_groups()

    def attempt(self, deadline: float) -> int | None:
        """Send the transaction and return the new generation.

        None means: read what has changed in the database and try again. If `uncertain` is set then, this
        attempt may nevertheless have succeeded. After Conflict and StoreError nothing was written, except
        when StoreError says that no answer came by the deadline (monotonic clock).
        """
        self._compare_with_present()
        operations, subjects = self._compose()
        results = self._replica.transact(operations, deadline)
        error = first_error(results) if results is not None else None
        self.uncertain = results is None or (error is not None and error[1]["error"] == _NO_QUORUM)
        if results is None or self.uncertain:
            return None
        if error is None:
            return int(results[len(operations) - 2]["rows"][0]["generation"])
        position, problem = error
        subject = subjects[position] if position < len(subjects) else None
        if problem["error"] == _NOT_AS_EXPECTED and subject is _NUMBERS:
            return None
        raise self._failure(problem, subject)

    def is_done(self) -> bool:
        """Whether the database already holds the result of the changes."""
        return all(self._holds(change) for change in self._changes)

    def _add_rules_of_deleted_groups(self) -> None:
        """Delete the rules of deleted groups as well.

        `_write` also deletes those rules whose rows could not be read.
        """
        if not self._deleted_groups:
            return
        named = {_identifier(change) for change in self._changes if change.kind is Rule}
        for rule in self._reader.objects[Rule].values():
            assert isinstance(rule, Rule)
            if rule.group_id in self._deleted_groups and rule.id not in named:
                self._changes.append(Change(rule, None))

    def _compare_with_present(self) -> None:
        for change in self._changes:
            now = self._reader.objects[change.kind].get(_identifier(change))
            if now != change.old:
                raise Conflict(_changed_concurrently(change))

    def _compose(self) -> tuple[list[Operation], list[Subject]]:
        """The operations, and the subject of each operation, to tell errors apart."""
        steps: list[tuple[Operation, Subject]] = []
        if self._at_generation is not None:
            steps.append((_expect("generation", self._at_generation), _GENERATION))
        (counters,) = self._replica.rows["Global"].values()
        next_number = counters["next_rule_number"]
        changes = list(self._numbered(max(next_number, self._reader.next_free_number)))
        self._reader.expect(change.new for change in changes if change.new is not None)
        numbers = [change.new.number for change in changes if isinstance(change.new, Rule) and not change.old]
        advance: Operation = {"op": "mutate", "table": "Global", "where": []}
        advance["mutations"] = [["generation", "+=", 1]]
        if numbers:
            steps.append((_expect("next_rule_number", next_number), _NUMBERS))
            advance["mutations"].append(["next_rule_number", "+=", max(numbers) + 1 - next_number])
        steps += [(operation, change) for change in changes for operation in self._write(change)]
        steps += [(advance, None), (_GET_GENERATION, None), ({"op": "commit", "durable": True}, None)]
        return [operation for operation, _ in steps], [subject for _, subject in steps]

    def _numbered(self, number: int) -> Iterator[Change]:
        """The changes, with numbers for new rules from `number` on; changed rules keep their number."""
        for change in self._changes:
            old, new = change
            if isinstance(new, Rule) and isinstance(old, Rule):
                yield Change(old, replace(new, number=old.number))
            elif isinstance(new, Rule):
                if number >= MAX_RULE_NUMBER:  # the counter must be able to hold the next number
                    raise StoreError("all rule numbers are used up")
                yield Change(old, replace(new, number=number))
                number += 1
            else:
                yield change

    def _write(self, change: Change) -> Iterator[Operation]:
        old, new = change
        table = codec.TABLES[change.kind].name
        if old is None:
            assert new is not None
            yield {"op": "insert", "table": table, "uuid": new.id, "row": codec.new_row(new)}
            return
        if new is None and isinstance(old, Rule) and old.group_id in self._deleted_groups:
            return  # the deletion of its group deletes it
        yield self._expect_unchanged(old)
        if new is None:
            yield _delete(table, row_is(old.id))
            if isinstance(old, SecurityGroup):
                yield _delete("Rule", [["security_group", "==", ["uuid", old.id]]])
        else:
            yield from self._update(table, old, new)

    def _expect_unchanged(self, obj: PolicyObject) -> Operation:
        """The condition that the row still equals the row that was read, except for large sets."""
        table = codec.TABLES[type(obj)]
        columns = [name for name in table.column_names if name not in BY_MEMBERS]
        return {
            "op": "wait",
            "table": table.name,
            "timeout": 0,
            "where": row_is(obj.id),
            "columns": columns,
            "until": "==",
            "rows": [self._replica.full_row(table.name, obj.id, columns)],
        }

    def _update(self, table: str, old: PolicyObject, new: PolicyObject) -> Iterator[Operation]:
        before, after = codec.encode(old), codec.encode(new)
        changed = {name: value for name, value in after.items() if before[name] != value}
        for name in BY_MEMBERS & changed.keys():
            held = self._replica.full_row(table, old.id, [name])[name]
            mutations = _member_changes(name, held, changed.pop(name))
            yield {"op": "mutate", "table": table, "where": row_is(old.id), "mutations": mutations}
        if changed:
            yield {"op": "update", "table": table, "where": row_is(old.id), "row": changed}

    def _holds(self, change: Change) -> bool:
        now = self._reader.objects[change.kind].get(_identifier(change))
        if isinstance(now, Rule) and isinstance(change.new, Rule) and not change.new.number:
            return replace(now, number=0) == change.new
        return now == change.new

    def _failure(self, problem: Json, subject: Subject) -> StoreError:
        if problem["error"] == _NOT_AS_EXPECTED and subject is _GENERATION:
            return Conflict("the policy has changed since it was read")
        if isinstance(subject, Change) and problem["error"] in (_NOT_AS_EXPECTED, "duplicate uuid"):
            return Conflict(_changed_concurrently(subject))
        if problem["error"] in ("referential integrity violation", "constraint violation"):
            reasons = explain.explain(self._changes, self._replica.rows)
            # If our copy of the rows shows no reason, another client has just written one.
            return StoreError("; ".join(reasons)) if reasons else Conflict(describe_error(problem))
        return StoreError(f"the policy database refused the change: {describe_error(problem)}")


def _storable(change: Change, checked: bool) -> Change:
    """Return the change. Raises StoreError with all reasons if it cannot be stored.

    `checked` says that its new object was checked by itself.
    """
    old, new = change
    if old is None and new is None:
        raise StoreError("a change needs an old or a new object")
    if new is None:
        return change
    problems = [f"{problem.field}: {problem.reason}" for problem in (() if checked else check(new))]
    if not _UUID.fullmatch(new.id):
        problems.append(f"id: {new.id!r} is not a lower-case UUID")
    if old is not None and (type(old), old.id) != (type(new), new.id):
        problems.append(f"id: differs from that of the {codec.describe(old)}")
    if isinstance(new, Rule) and new.number not in (0, old.number if isinstance(old, Rule) else 0):
        problems.append(f"number: {new.number} cannot be chosen by the caller")
    if problems:
        raise StoreError(f"{codec.describe(new)}: {'; '.join(problems)}")
    return change


def _identifier(change: Change) -> str:
    obj = change.old if change.old is not None else change.new
    assert obj is not None
    return obj.id


def _deletes(change: Change, kind: type[PolicyObject]) -> bool:
    return change.new is None and change.kind is kind


def _changed_concurrently(change: Change) -> str:
    if change.old is None:
        assert change.new is not None
        return f"{codec.describe(change.new)} exists already"
    return f"{codec.describe(change.old)} has been changed by somebody else"


def _expect(column: str, value: int) -> Operation:
    return {
        "op": "wait",
        "table": "Global",
        "timeout": 0,
        "where": [],
        "columns": [column],
        "until": "==",
        "rows": [{column: value}],
    }


def _delete(table: str, where: Json) -> Operation:
    return {"op": "delete", "table": table, "where": where}


def _member_changes(column: str, held: Json, wanted: Json) -> list[Json]:
    before, after = set(elements(held)), set(elements(wanted))
    return [
        [column, "delete", ["set", sorted(before - after)]],
        [column, "insert", ["set", sorted(after - before)]],
    ]
