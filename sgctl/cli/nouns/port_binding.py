"""`sgctl port bind` and `sgctl port unbind`: ports on interfaces of this machine."""

from __future__ import annotations

import click

from flows.policy.objects import Network, Port
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session, plain_failures
from sgctl.cli.completers import names_of
from sgctl.cli.options import wait_options
from sgctl.cli.output.terminal import Failure
from sgctl.cli.waiting import finish_here
from sgctl.controller.bindings import vlans_of_port


@click.command()
@click.argument("name", metavar="PORT", shell_complete=names_of(kinds.PORTS))
@click.argument("interface")
@wait_options
@pass_session
def bind(session: CommandSession, name: str, interface: str, wait: bool, timeout: float) -> None:
    """Bind INTERFACE to PORT: write the port's iface_id to external_ids:iface-id of the interface.

    PORT is a name or an id. libvirt and OpenStack write external_ids:iface-id themselves.
    """
    wanted = session.find(Port, name)
    network = session.find(Network, wanted.network_id)
    for other in session.interfaces:
        if other.name == interface and other.uplink is not None:
            raise Failure(f"interface {interface} is an uplink; unset that first")
        if other.name != interface and other.iface_id == wanted.iface_id:
            raise Failure(f"port {name} is already bound to interface {other.name}; unbind it first")
        if other.name == interface and (conflict := vlans_of_port(other, network)):
            raise Failure(f"interface {interface}: {conflict}")
    with plain_failures():
        session.local.bind(interface, wanted.iface_id)
    click.echo(f"port {name} is bound to interface {interface}")
    finish_here(session, wait, timeout)


@click.command()
@click.argument("name", metavar="PORT|INTERFACE", shell_complete=names_of(kinds.PORTS))
@wait_options
@pass_session
def unbind(session: CommandSession, name: str, wait: bool, timeout: float) -> None:
    """Unbind a port from its interface: clear external_ids:iface-id. The interface is then quarantined."""
    found = [each for each in session.interfaces if each.name == name]
    if not found:
        wanted = session.find(Port, name)
        found = [each for each in session.interfaces if each.iface_id == wanted.iface_id]
    if not found or not all(each.iface_id for each in found):
        raise Failure(f"{name} is not bound to an interface of this machine")
    for each in found:
        with plain_failures():
            session.local.bind(each.name, "")
        click.echo(f"interface {each.name} is unbound")
    finish_here(session, wait, timeout)
