"""`sgctl uplink`: the interfaces of this machine that are uplinks."""

from __future__ import annotations

import click

from flows.policy.objects import Network
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session, plain_failures
from sgctl.cli.completers import names_of
from sgctl.cli.lookup import find_all
from sgctl.cli.options import output_option, wait_options
from sgctl.cli.output.records import Record
from sgctl.cli.output.render import print_json, print_names, print_table, print_yaml
from sgctl.cli.output.tables import UPLINK_COLUMNS
from sgctl.cli.output.terminal import Failure
from sgctl.cli.waiting import finish_here
from sgctl.controller.bindings import vlans_of_uplink
from sgctl.vswitch.uplinks import EVERY_NETWORK, Declaration, declare, is_for_every


@click.command("set")
@click.argument("interface")
@click.option(
    "--network",
    "names",
    metavar="NETWORK",
    multiple=True,
    help="A network behind INTERFACE. May be repeated.",
    shell_complete=names_of(kinds.NETWORKS),
)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="All networks, also later ones, are behind INTERFACE, except untagged ones of a project.",
)
@wait_options
@pass_session
def set_(
    session: CommandSession,
    /,
    interface: str,
    names: tuple[str, ...],
    every: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Declare INTERFACE an uplink: hosts that sgctl does not manage are behind it.

    On an uplink, frames of a network with a segmentation_id have it as their VLAN tag, and frames of a
    network without one are untagged. So an interface can have at most one untagged network. Give a bond by
    its own name, not by the names of its members. If two uplinks lead to the same place, a network is closed
    on one of them, and `sgctl status` reports it.
    """
    if bool(names) == every:
        raise click.UsageError("give either --network, once or more, or --all")
    draft = session.draft
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
    finish_here(session, wait, timeout)


@click.command()
@click.argument("interface")
@wait_options
@pass_session
def unset(session: CommandSession, interface: str, wait: bool, timeout: float) -> None:
    """Declare that INTERFACE is no longer an uplink. It is then quarantined."""
    with plain_failures():
        session.local.set_uplink(interface, None)
    click.echo(f"interface {interface} is no longer an uplink")
    finish_here(session, wait, timeout)


@click.command("list")
@output_option("table", "json", "yaml", "name")
@pass_session
def list_(session: CommandSession, /, output: str) -> None:
    """List the uplinks of this machine."""
    found = sorted(
        (each for each in session.interfaces if each.uplink is not None), key=lambda each: each.name
    )
    records: list[Record] = [
        {
            "interface": each.name,
            "networks": declared.words,
            "network_ids": [declared.ids_by_word.get(word, word) for word in declared.words],
        }
        for each in found
        if (declared := each.declaration) is not None
    ]
    if output == "json":
        print_json(records)
    elif output == "yaml":
        print_yaml([records])
    elif output == "name":
        print_names(each.name for each in found)
    elif records:
        print_table(UPLINK_COLUMNS, records)
    else:
        click.echo("no uplinks", err=True)


def _refuse_mixture(networks: list[Network]) -> None:
    """Raise Failure if an uplink could not tell these networks apart."""
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
