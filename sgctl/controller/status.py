"""What the controller writes into the policy database about its switches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sgctl.controller.attach import Place, Role
from sgctl.controller.engine import Engine, ManagedBridge
from sgctl.store import BindingStatus, SwitchStatus

BindingKey = tuple[str, str]
"""A switch's key and an interface."""


class ConnectionState(Protocol):
    """What is known of a switch's connection."""

    @property
    def applied(self) -> int:
        """The generation that the switch has confirmed; -1 before the first."""

    @property
    def error(self) -> str:
        """What the switch refused, or nothing."""


def switch_row(chassis: str, managed: ManagedBridge, connection: ConnectionState | None) -> SwitchStatus:
    """One switch's state; without a connection it keeps what it has and applies nothing new."""
    return SwitchStatus(
        chassis=chassis,
        name=managed.bridge.name,
        dpid=f"{managed.bridge.dpid:016x}",
        connected=connection is not None,
        generation=max(connection.applied, 0) if connection else 0,
        flow_count=len(managed.compiler.flows),
        error=connection.error if connection else "",
    )


def binding_rows(chassis: str, engine: Engine) -> list[BindingStatus]:
    """The part that every interface of every bridge plays."""
    return [
        _binding_row(chassis, managed.bridge.name, name, role)
        for managed in engine.bridges.values()
        for name, role in managed.roles.of_interface.items()
    ]


def moved_rows(
    chassis: str, engine: Engine, moved: Iterable[Place]
) -> dict[BindingKey, BindingStatus | None]:
    """The part that some interfaces play; None for those that are gone."""
    roles = {managed.bridge.name: managed.roles.of_interface for managed in engine.bridges.values()}
    found: dict[BindingKey, BindingStatus | None] = {}
    for bridge, name in moved:
        role = roles.get(bridge, {}).get(name)
        key = (f"{chassis}/{bridge}", name)
        found[key] = _binding_row(chassis, bridge, name, role) if role else None
    return found


def _binding_row(chassis: str, bridge: str, name: str, role: Role) -> BindingStatus:
    return BindingStatus(
        switch=f"{chassis}/{bridge}",
        interface=name,
        ofport=role.interface.ofport,
        port_id=role.port_id,
        state=role.state,
        reason=role.reason,
    )
