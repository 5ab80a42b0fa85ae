"""`sgctl network`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from sgctl.cli import kinds
from sgctl.cli.completers import names_of
from sgctl.cli.nouns.noun import Data, Noun, Options, assign, discard, extend, option
from sgctl.service.draft import Draft

_FIELDS = {
    "segmentation_id": "vlan",
    "address_scope": "scope",
    "default_group": "default_group",
    "connection_limit": "connection_limit",
}


def _fill(draft: Draft, data: Data, options: Options) -> None:
    del draft
    spec = data["spec"]
    own = ("egress_default", "defaults", "bound_members_only")
    assign(spec, options, **{name: name for name in own}, **_FIELDS)
    if options.get("no_subnet"):
        spec["subnets"] = []
    held = set(map(_cidr_of, spec.get("subnets", ())))
    extend(spec, "subnets", [cidr for cidr in options["subnet"] if cidr not in held])


def _clear(draft: Draft, data: Data, options: Options) -> None:
    del draft
    spec = data["spec"]
    for field, name in _FIELDS.items():
        if options[name]:
            spec.pop(field, None)
    stated = {_cidr_of(item): item for item in spec.get("subnets", ())}
    discard(spec, "subnets", [stated.get(cidr, cidr) for cidr in options["subnet"]])


def _cidr_of(item: str | Data) -> str:
    """The CIDR of a subnet in a manifest."""
    return item if isinstance(item, str) else str(item["cidr"])


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    del draft
    vlan = options["vlan"]
    return lambda record: vlan is None or record["segmentation_id"] == vlan


def _vlan(text: str) -> click.Option:
    return option("--provider-segment", "vlan", type=int, metavar="VLAN", help=text)


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
        _vlan("VLAN id on uplinks, 1–4094. Default: untagged."),
        option("--subnet", metavar="CIDR", multiple=True, help="A subnet. May be repeated."),
        option("--address-scope", "scope", help="Networks with the same scope share the members of groups."),
        option(
            "--egress-default",
            type=click.Choice(["deny", "open-until-rule"]),
            help="What a port may send if none of its groups has an egress rule.",
        ),
        option(
            "--default-group",
            help="The group of ports that have no groups of their own.",
            shell_complete=names_of(kinds.SECURITY_GROUPS),
        ),
        option(
            "--connection-limit",
            type=int,
            metavar="NUMBER",
            help="The maximum number of connections on one bridge.",
        ),
        option(
            "--bound-members-only/--all-members",
            "bound_members_only",
            default=None,
            help="Whether only ports that a host has bound are members of groups. Off for new networks.",
        ),
    ),
    set_options=(option("--no-subnet", is_flag=True, help="First remove all subnets."),),
    unset_options=(
        option("--subnet", metavar="CIDR", multiple=True, help="Remove this subnet. May be repeated."),
        option("--provider-segment", "vlan", is_flag=True, help="Make it untagged."),
        option("--address-scope", "scope", is_flag=True, help="Remove it from its address scope."),
        option(
            "--default-group", is_flag=True, help="Give no group to ports that have no groups of their own."
        ),
        option("--connection-limit", is_flag=True, help="Remove its own limit."),
    ),
    list_options=(_vlan("Only the one with this VLAN id."),),
)
