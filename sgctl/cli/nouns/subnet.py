"""`sgctl subnet`: the subnets of networks."""

# ruff: noqa: PLC0415  # the policy's classes are loaded when a command runs

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sgctl.cli import kinds
from sgctl.cli.completion import names_of
from sgctl.cli.nouns.noun import (
    Data,
    Noun,
    Options,
    assign,
    blaming,
    delete_command,
    discard,
    extend,
    list_command,
    option,
    present,
    show_command,
)
from sgctl.cli.options import Decorated, output_option, wait_options
from sgctl.cli.session import Session, pass_session

if TYPE_CHECKING:
    from sgctl.service.draft import Draft

_POOL = "start=IP,end=IP"


@click.group()
def subnet() -> None:
    """Make, change and show the subnets of networks.

    Addresses of new ports are given out from a subnet's pools. Gateway, name servers and DHCP are recorded
    for whoever serves them.
    """


def _details(command: Decorated) -> Decorated:
    """What can be said of a subnet."""
    for decorate in (
        click.option("--tag", metavar="TAG", multiple=True, help="A tag. May be repeated."),
        click.option("--description", metavar="TEXT", help="What it is for."),
        click.option("--dns-nameserver", metavar="IP", multiple=True, help="A name server. May be repeated."),
        click.option("--dhcp/--no-dhcp", default=None, help="Whether addresses are served. Yes when made."),
        click.option(
            "--allocation-pool",
            metavar=_POOL,
            multiple=True,
            help="Addresses to give out, both ends too. Default: all but the gateway. May be repeated.",
        ),
        click.option(
            "--gateway", metavar="IP|auto|none", help="Its gateway. Default: auto, its first address."
        ),
    ):
        command = decorate(command)
    return command


@subnet.command()
@click.argument("name")
@click.option(
    "--network",
    metavar="NETWORK",
    required=True,
    help="The network.",
    shell_complete=names_of(kinds.NETWORKS),
)
@click.option("--subnet-range", metavar="CIDR", required=True, help="Its addresses.")
@_details
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def create(session: Session, /, name: str, network: str, **options: Any) -> None:
    """Give a network a subnet."""
    from flows.model import Network
    from sgctl.service.manifests.amend_subnets import plan_new_subnet

    item: Data = {"cidr": options["subnet_range"], "name": name}
    _fill(item, options)
    holder = session.find(Network, network).id
    committed = session.transact(lambda objects: plan_new_subnet(objects, holder, item))
    present(session, kinds.SUBNETS, _made(session, committed, holder, item["cidr"]), committed, options)


def _made(session: Session, committed: Any, network: str, cidr: str) -> str:
    """The id of the new subnet."""
    from flows.model import Network, Prefix
    from sgctl.service.subnets import subnet_id

    session.catch_up(committed)
    return subnet_id(session.find(Network, network), Prefix.parse(cidr))


@subnet.command("set")
@click.argument("reference", metavar="SUBNET", shell_complete=names_of(kinds.SUBNETS))
@click.option("--name", metavar="NAME", help="Its new name.")
@click.option("--no-allocation-pool", is_flag=True, help="Take all pools off first.")
@click.option("--no-dns-nameservers", is_flag=True, help="Take all name servers off first.")
@click.option("--no-tag", is_flag=True, help="Take all tags off first.")
@_details
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def set_(session: Session, /, reference: str, **options: Any) -> None:
    """Change a subnet; what may be there several times is added. Its addresses stay as they are."""

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


@subnet.command()
@click.argument("reference", metavar="SUBNET", shell_complete=names_of(kinds.SUBNETS))
@click.option("--gateway", is_flag=True, help="Let it have none.")
@click.option("--allocation-pool", metavar=_POOL, multiple=True, help="Take off this pool. May be repeated.")
@click.option("--dns-nameserver", metavar="IP", multiple=True, help="Take off this one. May be repeated.")
@click.option("--tag", metavar="TAG", multiple=True, help="Take off this tag. May be repeated.")
@click.option("--all-tag", is_flag=True, help="Take off all tags.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def unset(session: Session, /, reference: str, **options: Any) -> None:
    """Take something off a subnet."""

    def edit(item: Data) -> None:
        if options["gateway"]:
            item["gateway_ip"] = None
        if options["all_tag"]:
            item["tags"] = []
        discard(item, "allocation_pools", list(map(_pool, options["allocation_pool"])))
        discard(item, "dns_nameservers", options["dns_nameserver"])
        discard(item, "tags", options["tag"])

    _amend(session, reference, edit, options)


def _amend(session: Session, reference: str, edit: Callable[[Data], None], options: Options) -> None:
    from sgctl.service.manifests.amend_subnets import plan_subnet_edit
    from sgctl.service.subnets import Subnet

    identifier = session.find(Subnet, reference).id

    def blamed(item: Data) -> None:
        with blaming(kinds.SUBNETS, reference):
            edit(item)

    committed = session.transact(lambda objects: plan_subnet_edit(objects, identifier, blamed))
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


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    from flows.model import Network
    from sgctl.cli.lookup import find

    wanted = {
        "network_id": find(draft, Network, options["network"]).id if options["network"] else None,
        "cidr": options["subnet_range"],
        "ip_version": int(options["ip_version"]) if options["ip_version"] else None,
        "gateway_ip": options["gateway"],
        "enable_dhcp": options["dhcp"],
    }
    return lambda record: all(value is None or record[field] == value for field, value in wanted.items())


_LIST = Noun(
    kinds.SUBNETS,
    fill=lambda *_: None,
    clear=lambda *_: None,
    keep=_keep,
    filters=(
        option("--network", help="Only those of this network.", shell_complete=names_of(kinds.NETWORKS)),
        option("--subnet-range", metavar="CIDR", help="Only those with these addresses."),
        option("--ip-version", type=click.Choice(["4", "6"]), help="Only those of this family."),
        option("--gateway", metavar="IP", help="Only those with this gateway."),
        option("--dhcp/--no-dhcp", default=None, help="Only those where addresses are served, or not."),
    ),
)

subnet.add_command(delete_command(kinds.SUBNETS))
subnet.add_command(show_command(kinds.SUBNETS))
subnet.add_command(list_command(_LIST))
