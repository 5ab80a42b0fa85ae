"""`sgctl port`: ports, and which interface of this machine is which port."""

# ruff: noqa: PLC0415  # the policy's classes are loaded when a command runs

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sgctl.cli import kinds
from sgctl.cli.completion import names_of
from sgctl.cli.nouns.port import add_verbs
from sgctl.cli.options import wait_options
from sgctl.cli.session import Session, pass_session, plain_failures
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from flows.model import Port


@click.group(short_help="Make, change and show ports, and bind interfaces.")
def port() -> None:
    """Make, change and show ports, and bind interfaces of this machine to them."""


add_verbs(port)


@port.command(short_help="Make INTERFACE the port's.")
@click.argument("name", metavar="PORT", shell_complete=names_of(kinds.PORTS))
@click.argument("interface")
@wait_options
@pass_session
def bind(session: Session, name: str, interface: str, wait: bool, timeout: float) -> None:
    """Make INTERFACE the port's: writes the port's iface_id to its external_ids:iface-id.

    PORT is a name or an id. libvirt and OpenStack write external_ids:iface-id themselves.
    """
    from flows.model import Network
    from sgctl.controller.attach import vlans_of_port

    wanted = _port(session, name)
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
    session.finish_here(wait, timeout)


@port.command(short_help="Take the port off its interface.")
@click.argument("name", metavar="PORT|INTERFACE", shell_complete=names_of(kinds.PORTS))
@wait_options
@pass_session
def unbind(session: Session, name: str, wait: bool, timeout: float) -> None:
    """Take the port off its interface: clears external_ids:iface-id. The interface is then quarantined."""
    found = [each for each in session.interfaces if each.name == name]
    if not found:
        wanted = _port(session, name)
        found = [each for each in session.interfaces if each.iface_id == wanted.iface_id]
    if not found or not all(each.iface_id for each in found):
        raise Failure(f"{name} is not bound to an interface of this machine")
    for each in found:
        with plain_failures():
            session.local.bind(each.name, "")
        click.echo(f"interface {each.name} is unbound")
    session.finish_here(wait, timeout)


def _port(session: Session, name: str) -> Port:
    from flows.model import Port

    return session.find(Port, name)
