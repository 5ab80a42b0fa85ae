"""`create`, `set` and `unset` of `sgctl subnet`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from flows.policy.objects import Network, Prefix
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.completers import names_of
from sgctl.cli.nouns.noun import Data, Options, assign, discard, extend, naming_object
from sgctl.cli.nouns.showing import present
from sgctl.cli.options import Decorated, output_option, wait_options
from sgctl.service.edit.subnets import plan_new_subnet, plan_subnet_edit
from sgctl.service.subnets import Subnet, subnet_id
from sgctl.service.transaction import Committed

_POOL = "start=IP,end=IP"


def _details(command: Decorated) -> Decorated:
    """The options of both `create` and `set`."""
    for decorate in (
        click.option("--tag", metavar="TAG", multiple=True, help="A tag. May be repeated."),
        click.option("--description", metavar="TEXT", help="A description."),
        click.option("--dns-nameserver", metavar="IP", multiple=True, help="A name server. May be repeated."),
        click.option(
            "--dhcp/--no-dhcp",
            default=None,
            help="Whether DHCP serves its addresses. Enabled for new subnets.",
        ),
        click.option(
            "--allocation-pool",
            metavar=_POOL,
            multiple=True,
            help="Addresses for new ports, with both ends. Default: all but the gateway. May be repeated.",
        ),
        click.option(
            "--gateway", metavar="IP|auto|none", help="The gateway. Default: auto, the first address."
        ),
    ):
        command = decorate(command)
    return command


@click.command()
@click.argument("name")
@click.option(
    "--network",
    metavar="NETWORK",
    required=True,
    help="The network that it belongs to.",
    shell_complete=names_of(kinds.NETWORKS),
)
@click.option("--subnet-range", metavar="CIDR", required=True, help="The addresses of the subnet.")
@_details
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def create(session: CommandSession, /, name: str, network: str, **options: Any) -> None:
    """Create a subnet of a network."""
    item: Data = {"cidr": options["subnet_range"], "name": name}
    _fill(item, options)
    holder = session.find(Network, network).id
    committed = session.transact(lambda objects: plan_new_subnet(objects, holder, item))
    present(session, kinds.SUBNETS, _created(session, committed, holder, item["cidr"]), committed, options)


def _created(session: CommandSession, committed: Committed, network: str, cidr: str) -> str:
    """The id of the new subnet."""
    session.catch_up(committed)
    return subnet_id(session.find(Network, network), Prefix.parse(cidr))


@click.command("set")
@click.argument("reference", metavar="SUBNET", shell_complete=names_of(kinds.SUBNETS))
@click.option("--name", metavar="NAME", help="The new name.")
@click.option("--no-allocation-pool", is_flag=True, help="First remove all pools.")
@click.option("--no-dns-nameservers", is_flag=True, help="First remove all name servers.")
@click.option("--no-tag", is_flag=True, help="First remove all tags.")
@_details
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def set_(session: CommandSession, /, reference: str, **options: Any) -> None:
    """Change a subnet, except for its addresses.

    Options that may be repeated add to the values that it has.
    """

    def edit(item: Data) -> None:
        for field, flag in (
            ("allocation_pools", "no_allocation_pool"),
            ("dns_nameservers", "no_dns_nameservers"),
            ("tags", "no_tag"),
        ):
            if options[flag]:
                item[field] = []
        assign(item, options, name="name")
        _fill(item, options)

    _amend(session, reference, edit, options)


@click.command()
@click.argument("reference", metavar="SUBNET", shell_complete=names_of(kinds.SUBNETS))
@click.option("--gateway", is_flag=True, help="Remove the gateway.")
@click.option("--allocation-pool", metavar=_POOL, multiple=True, help="Remove this pool. May be repeated.")
@click.option(
    "--dns-nameserver", metavar="IP", multiple=True, help="Remove this name server. May be repeated."
)
@click.option("--tag", metavar="TAG", multiple=True, help="Remove this tag. May be repeated.")
@click.option("--all-tag", is_flag=True, help="Remove all tags.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def unset(session: CommandSession, /, reference: str, **options: Any) -> None:
    """Remove attributes from a subnet."""

    def edit(item: Data) -> None:
        if options["gateway"]:
            item["gateway_ip"] = None
        if options["all_tag"]:
            item["tags"] = []
        discard(item, "allocation_pools", list(map(_pool, options["allocation_pool"])))
        discard(item, "dns_nameservers", options["dns_nameserver"])
        discard(item, "tags", options["tag"])

    _amend(session, reference, edit, options)


def _amend(session: CommandSession, reference: str, edit: Callable[[Data], None], options: Options) -> None:
    identifier = session.find(Subnet, reference).id

    def edit_item(item: Data) -> None:
        with naming_object(kinds.SUBNETS, reference):
            edit(item)

    committed = session.transact(lambda objects: plan_subnet_edit(objects, identifier, edit_item))
    present(session, kinds.SUBNETS, identifier, committed, options)


def _fill(item: Data, options: Options) -> None:
    gateway = options["gateway"]
    if gateway == "auto":
        item.pop("gateway_ip", None)
    elif gateway is not None:
        item["gateway_ip"] = None if gateway == "none" else gateway
    assign(item, options, description="description", enable_dhcp="dhcp")
    extend(item, "allocation_pools", list(map(_pool, options["allocation_pool"])))
    extend(item, "dns_nameservers", options["dns_nameserver"])
    extend(item, "tags", options["tag"])


def _pool(text: str) -> dict[str, str]:
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    if set(parts) != {"start", "end"}:
        raise click.BadParameter(f"{text!r} is not {_POOL}", param_hint="--allocation-pool")
    return {"start": parts["start"], "end": parts["end"]}
