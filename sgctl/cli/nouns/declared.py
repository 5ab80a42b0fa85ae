"""The options that follow from the declarations of attributes, and what they do to a manifest."""

from __future__ import annotations

from typing import Any

import click

from flows.policy.objects import PolicyObject
from sgctl.attributes.attribute import Attribute
from sgctl.attributes.declarations import ATTRIBUTES
from sgctl.cli.nouns.noun import Data, Options, assign, option

Kind = type[PolicyObject]


def edit_options(kind: Kind) -> list[click.Option]:
    """Those of `create` and `set`."""
    return [_edit_option(each) for each in ATTRIBUTES[kind] if each.option is not None]


def unset_options(kind: Kind) -> list[click.Option]:
    """Those of `unset`."""
    return [
        option(each.option.name, each.name, is_flag=True, help=each.option.unset)
        for each in ATTRIBUTES[kind]
        if each.option is not None and each.option.unset
    ]


def _edit_option(attribute: Attribute) -> click.Option:
    assert attribute.option is not None
    settings: dict[str, Any] = {"help": attribute.help}
    schema = attribute.value_type.schema
    if "enum" in schema:
        settings["type"] = click.Choice(schema["enum"])
    elif "integer" in schema["type"]:
        settings["type"] = int
    elif schema["type"] == "boolean":
        settings["default"] = None
    if attribute.option.metavar:
        settings["metavar"] = attribute.option.metavar
    return option(attribute.option.name, attribute.name, **settings)


def state(kind: Kind, spec: Data, options: Options) -> None:
    """Set the keys of the options that are given."""
    assign(spec, options, **{each.name: each.name for each in ATTRIBUTES[kind] if each.option is not None})


def remove(kind: Kind, spec: Data, options: Options) -> None:
    """Remove the keys of the options that are given."""
    for each in ATTRIBUTES[kind]:
        if each.option is not None and each.option.unset and options[each.name]:
            spec.pop(each.name, None)
