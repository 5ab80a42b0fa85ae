"""`sgctl network`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sgctl.cli import kinds
from sgctl.cli.nouns.noun import Data, Noun, Options, assign, discard, extend, option

if TYPE_CHECKING:
    from sgctl.service.draft import Draft

_FIELDS = {"segmentation_id": "vlan", "address_scope": "scope", "default_group": "default_group"}


def _fill(draft: Draft, data: Data, options: Options) -> None:
    del draft
    spec = data["spec"]
    assign(spec, options, egress_default="egress_default", defaults="defaults", **_FIELDS)
    if options.get("no_subnet"):
        spec["subnets"] = []
    extend(spec, "subnets", options["subnet"])


def _clear(draft: Draft, data: Data, options: Options) -> None:
    del draft
    spec = data["spec"]
    for field, name in _FIELDS.items():
        if options[name]:
            spec.pop(field, None)
    discard(spec, "subnets", options["subnet"])


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    del draft
    vlan = options["vlan"]
    return lambda record: vlan is None or record["segmentation_id"] == vlan


def _vlan(text: str) -> click.Option:
    return option("--provider-segment", "vlan", type=int, metavar="VLAN", help=text)


_NOUN = Noun(
    kinds.NETWORKS,
    _fill,
    _clear,
    _keep,
    creates=(
        option(
            "--defaults",
            type=click.Choice(["openstack", "exoscale", "cloudstack", "evroc"]),
            help="Whose habits it follows: sets the egress default, and for evroc makes a default group.",
        ),
    ),
    adds=(
        _vlan("VLAN id on uplinks, 1–4094; without: untagged."),
        option("--subnet", metavar="CIDR", multiple=True, help="A subnet. May be repeated."),
        option("--address-scope", "scope", help="Networks of one scope share the members of groups."),
        option(
            "--egress-default",
            type=click.Choice(["deny", "open-until-rule"]),
            help="What a port may send while none of its groups has an egress rule.",
        ),
        option("--default-group", help="The group of ports that have none of their own."),
    ),
    sets=(option("--no-subnet", is_flag=True, help="Take all subnets off first."),),
    takes=(
        option("--subnet", metavar="CIDR", multiple=True, help="Take off this subnet. May be repeated."),
        option("--provider-segment", "vlan", is_flag=True, help="Make it untagged."),
        option("--address-scope", "scope", is_flag=True, help="Let it stand alone."),
        option("--default-group", is_flag=True, help="Leave ports without groups without any."),
    ),
    filters=(_vlan("Only the one with this VLAN id."),),
)


@click.group()
def network() -> None:
    """Make, change and show networks."""


_NOUN.commands(network)
