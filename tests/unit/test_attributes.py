"""The declarations of attributes agree with the objects, and the files that follow from them are current."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from flows.policy.objects import KINDS, AddressGroup, Meta, Network, PolicyObject, Port, Rule, SecurityGroup
from scripts import attribute_schemas
from sgctl.attributes.attribute import EVERYWHERE, NOWHERE, Attribute, Place, Setter
from sgctl.attributes.declarations import ATTRIBUTES, META
from sgctl.attributes.plain import DEFAULTS
from sgctl.service.manifests.schema import schema
from sgctl.store.database_schema import parse_version, shipped

DECLARED = [(kind, each) for kind in KINDS for each in ATTRIBUTES[kind]]

OTHER_KEYS: dict[type[PolicyObject], set[str]] = {
    Network: {"defaults"},
    AddressGroup: set(),
    SecurityGroup: {"default_rules", "rules"},
    Rule: {"description", "tags", "ports", "type", "code"},
    Port: set(),
}
"""Keys of manifests that are no attributes."""


def label(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value.field)


@pytest.mark.parametrize("path", attribute_schemas.files(), ids=lambda path: path.name)
def test_schemas_are_current(path: Path) -> None:
    current = path.read_text(encoding="utf-8") == attribute_schemas.files()[path]
    assert current, "run .venv/bin/python scripts/attribute_schemas.py"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_declared_once(kind: type[PolicyObject]) -> None:
    own = {field.name for field in fields(kind)} - {"id", "meta"}
    assert sorted(own) == sorted(each.field for each in ATTRIBUTES[kind])
    assert {field.name for field in fields(Meta)} == {each.field for each in META}


@pytest.mark.parametrize(("kind", "attribute"), DECLARED, ids=label)
def test_what_only_the_declaration_handles_can_be_stated_left_out_and_shown(
    kind: type[PolicyObject], attribute: Attribute
) -> None:
    value_type = attribute.value_type
    if (Place.MANIFEST | Place.REST) & ~attribute.explicit:
        assert value_type.schema
        assert attribute.help.endswith(".")
    if Place.MANIFEST not in attribute.explicit:
        default = DEFAULTS[kind][attribute.field]
        assert default is not MISSING
        assert value_type.parse(value_type.show(default)) == default
    if attribute.option is not None:
        assert not attribute.explicit & Place.MANIFEST, "an option states a key of the manifest"
        chosen = "enum" in value_type.schema or value_type.schema["type"] == "boolean"
        assert bool(attribute.option.metavar) != chosen
    if attribute.title:
        assert attribute.explicit in (NOWHERE, EVERYWHERE) or Place.RECORD not in attribute.explicit


@pytest.mark.parametrize(("kind", "attribute"), DECLARED, ids=label)
def test_nobody_else_sets_what_is_reserved(kind: type[PolicyObject], attribute: Attribute) -> None:
    """`permitted_values` looks at what has no code of its own; ports know the owner of the network."""
    assert attribute.setter is not Setter.ADMIN or Place.REST not in attribute.explicit
    assert attribute.setter is not Setter.NETWORK_OWNER or kind is Port


@pytest.mark.parametrize(("kind", "attribute"), DECLARED, ids=label)
def test_a_new_column_means_the_same_in_an_old_row(kind: type[PolicyObject], attribute: Attribute) -> None:
    if parse_version(attribute.since) > (1, 0, 0):
        assert attribute.value_type.empty == DEFAULTS[kind][attribute.field]


@pytest.mark.parametrize("kind", KINDS)
def test_manifests_have_no_key_that_nobody_reads(kind: type[PolicyObject]) -> None:
    file, place = attribute_schemas.KEYS[kind]
    keys: Any = schema(file)
    for step in place:
        keys = keys[step]
    declared = {name for each in ATTRIBUTES[kind] for name in (each.name, each.column)}
    assert set(keys) - declared <= OTHER_KEYS[kind]


def test_the_newest_column_makes_the_version_of_the_database() -> None:
    older = {**shipped(), "version": "1.0.0"}
    newer = {**shipped(), "version": "99.0.0"}
    newest = max((each.since for _, each in DECLARED), key=parse_version)
    assert attribute_schemas.database_schema(older)["version"] == newest
    assert attribute_schemas.database_schema(newer)["version"] == "99.0.0", "a change of another table"
