"""`sgctl network`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from sgctl.cli import kinds
from sgctl.cli.completers import names_of
from sgctl.cli.nouns.noun import Data, Noun, Options, assign, discard, extend, option
from sgctl.service.draft import Draft


def _fill(draft: Draft, data: Data, options: Options) -> None:
    del draft
    spec = data["spec"]
    assign(spec, options, defaults="defaults", default_group="default_group")
    if options.get("no_subnet"):
        spec["subnets"] = []
    held = set(map(_cidr_of, spec.get("subnets", ())))
    extend(spec, "subnets", [cidr for cidr in options["subnet"] if cidr not in held])


def _clear(draft: Draft, data: Data, options: Options) -> None:
    del draft
    spec = data["spec"]
    if options["default_group"]:
        spec.pop("default_group", None)
    stated = {_cidr_of(item): item for item in spec.get("subnets", ())}
    discard(spec, "subnets", [stated.get(cidr, cidr) for cidr in options["subnet"]])


def _cidr_of(item: str | Data) -> str:
    """The CIDR of a subnet in a manifest."""
    return item if isinstance(item, str) else str(item["cidr"])


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    del draft
    vlan = options["vlan"]
    return lambda record: vlan is None or record["segmentation_id"] == vlan


NOUN = Noun(
    kinds.NETWORKS,
    _fill,
    _clear,
    _keep,
    create_options=(
        option(
            "--defaults",
            type=click.Choice(["openstack", "exoscale", "cloudstack", "evroc"]),
            help="The cloud whose defaults it has: sets the egress default, and for evroc a default group.",
        ),
    ),
    edit_options=(
        option("--subnet", metavar="CIDR", multiple=True, help="A subnet. May be repeated."),
        option(
            "--default-group",
            help="The group of ports that have no groups of their own.",
            shell_complete=names_of(kinds.SECURITY_GROUPS),
        ),
    ),
    set_options=(option("--no-subnet", is_flag=True, help="First remove all subnets."),),
    unset_options=(
        option("--subnet", metavar="CIDR", multiple=True, help="Remove this subnet. May be repeated."),
        option(
            "--default-group", is_flag=True, help="Give no group to ports that have no groups of their own."
        ),
    ),
    list_options=(
        option(
            "--provider-segment", "vlan", type=int, metavar="VLAN", help="Only the one with this VLAN id."
        ),
    ),
)
