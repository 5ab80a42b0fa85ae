"""Conversion between policy objects and database rows; declares once which column holds which field.

A list whose order the user gave is stored as a map from position to element, because OVSDB sets are
unordered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from flows.policy.objects import (
    NO_META,
    AddressGroup,
    AddressPair,
    Direction,
    EgressDefault,
    Ethertype,
    Meta,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
    SubnetDetail,
)
from flows.policy.validate import Problem, check
from sgctl.ovsdb.replica import Json, Row, elements

EMPTY: Json = ["set", []]


class Form(NamedTuple):
    """How to convert a column's JSON to a field's value and back. `read` raises ValueError."""

    read: Callable[[Json], Any]
    write: Callable[[Any], Json]
    default: Any


class ColumnOf(NamedTuple):
    """One column and its field. `label` is the field's Neutron name, `refers_to` the kind it refers to."""

    name: str
    field: str
    form: Form
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


@lru_cache(maxsize=1 << 18)
def _prefix(text: str) -> Prefix:
    return Prefix.parse(text)


@lru_cache(maxsize=1 << 12)
def _shared(text: str) -> str:
    """One string object for equal strings: times and project ids repeat in every row."""
    return text


def _pair(text: str) -> AddressPair:
    mac, blank, prefix = text.partition(" ")
    if not blank:
        raise ValueError(f"{text!r} is not a MAC address, a space and an IP address or CIDR")
    return AddressPair(mac, _prefix(prefix))


def _read_detail(text: str) -> SubnetDetail:
    """Parse a subnet's details, stored as a JSON object. Raises ValueError."""
    try:
        stored = json.loads(text)
        return SubnetDetail(
            prefix=_prefix(stored["cidr"]),
            name=stored["name"],
            description=stored["description"],
            gateway=None if stored["gateway_ip"] is None else _prefix(stored["gateway_ip"]),
            pools=tuple((_prefix(pool[0]).value, _prefix(pool[1]).value) for pool in stored["pools"]),
            enable_dhcp=stored["enable_dhcp"],
            dns_nameservers=tuple(map(_prefix, stored["dns_nameservers"])),
            tags=frozenset(stored["tags"]),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"{text!r} does not describe a subnet") from error


def _write_detail(detail: SubnetDetail) -> str:
    def address(value: int) -> str:
        return Prefix(detail.prefix.version, value, detail.prefix.bits).address

    stored = {
        "cidr": str(detail.prefix),
        "name": detail.name,
        "description": detail.description,
        "gateway_ip": None if detail.gateway is None else str(detail.gateway),
        "pools": [[address(first), address(last)] for first, last in detail.pools],
        "enable_dhcp": detail.enable_dhcp,
        "dns_nameservers": list(map(str, detail.dns_nameservers)),
        "tags": sorted(detail.tags),
    }
    return json.dumps(stored, sort_keys=True)


def _uuid(value: str) -> Json:
    return ["uuid", value]


def _same(value: Any) -> Any:
    return value


def _set(values: list[Json]) -> Json:
    return values[0] if len(values) == 1 else ["set", values]


def _optional(read: Callable[[Json], Any], write: Callable[[Any], Json]) -> Form:
    return Form(
        lambda value: None if value == EMPTY else read(value),
        lambda value: EMPTY if value is None else write(value),
        None,
    )


def _members(read: Callable[[Json], Any], write: Callable[[Any], Json]) -> Form:
    return Form(
        lambda value: frozenset(map(read, elements(value))),
        lambda values: _set(sorted(map(write, values))),
        frozenset(),
    )


def _ordered(read: Callable[[str], Any], write: Callable[[Any], str]) -> Form:
    return Form(
        lambda value: tuple(read(text) for _, text in sorted(value[1])),
        lambda values: ["map", [[position, write(each)] for position, each in enumerate(values)]],
        (),
    )


def _choice(choices: Callable[[str], Any]) -> Form:
    return Form(choices, str, None)


TEXT = Form(_same, _same, "")
SHARED_TEXT = Form(_shared, _same, "")
NUMBER = Form(_same, _same, 0)
FLAG = Form(_same, _same, False)
OPTIONAL_NUMBER = _optional(_same, _same)
OPTIONAL_TEXT = _optional(_same, _same)
OPTIONAL_PREFIX = _optional(_prefix, str)
TEXTS = _members(_same, _same)
NUMBERS = _members(_same, _same)
PREFIXES = _members(_prefix, str)
PREFIX_LIST = _ordered(_prefix, str)
DETAILS = Form(
    lambda value: tuple(sorted(map(_read_detail, elements(value)), key=lambda detail: detail.prefix)),
    lambda values: _set(sorted(map(_write_detail, values))),
    (),
)
PAIR_LIST = _ordered(_pair, lambda pair: f"{pair.mac} {pair.prefix}")
REFERENCE = Form(lambda value: value[1], _uuid, "")
OPTIONAL_REFERENCE = _optional(lambda value: value[1], _uuid)
REFERENCES = _members(lambda value: value[1], _uuid)

META = tuple(
    ColumnOf(name, name, form, name)
    for name, form in {
        "description": TEXT,
        "project_id": SHARED_TEXT,
        "tags": TEXTS,
        "created_at": SHARED_TEXT,
        "updated_at": SHARED_TEXT,
        "revision_number": NUMBER,
    }.items()
)
META_NAMES = frozenset(column.name for column in META)


def _plain(**forms: Form) -> list[ColumnOf]:
    """Columns whose name, field and Neutron name are the same."""
    return [ColumnOf(name, name, form, name) for name, form in forms.items()]


def _refer(name: str, form: Form, to: type[PolicyObject], field: str = "", label: str = "") -> ColumnOf:
    field = field or f"{name}_id"
    return ColumnOf(name, field, form, label or field, to)


def _table(name: str, *columns: ColumnOf) -> TableCodec:
    by_name = {column.name: column for column in (*columns, *META)}
    return TableCodec(name, columns, by_name, {column.field: column.form.default for column in columns})


TABLES: Mapping[type[PolicyObject], TableCodec] = {
    SecurityGroup: _table("Security_Group", *_plain(name=TEXT, stateful=FLAG)),
    AddressGroup: _table("Address_Group", *_plain(name=TEXT, addresses=PREFIXES)),
    Network: _table(
        "Network",
        *_plain(
            name=TEXT,
            segmentation_id=OPTIONAL_NUMBER,
            subnets=PREFIX_LIST,
            address_scope=OPTIONAL_TEXT,
            connection_limit=OPTIONAL_NUMBER,
            bound_members_only=FLAG,
            egress_default=_choice(EgressDefault),
            subnet_details=DETAILS,
        ),
        _refer("default_group", OPTIONAL_REFERENCE, SecurityGroup, "default_group"),
    ),
    Rule: _table(
        "Rule",
        *_plain(number=NUMBER, direction=_choice(Direction), ethertype=_choice(Ethertype)),
        *_plain(protocol=OPTIONAL_NUMBER, port_range_min=OPTIONAL_NUMBER, port_range_max=OPTIONAL_NUMBER),
        *_plain(remote_ip_prefix=OPTIONAL_PREFIX, name=TEXT),
        _refer("security_group", REFERENCE, SecurityGroup, "group_id", "security_group_id"),
        _refer("remote_group", OPTIONAL_REFERENCE, SecurityGroup),
        _refer("remote_address_group", OPTIONAL_REFERENCE, AddressGroup),
        _refer("remote_network", OPTIONAL_REFERENCE, Network),
    ),
    Port: _table(
        "Port",
        *_plain(name=TEXT, iface_id=TEXT, fixed_ips=PREFIX_LIST, allowed_address_pairs=PAIR_LIST),
        ColumnOf("mac", "mac", TEXT, "mac_address"),
        *_plain(
            port_security_enabled=FLAG,
            permitted_ethertypes=NUMBERS,
            admin_state_up=FLAG,
            device_id=TEXT,
            device_owner=TEXT,
        ),
        _refer("network", REFERENCE, Network),
        _refer("security_groups", REFERENCES, SecurityGroup, "security_groups"),
    ),
}
"""The table of each kind; every kind comes after the kinds it refers to."""

KIND_OF = {table.name: kind for kind, table in TABLES.items()}
WORDS = {
    SecurityGroup: "security group",
    AddressGroup: "address group",
    Network: "network",
    Rule: "rule",
    Port: "port",
}


def decode(kind: type[PolicyObject], identifier: str, row: Row) -> PolicyObject | list[Problem]:
    """The object that a row holds, or all problems when the row is malformed."""
    table = TABLES[kind]
    values: dict[str, Any] = dict(table.defaults)
    meta: dict[str, Any] = {}
    problems = []
    for name, value in row.items():
        column = table.by_name[name]
        try:
            (meta if name in META_NAMES else values)[column.field] = column.form.read(value)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(column.label, str(error)))
    if problems:
        return problems
    obj = kind(id=identifier, meta=Meta(**meta) if meta else NO_META, **values)
    return check(obj) or obj


def encode(obj: PolicyObject) -> Row:
    """The object's row with all columns."""
    table = TABLES[type(obj)]
    row = {column.name: column.form.write(getattr(obj, column.field)) for column in table.columns}
    row.update({column.name: column.form.write(getattr(obj.meta, column.field)) for column in META})
    return row


def new_row(obj: PolicyObject) -> Row:
    """The columns that differ from the defaults: about half of the data to send for a new row."""
    row = _written(TABLES[type(obj)].columns, obj)
    if obj.meta is not NO_META:
        row.update(_written(META, obj.meta))
    return row


def _written(columns: Iterable[ColumnOf], values: object) -> Row:
    return {
        column.name: column.form.write(value)
        for column in columns
        if (value := getattr(values, column.field)) != column.form.default
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
