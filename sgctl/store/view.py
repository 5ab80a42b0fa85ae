"""The policy as rows tell it: valid objects, what is wrong with the others, and what changed.

A row that another tool left malformed is left out, and so is what refers to it: an object is never half
there. One more case could permit more than was meant. In a network whose egress is open until the first
egress rule, an egress rule that is left out must not open it; there the ports of its group are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from flows.model import (
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
from sgctl.store import codec
from sgctl.store.replica import Row

Key = tuple[type[PolicyObject], str]
"""An object's kind and id."""


class PolicyView:
    """The policy objects in `rows` (by table and id), kept current by `take`.

    `objects` are those that hold now; `changes` tells what became of them since it was last called.
    """

    def __init__(self, rows: Mapping[str, Mapping[str, Row]]) -> None:
        self.objects: dict[type[PolicyObject], dict[str, PolicyObject]] = {kind: {} for kind in KINDS}
        self.problems: dict[str, str] = {}
        self.next_free_number = FIRST_RULE_NUMBER
        self._rows = rows
        self._malformed: dict[Key, str] = {}
        self._withheld: dict[Key, PolicyObject] = {}
        self._before: dict[Key, PolicyObject | None] = {}

    def take(self, touched: Iterable[tuple[str, str]]) -> None:
        """Look again at these rows, given by table and id."""
        keys = [(codec.KIND_OF[table], identifier) for table, identifier in touched if table in codec.KIND_OF]
        for key in keys:
            self._read(key)
        if keys and (self._malformed or self.problems):
            self._withhold()

    def changes(self) -> list[Change]:
        """The steps since the last call, what is referred to first on the way in and last on the way out."""
        steps: dict[type[PolicyObject], list[Change]] = {kind: [] for kind in codec.TABLES}
        for (kind, identifier), old in self._before.items():
            new = self.objects[kind].get(identifier)
            if old != new:
                steps[kind].append(Change(old, new))
        self._before.clear()
        ins = [step for kind in steps for step in steps[kind] if step.new is not None]
        outs = [step for kind in reversed(steps) for step in steps[kind] if step.new is None]
        return ins + outs

    @property
    def changed(self) -> bool:
        """Whether `changes` may have something to tell."""
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
        obj = codec.decode(kind, identifier, row)
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
        if obj is None:
            del objects[identifier]
        else:
            objects[identifier] = obj

    def _withhold(self) -> None:
        """Work out what cannot be there because of malformed rows. Rare, so it looks at everything."""
        closure = _Closure(self._malformed, self._rows)
        present: dict[Key, PolicyObject] = {}
        withheld: dict[Key, PolicyObject] = {}
        for key, obj in self._sound():
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

    def _sound(self) -> Iterator[tuple[Key, PolicyObject]]:
        """Every well-formed object, after those it refers to."""
        for kind in codec.TABLES:
            yield from [((kind, identifier), obj) for identifier, obj in self.objects[kind].items()]
            yield from [(key, obj) for key, obj in self._withheld.items() if key[0] is kind]


class _Closure:
    """Malformed rows and what follows from them, asked in the order in which objects depend on each other."""

    def __init__(self, malformed: Mapping[Key, str], rows: Mapping[str, Mapping[str, Row]]) -> None:
        self.reasons = dict(malformed)
        self._open_ended: dict[str, str] = {}
        self._doubtful: dict[str, str] = {}
        for kind, identifier in malformed:
            row = rows[codec.TABLES[kind].name][identifier]
            if kind is Rule and row["direction"] == Direction.EGRESS:
                self._doubtful[row["security_group"][1]] = identifier

    def leaves_out(self, key: Key, obj: PolicyObject) -> bool:
        """Whether the object must be left out; adds the reason why."""
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
