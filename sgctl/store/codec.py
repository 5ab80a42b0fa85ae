"""Conversion between policy objects and database rows, by the declarations in `sgctl.attributes`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from flows.policy.objects import (
    NO_META,
    AddressGroup,
    Meta,
    Network,
    PolicyObject,
    Port,
    Rule,
    SecurityGroup,
)
from flows.policy.validate import Problem, check
from sgctl.attributes import declarations
from sgctl.attributes.attribute import Attribute
from sgctl.attributes.declarations import ATTRIBUTES
from sgctl.attributes.value_types import ValueType
from sgctl.ovsdb.replica import Row


class ColumnOf(NamedTuple):
    """One column and its field. `label` is the field's Neutron name, `refers_to` the kind it refers to."""

    name: str
    field: str
    value_type: ValueType
    label: str
    refers_to: type[PolicyObject] | None = None


class TableCodec(NamedTuple):
    """The table of one kind: `columns` without those of Meta, `by_name` with them."""

    name: str
    columns: tuple[ColumnOf, ...]
    by_name: Mapping[str, ColumnOf]
    defaults: Mapping[str, Any]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of all columns, including those of Meta."""
        return tuple(self.by_name)


def _columns(attributes: Iterable[Attribute]) -> tuple[ColumnOf, ...]:
    return tuple(
        ColumnOf(each.column, each.field, each.value_type, each.name, each.refers_to) for each in attributes
    )


META = _columns(declarations.META)
META_NAMES = frozenset(column.name for column in META)


def _table(name: str, kind: type[PolicyObject]) -> TableCodec:
    columns = _columns(ATTRIBUTES[kind])
    by_name = {column.name: column for column in (*columns, *META)}
    return TableCodec(name, columns, by_name, {column.field: column.value_type.empty for column in columns})


_NAMES: Mapping[type[PolicyObject], str] = {
    SecurityGroup: "Security_Group",
    AddressGroup: "Address_Group",
    Network: "Network",
    Rule: "Rule",
    Port: "Port",
}

TABLES = {kind: _table(_NAMES[kind], kind) for kind in ATTRIBUTES}
"""The table of each kind; every kind comes after the kinds it refers to."""

KIND_OF = {table.name: kind for kind, table in TABLES.items()}
WORDS = {
    SecurityGroup: "security group",
    AddressGroup: "address group",
    Network: "network",
    Rule: "rule",
    Port: "port",
}


def decode(
    kind: type[PolicyObject], identifier: str, row: Row, known: PolicyObject | None = None
) -> PolicyObject | list[Problem]:
    """The object that a row holds, or all problems when the row is malformed.

    `known` is a valid object: an equal one is not checked.
    """
    table = TABLES[kind]
    values: dict[str, Any] = dict(table.defaults)
    meta: dict[str, Any] = {}
    problems = []
    for name, value in row.items():
        column = table.by_name[name]
        try:
            (meta if name in META_NAMES else values)[column.field] = column.value_type.read(value)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(column.label, str(error)))
    if problems:
        return problems
    obj = kind(id=identifier, meta=Meta(**meta) if meta else NO_META, **values)
    return obj if obj == known else check(obj) or obj


def encode(obj: PolicyObject) -> Row:
    """The object's row with all columns."""
    table = TABLES[type(obj)]
    row = {column.name: column.value_type.write(getattr(obj, column.field)) for column in table.columns}
    row.update({column.name: column.value_type.write(getattr(obj.meta, column.field)) for column in META})
    return row


def new_row(obj: PolicyObject) -> Row:
    """The columns that differ from the defaults: about half of the data to send for a new row."""
    row = _written(TABLES[type(obj)].columns, obj)
    if obj.meta is not NO_META:
        row.update(_written(META, obj.meta))
    return row


def _written(columns: Iterable[ColumnOf], values: object) -> Row:
    return {
        column.name: column.value_type.write(value)
        for column in columns
        if (value := getattr(values, column.field)) != column.value_type.empty
    }


def references(obj: PolicyObject) -> Iterator[tuple[ColumnOf, str]]:
    """Every id of another object that the object refers to, with the column that holds the id."""
    for column in TABLES[type(obj)].columns:
        if column.refers_to is not None:
            value = getattr(obj, column.field)
            ids = value if isinstance(value, frozenset) else () if value is None else (value,)
            for identifier in ids:
                yield column, identifier


def describe(obj: PolicyObject) -> str:
    """The object's kind, name and id, for messages."""
    return f"{WORDS[type(obj)]} {obj.name} ({obj.id})" if obj.name else f"{WORDS[type(obj)]} {obj.id}"
