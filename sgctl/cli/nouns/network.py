"""`sgctl network`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sgctl.cli import kinds
from sgctl.cli.completion import names_of
from sgctl.cli.nouns.noun import Data, Noun, Options, assign, discard, extend, option

if TYPE_CHECKING:
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
    held = set(map(cidr_of, spec.get("subnets", ())))
    extend(spec, "subnets", [cidr for cidr in options["subnet"] if cidr not in held])


def _clear(draft: Draft, data: Data, options: Options) -> None:
    del draft
    spec = data["spec"]
    for field, name in _FIELDS.items():
        if options[name]:
            spec.pop(field, None)
    stated = {cidr_of(item): item for item in spec.get("subnets", ())}
    discard(spec, "subnets", [stated.get(cidr, cidr) for cidr in options["subnet"]])


def cidr_of(item: str | Data) -> str:
    """The CIDR of a subnet as manifests state it."""
    return item if isinstance(item, str) else str(item["cidr"])


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
        option(
            "--default-group",
            help="The group of ports that have none of their own.",
            shell_complete=names_of(kinds.SECURITY_GROUPS),
        ),
        option(
            "--connection-limit",
            type=int,
            metavar="NUMBER",
            help="How many connections it may have on one bridge; without: no bound.",
        ),
        option(
            "--bound-members-only/--all-members",
            "bound_members_only",
            default=None,
            help="Whether ports count as members of groups only while a host has them bound. All when made.",
        ),
    ),
    sets=(option("--no-subnet", is_flag=True, help="Take all subnets off first."),),
    takes=(
        option("--subnet", metavar="CIDR", multiple=True, help="Take off this subnet. May be repeated."),
        option("--provider-segment", "vlan", is_flag=True, help="Make it untagged."),
        option("--address-scope", "scope", is_flag=True, help="Let it stand alone."),
        option("--default-group", is_flag=True, help="Leave ports without groups without any."),
        option("--connection-limit", is_flag=True, help="Let it have any number of connections."),
    ),
    filters=(_vlan("Only the one with this VLAN id."),),
)


@click.group()
def network() -> None:
    """Make, change and show networks."""


_NOUN.commands(network)
