"""The policy in the database rows: valid objects, problems of malformed rows, and changes.

A malformed row, which another tool must have written, is left out, and so are the objects that refer to it.
One more case must be covered, because it could permit more than intended: in a network whose egress is open
until the first egress rule, leaving out an egress rule must not open it. There the ports of the rule's group
are left out as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from flows.policy.objects import (
    FIRST_RULE_NUMBER,
    KINDS,
    Change,
    Direction,
    EgressDefault,
    Network,
    PolicyObject,
    Port,
    Rule,
)
from sgctl.ovsdb.replica import Row
from sgctl.store import codec
from sgctl.store.snapshot import Key, PolicySnapshot

_MANY = 10_000
"""When so many objects have changed since the last snapshot, the next one is made from all objects."""


class PolicyReader:
    """Reads the policy objects in `rows` (by table and id); call `take` for changed rows.

    `objects` are the current objects; `changes` returns their changes since its last call.
    """

    def __init__(self, rows: Mapping[str, Mapping[str, Row]]) -> None:
        self.objects: dict[type[PolicyObject], dict[str, PolicyObject]] = {kind: {} for kind in KINDS}
        self.problems: dict[str, str] = {}
        self.next_free_number = FIRST_RULE_NUMBER
        self._rows = rows
        self._malformed: dict[Key, str] = {}
        self._withheld: dict[Key, PolicyObject] = {}
        self._before: dict[Key, PolicyObject | None] = {}
        self._snapshot: PolicySnapshot | None = None
        self._edited: dict[Key, None] = {}
        self._written: dict[Key, PolicyObject] = {}

    def take(self, touched: Iterable[tuple[str, str]]) -> None:
        """Read these rows again, given by table and id."""
        keys = [(codec.KIND_OF[table], identifier) for table, identifier in touched if table in codec.KIND_OF]
        for key in keys:
            self._read(key)
        if keys and (self._malformed or self.problems):
            self._leave_out()

    def expect(self, objects: Iterable[PolicyObject]) -> None:
        """Rows with these valid objects are about to be written: they need no check when they come back.

        Rows that differ from them, and those of other writers, are checked like all input.
        """
        self._written = {(type(obj), obj.id): obj for obj in objects}

    def changes(self) -> list[Change]:
        """The changes since the last call: additions after the objects they refer to, deletions before."""
        steps: dict[type[PolicyObject], list[Change]] = {kind: [] for kind in codec.TABLES}
        for (kind, identifier), old in self._before.items():
            new = self.objects[kind].get(identifier)
            if old != new:
                steps[kind].append(Change(old, new))
        self._before.clear()
        ins = [step for kind in steps for step in steps[kind] if step.new is not None]
        outs = [step for kind in reversed(steps) for step in steps[kind] if step.new is None]
        return ins + outs

    def snapshot(self, generation: int) -> PolicySnapshot:
        """The current objects, which have this generation; cheap if little changed since the last call."""
        if self._snapshot is None:
            self._snapshot = PolicySnapshot(self.objects, generation)
        elif self._edited or self._snapshot.generation != generation:
            edits = [((kind, each), self.objects[kind].get(each)) for kind, each in self._edited]
            self._snapshot = self._snapshot.edited(edits, generation)
        self._edited.clear()
        return self._snapshot

    @property
    def changed(self) -> bool:
        """Whether `changes` may return anything."""
        return bool(self._before)

    def _read(self, key: Key) -> None:
        kind, identifier = key
        row = self._rows[codec.TABLES[kind].name].get(identifier)
        self._malformed.pop(key, None)
        self._withheld.pop(key, None)
        if row is None:
            self._set(key, None)
            return
        if kind is Rule:
            self.next_free_number = max(self.next_free_number, row.get("number", 0) + 1)
        obj = codec.decode(kind, identifier, row, self._written.pop(key, None))
        if isinstance(obj, list):
            self._malformed[key] = "; ".join(f"{problem.field}: {problem.reason}" for problem in obj)
            self._set(key, None)
        else:
            self._set(key, obj)

    def _set(self, key: Key, obj: PolicyObject | None) -> None:
        kind, identifier = key
        objects = self.objects[kind]
        old = objects.get(identifier)
        if old is obj or old == obj:
            return
        self._before.setdefault(key, old)
        self._note(key)
        if obj is None:
            del objects[identifier]
        else:
            objects[identifier] = obj

    def _note(self, key: Key) -> None:
        """Note a change for the next snapshot, unless nobody takes any."""
        if self._snapshot is not None:
            self._edited[key] = None
            if len(self._edited) > _MANY:
                self._snapshot = None
                self._edited.clear()

    def _leave_out(self) -> None:
        """Find the objects to leave out because of malformed rows. This is rare, so it reads all objects."""
        closure = _Closure(self._malformed, self._rows)
        present: dict[Key, PolicyObject] = {}
        withheld: dict[Key, PolicyObject] = {}
        for key, obj in self._well_formed():
            (withheld if closure.leaves_out(key, obj) else present)[key] = obj
        self._withheld = withheld
        for key in withheld:
            self._set(key, None)
        for key, obj in present.items():
            self._set(key, obj)
        self.problems = {
            identifier: f"{codec.TABLES[kind].name} row left out: {reason}"
            for (kind, identifier), reason in closure.reasons.items()
        }

    def _well_formed(self) -> Iterator[tuple[Key, PolicyObject]]:
        """Every well-formed object, after those it refers to."""
        for kind in codec.TABLES:
            yield from [((kind, identifier), obj) for identifier, obj in self.objects[kind].items()]
            yield from [(key, obj) for key, obj in self._withheld.items() if key[0] is kind]


class _Closure:
    """The objects to leave out because of malformed rows.

    Call `leaves_out` for each object after the objects it refers to.
    """

    def __init__(self, malformed: Mapping[Key, str], rows: Mapping[str, Mapping[str, Row]]) -> None:
        self.reasons = dict(malformed)
        self._open_ended: dict[str, str] = {}
        self._doubtful: dict[str, str] = {}
        for kind, identifier in malformed:
            row = rows[codec.TABLES[kind].name][identifier]
            if kind is Rule and row["direction"] == Direction.EGRESS:
                self._doubtful[row["security_group"][1]] = identifier

    def leaves_out(self, key: Key, obj: PolicyObject) -> bool:
        """Whether the object must be left out; records the reason."""
        reason = self._reason(obj)
        if not reason:
            return False
        self.reasons[key] = reason
        if isinstance(obj, Rule) and obj.direction is Direction.EGRESS:
            self._doubtful[obj.group_id] = obj.id
        return True

    def _reason(self, obj: PolicyObject) -> str:
        for column, identifier in codec.references(obj):
            assert column.refers_to is not None
            if (column.refers_to, identifier) in self.reasons:
                return f"{column.label}: {codec.WORDS[column.refers_to]} {identifier} is left out"
        if isinstance(obj, Network) and obj.egress_default is EgressDefault.OPEN_UNTIL_RULE:
            self._open_ended[obj.id] = obj.default_group or ""
        if isinstance(obj, Port) and obj.network_id in self._open_ended:
            for group in obj.security_groups or {self._open_ended[obj.network_id]}:
                if group in self._doubtful:
                    return f"security_groups: an egress rule of {group} is left out: {self._doubtful[group]}"
        return ""
