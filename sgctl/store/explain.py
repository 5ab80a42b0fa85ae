"""Explains to the user why the server refused a change. Reads every row, so use it only after a refusal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flows.policy.objects import Change, PolicyObject
from sgctl.attributes.value_types import EMPTY
from sgctl.ovsdb.replica import Json, Row, elements
from sgctl.store import codec
from sgctl.store.database_schema import shipped

Rows = Mapping[str, Mapping[str, Row]]
Key = tuple[type[PolicyObject], str]


def explain(changes: Sequence[Change], rows: Rows) -> list[str]:
    """All conflicts of the changes with the rows: dangling references, and values that must be unique."""
    after = {(change.kind, _id(change)): change.new for change in changes}
    return [*_dangling(after, rows), *_still_used(after, rows), *_taken(after, rows)]


def _id(change: Change) -> str:
    return change.old.id if change.old is not None else change.new.id if change.new is not None else ""


def _dangling(after: Mapping[Key, PolicyObject | None], rows: Rows) -> Iterator[str]:
    for obj in after.values():
        for column, identifier in codec.references(obj) if obj is not None else ():
            assert column.refers_to is not None
            key = column.refers_to, identifier
            exists = identifier in rows[codec.TABLES[column.refers_to].name]
            if after[key] is None if key in after else not exists:
                assert obj is not None
                yield f"{codec.describe(obj)}: {column.label}: there is no {codec.WORDS[key[0]]} {identifier}"


def _still_used(after: Mapping[Key, PolicyObject | None], rows: Rows) -> Iterator[str]:
    gone = {key for key, obj in after.items() if obj is None}
    for kind, table in codec.TABLES.items():
        columns = [column for column in table.columns if column.refers_to is not None]
        for identifier, row in rows[table.name].items() if columns else ():
            if (kind, identifier) in after:
                continue
            for column in columns:
                for atom in elements(row.get(column.name, EMPTY)):
                    if (column.refers_to, atom[1]) in gone:
                        assert column.refers_to is not None
                        what = f"{codec.WORDS[column.refers_to]} {atom[1]}"
                        yield f"{what} is in use by {_describe_row(kind, identifier, row)} ({column.label})"


def _taken(after: Mapping[Key, PolicyObject | None], rows: Rows) -> Iterator[str]:
    """Values that two rows would share although an index requires them to be unique."""
    tables = shipped()["tables"]
    for kind, table in codec.TABLES.items():
        for index in tables[table.name].get("indexes", []):
            owners: dict[str, str] = {}
            for identifier, row in rows[table.name].items():
                if (kind, identifier) not in after:
                    owners[_values(row, index)] = _describe_row(kind, identifier, row)
            for key, obj in after.items():
                if key[0] is kind and obj is not None:
                    values = _values(codec.encode(obj), index)
                    if owners.setdefault(values, codec.describe(obj)) != codec.describe(obj):
                        labels = " and ".join(table.by_name[name].label for name in index)
                        yield f"{codec.describe(obj)}: {labels}: already used by {owners[values]}"


def _values(row: Row, columns: Sequence[str]) -> str:
    return str([row.get(name) for name in columns])


def _describe_row(kind: type[PolicyObject], identifier: str, row: Mapping[str, Json]) -> str:
    return " ".join(filter(None, (codec.WORDS[kind], row.get("name"), f"({identifier})")))
