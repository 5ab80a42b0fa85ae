"""Types of values: how a column of the database holds a value, and how JSON and YAML write it.

A list whose order the user gave is stored as a map from position to element, because OVSDB sets are
unordered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from flows.policy.objects import AddressPair, Prefix, SubnetDetail
from flows.policy.validate import LONGEST_TEXT
from sgctl.ovsdb.replica import elements

Json = Any
Schema = dict[str, Any]

UUID: Schema = {
    "type": "string",
    "pattern": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
}

EMPTY: Json = ["set", []]
NO_SCHEMA: Schema = {}


def same(value: Any) -> Any:
    """The value itself: it is written everywhere in the same way."""
    return value


class ValueType(NamedTuple):
    """How the values of an attribute are written.

    `column` is the type of the column (RFC 7047 section 3.2), `empty` the value of a column that a row leaves
    out. `read` converts a column's JSON to the value, and raises ValueError; `write` converts it back.
    `schema` is the JSON Schema of the value in manifests and in bodies of the REST API. `parse` converts what
    the schema allows to the value, and `show` converts the value to JSON. Without a `schema`, manifests and
    the API differ.
    """

    column: Json
    read: Callable[[Json], Any]
    write: Callable[[Any], Json]
    empty: Any
    schema: Schema = NO_SCHEMA
    parse: Callable[[Any], Any] = same
    show: Callable[[Any], Any] = same


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


def optional(schema: Schema) -> Schema:
    """The same, or null."""
    kinds = schema["type"]
    return {**schema, "type": [*(kinds if isinstance(kinds, list) else [kinds]), "null"]}


def _uuid(value: str) -> Json:
    return ["uuid", value]


def _id(value: Json) -> Any:
    return value[1]


def _set(values: list[Json]) -> Json:
    return values[0] if len(values) == 1 else ["set", values]


def _texts(values: Any) -> list[str]:
    return list(map(str, values))


def _integers(lowest: int, highest: int | None) -> Json:
    limits = {"minInteger": lowest} if highest is None else {"minInteger": lowest, "maxInteger": highest}
    return {"type": "integer"} | limits


def _bounded(lowest: int, highest: int) -> Schema:
    return {"type": "integer", "minimum": lowest, "maximum": highest}


def _references(table: str) -> Json:
    return {"type": "uuid", "refTable": table}


def _optional(
    key: Json, read: Callable[[Json], Any] = same, write: Callable[[Any], Json] = same, **more: Any
) -> ValueType:
    return ValueType(
        {"key": key, "min": 0},
        lambda value: None if value == EMPTY else read(value),
        lambda value: EMPTY if value is None else write(value),
        None,
        **more,
    )


def _members(
    key: Json, read: Callable[[Json], Any] = same, write: Callable[[Any], Json] = same, **more: Any
) -> ValueType:
    return ValueType(
        {"key": key, "min": 0, "max": "unlimited"},
        lambda value: frozenset(map(read, elements(value))),
        lambda values: _set(sorted(map(write, values))),
        frozenset(),
        **more,
    )


def _ordered(read: Callable[[str], Any], write: Callable[[Any], str], **more: Any) -> ValueType:
    return ValueType(
        {"key": "integer", "value": "string", "min": 0, "max": "unlimited"},
        lambda value: tuple(read(text) for _, text in sorted(value[1])),
        lambda values: ["map", [[position, write(each)] for position, each in enumerate(values)]],
        (),
        **more,
    )


def choice(choices: type[StrEnum]) -> ValueType:
    """One of the values of an enumeration."""
    values = [each.value for each in choices]
    return ValueType(
        {"key": {"type": "string", "enum": ["set", values]}},
        choices,
        str,
        None,
        {"type": "string", "enum": values},
        choices,
        str,
    )


def integer(lowest: int, highest: int) -> ValueType:
    """A number in an inclusive range."""
    return ValueType({"key": _integers(lowest, highest)}, same, same, 0, _bounded(lowest, highest))


def optional_integer(lowest: int, highest: int, stored_bound: bool = True) -> ValueType:
    """A number in an inclusive range, or None. Without `stored_bound`, the column has no upper bound."""
    schema = optional(_bounded(lowest, highest))
    return _optional(_integers(lowest, highest if stored_bound else None), schema=schema)


def integers(lowest: int, highest: int, show: Callable[[int], str] = str) -> ValueType:
    """A set of numbers in an inclusive range; `show` writes one of them in records and answers."""
    return _members(_integers(lowest, highest), show=lambda values: [show(each) for each in sorted(values)])


def reference(table: str) -> ValueType:
    """The id of an object in another table; manifests have its name."""
    return ValueType({"key": _references(table)}, _id, _uuid, "", UUID)


def optional_reference(table: str) -> ValueType:
    """The id of an object in another table, or None; manifests have its name."""
    return _optional(_references(table), _id, _uuid, schema=optional(UUID))


def references(table: str) -> ValueType:
    """Ids of objects in another table."""
    return _members(_references(table), _id, _uuid)


_NOT_EMPTY: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}

FLAG = ValueType("boolean", same, same, False, {"type": "boolean"})
TEXT = ValueType("string", same, same, "", {"type": "string", "maxLength": LONGEST_TEXT})
SHARED_TEXT = ValueType("string", _shared, same, "")
NUMBER = ValueType("integer", same, same, 0)
OPTIONAL_TEXT = _optional("string", schema=optional(_NOT_EMPTY))
OPTIONAL_PREFIX = _optional("string", _prefix, str)
TEXTS = _members("string")
PREFIXES = _members("string", _prefix, str, show=lambda values: _texts(sorted(values)))
PREFIX_LIST = _ordered(_prefix, str, show=_texts)
PAIR_LIST = _ordered(
    _pair,
    lambda pair: f"{pair.mac} {pair.prefix}",
    show=lambda pairs: [{"mac_address": pair.mac, "ip_address": str(pair.prefix)} for pair in pairs],
)
SUBNET_DETAILS = ValueType(
    {"key": "string", "min": 0, "max": "unlimited"},
    lambda value: tuple(sorted(map(_read_detail, elements(value)), key=lambda detail: detail.prefix)),
    lambda values: _set(sorted(map(_write_detail, values))),
    (),
)
