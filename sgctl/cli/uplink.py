"""`sgctl uplink`: which interfaces lead to the outside."""

# ruff: noqa: PLC0415  # the policy's classes are loaded when a command runs

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sgctl.cli import kinds
from sgctl.cli.completion import names_of
from sgctl.cli.options import output_option, wait_options
from sgctl.cli.session import Session, pass_session, plain_failures
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from flows.model import Network
    from sgctl.cli.records import Record


@click.group(short_help="Declare interfaces that lead to the unmanaged side.")
def uplink() -> None:
    """Declare interfaces of this machine that lead to the unmanaged side of networks."""


@uplink.command("set", short_help="Declare that the unmanaged side is behind INTERFACE.")
@click.argument("interface")
@click.option(
    "--network",
    "names",
    metavar="NETWORK",
    multiple=True,
    help="A network behind it. May be repeated.",
    shell_complete=names_of(kinds.NETWORKS),
)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Every network, now and later, is behind it, except for untagged ones that belong to a project.",
)
@wait_options
@pass_session
def set_(
    session: Session, /, interface: str, names: tuple[str, ...], every: bool, wait: bool, timeout: float
) -> None:
    """Declare that the unmanaged side of networks is behind INTERFACE.

    Frames of a network with a segmentation_id carry it as their VLAN tag there, those of a network without
    carry none; so one interface takes at most one untagged network. A bond goes by its own name, not by those
    of its members. Where two uplinks lead to the same place, a network is closed on one of them, and
    `sgctl status` says so.
    """
    from flows.model import Network
    from sgctl.cli.lookup import find_all
    from sgctl.controller.attach import vlans_of_uplink
    from sgctl.service.draft import Draft
    from sgctl.store.uplinks import EVERY_NETWORK, Declaration, declare, is_for_every

    if bool(names) == every:
        raise click.UsageError("give either --network, once or more, or --all")
    draft = Draft(session.store.objects, session.project)
    networks = find_all(draft, Network, list(names))
    _refuse_mixture(list(filter(is_for_every, draft.all(Network))) if every else networks)
    known = {network.id for network in draft.all(Network)}
    declared = Declaration(EVERY_NETWORK) if every else declare(networks, known)
    for each in session.interfaces:
        if each.name == interface and each.iface_id:
            raise Failure(f"interface {interface} is bound to a port; unbind it first")
        if each.name == interface and (conflict := vlans_of_uplink(each)):
            raise Failure(f"interface {interface}: {conflict}")
    with plain_failures():
        session.local.set_uplink(interface, declared)
    what = "all networks" if every else ", ".join(declared.words)
    click.echo(f"interface {interface} is an uplink of {what}")
    session.finish_here(wait, timeout)


@uplink.command()
@click.argument("interface")
@wait_options
@pass_session
def unset(session: Session, interface: str, wait: bool, timeout: float) -> None:
    """Declare INTERFACE no uplink any more. It is then quarantined."""
    with plain_failures():
        session.local.set_uplink(interface, None)
    click.echo(f"interface {interface} is no uplink")
    session.finish_here(wait, timeout)


@uplink.command("list")
@output_option("table", "json", "yaml", "name")
@pass_session
def list_(session: Session, /, output: str) -> None:
    """List the uplinks of this machine."""
    from sgctl.cli import render
    from sgctl.cli.tables import UPLINK_COLUMNS

    found = sorted(
        (each for each in session.interfaces if each.uplink is not None), key=lambda each: each.name
    )
    records: list[Record] = [
        {
            "interface": each.name,
            "networks": declared.words,
            "network_ids": [declared.meant.get(word, word) for word in declared.words],
        }
        for each in found
        if (declared := each.declaration) is not None
    ]
    if output == "json":
        render.print_json(records)
    elif output == "yaml":
        render.print_yaml([records])
    elif output == "name":
        render.print_names(each.name for each in found)
    elif records:
        render.print_table(UPLINK_COLUMNS, records)
    else:
        click.echo("no uplinks", err=True)


def _refuse_mixture(networks: list[Network]) -> None:
    """Networks that an uplink could not tell apart."""
    by_tag: dict[int | None, list[str]] = {}
    for network in {network.id: network for network in networks}.values():
        by_tag.setdefault(network.segmentation_id, []).append(network.name or network.id)
    lines = [
        f"networks {' and '.join(sorted(names))} cannot share an uplink: "
        + ("none of them has a segmentation_id" if tag is None else f"all have the segmentation_id {tag}")
        for tag, names in by_tag.items()
        if len(names) > 1
    ]
    if lines:
        raise Failure(*lines)
