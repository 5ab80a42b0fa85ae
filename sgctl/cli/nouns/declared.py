"""The options that follow from the declarations of attributes, and what they do to a manifest."""

from __future__ import annotations

from typing import Any

import click

from flows.policy.objects import PolicyObject
from sgctl.attributes.attribute import Attribute, CommandOption
from sgctl.attributes.declarations import ATTRIBUTES
from sgctl.cli.nouns.noun import Data, Options, assign

Kind = type[PolicyObject]


def edit_options(kind: Kind) -> list[click.Option]:
    """Those of `create` and `set`."""
    return [click.Option([option.name, each.name], **_settings(each)) for each, option in _options(kind)]


def unset_options(kind: Kind) -> list[click.Option]:
    """Those of `unset`."""
    return [
        click.Option([option.name, each.name], is_flag=True, help=option.unset)
        for each, option in _options(kind)
        if option.unset
    ]


def _options(kind: Kind) -> list[tuple[Attribute, CommandOption]]:
    return [(each, each.option) for each in ATTRIBUTES[kind] if each.option is not None]


def _settings(attribute: Attribute) -> dict[str, Any]:
    """What click needs to know, from the JSON Schema of the values."""
    assert attribute.option is not None
    settings: dict[str, Any] = {"help": attribute.help, "default": None}
    schema = attribute.value_type.schema
    if "enum" in schema:
        settings["type"] = click.Choice(schema["enum"])
    elif "integer" in schema["type"]:
        settings["type"] = int
    if attribute.option.metavar:
        settings["metavar"] = attribute.option.metavar
    return settings


def state(kind: Kind, spec: Data, options: Options) -> None:
    """Set the keys of the options that are given."""
    assign(spec, options, **{each.name: each.name for each, _ in _options(kind)})


def remove(kind: Kind, spec: Data, options: Options) -> None:
    """Remove the keys of the options that are given."""
    for each, option in _options(kind):
        if option.unset and options[each.name]:
            spec.pop(each.name, None)
