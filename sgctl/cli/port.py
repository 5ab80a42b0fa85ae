"""`sgctl port`: which interface of this machine is which port."""

# ruff: noqa: PLC0415  # the policy's classes are loaded when a command runs

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sgctl.cli.session import Session, pass_session, plain_failures
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from flows.model import Port
    from sgctl.store.local import Interface, LocalSwitches


@click.group()
def port() -> None:
    """Bind interfaces of this machine to ports."""


@port.command()
@click.argument("name", metavar="PORT")
@click.argument("interface")
@pass_session
def bind(session: Session, name: str, interface: str) -> None:
    """Make INTERFACE the port's: writes the port's iface_id to its external_ids:iface-id.

    PORT is a name or an id. libvirt and OpenStack write external_ids:iface-id themselves.
    """
    wanted = _port(session, name)
    local = session.local
    for other in _interfaces(local):
        if other.iface_id == wanted.iface_id and other.name != interface:
            raise Failure(f"port {name} is already bound to interface {other.name}; unbind it first")
    with plain_failures():
        local.bind(interface, wanted.iface_id)
    click.echo(f"port {name} is bound to interface {interface}")


@port.command()
@click.argument("name", metavar="PORT|INTERFACE")
@pass_session
def unbind(session: Session, name: str) -> None:
    """Take the port off its interface: clears external_ids:iface-id. The interface is then quarantined."""
    local = session.local
    found = [each for each in _interfaces(local) if each.name == name]
    if not found:
        wanted = _port(session, name)
        found = [each for each in _interfaces(local) if each.iface_id == wanted.iface_id]
    if not found or not all(each.iface_id for each in found):
        raise Failure(f"{name} is not bound to an interface of this machine")
    for each in found:
        with plain_failures():
            local.bind(each.name, "")
        click.echo(f"interface {each.name} is unbound")


def _port(session: Session, name: str) -> Port:
    from flows.model import Port
    from sgctl.cli.lookup import find
    from sgctl.service.draft import Draft

    return find(Draft(session.store.objects), Port, name)


def _interfaces(local: LocalSwitches) -> list[Interface]:
    return [interface for bridge in local.bridges.values() for interface in bridge.interfaces]
