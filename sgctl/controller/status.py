"""The rows about its switches that the controller writes to the policy database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from flows.compiler.claims import Owner
from flows.openflow.flow import match_text
from flows.openflow.pipeline import TABLE_BY_ID
from flows.openflow.registers import ZONE
from flows.policy.index import Policy
from sgctl.controller.bindings import Binding, Place
from sgctl.controller.engine import Engine, ManagedBridge
from sgctl.store import BindingStatus, SwitchStatus
from sgctl.vswitch.local_switches import Bridge

BindingKey = tuple[str, str]
"""A switch's key and an interface name."""


_NAMED = 3


class ConnectionState(Protocol):
    """The state of a switch's connection."""

    @property
    def applied(self) -> int:
        """The generation that the switch has confirmed; -1 before the first."""

    @property
    def error(self) -> str:
        """What the switch refused; empty for nothing."""


def switch_row(
    chassis: str,
    managed: ManagedBridge,
    policy: Policy,
    connection: ConnectionState | None,
    problem: str = "",
) -> SwitchStatus:
    """The state of one switch; `connection` is None if the switch is not connected.

    `problem` describes further problems of the switch.
    """
    problems = [problem]
    if connection:
        problems += [connection.error, *mirrored(managed.bridge), *left_out(managed, policy)]
    return SwitchStatus(
        chassis=chassis,
        name=managed.bridge.name,
        dpid=f"{managed.bridge.dpid:016x}",
        connected=connection is not None,
        generation=max(connection.applied, 0) if connection else 0,
        flow_count=len(managed.compiler.flows) if connection and connection.applied >= 0 else 0,
        error="; ".join(filter(None, problems)),
    )


def mirrored(bridge: Bridge) -> Iterator[str]:
    """Warnings about mirrors that send copies of frames to all ports, which flows cannot prevent."""
    for name, vlan in bridge.mirrored_vlans:
        command = f"ovs-vsctl -- --id=@m get mirror {name} -- remove bridge {bridge.name} mirrors @m"
        yield f"mirror {name} sends copies to every port, in VLAN {vlan}; to remove it: {command}"


def left_out(managed: ManagedBridge, policy: Policy) -> Iterator[str]:
    """The flows that the compiler left out, with their network and the ports or rules that need them."""
    keys = managed.compiler.left_out
    if not keys:
        return
    zones, ports = managed.compiler.zones.items(), managed.bindings.ports.items()
    networks = {zone: policy.networks[each].name for each, zone in zones if each in policy.networks}
    names: dict[Owner, str] = {
        ("port", ofport): policy.ports[each].name for ofport, each in ports if each in policy.ports
    }
    for key in keys:
        owners = managed.compiler.owners(key)
        first = ", ".join(names.get(owner, " ".join(map(str, owner))) for owner in owners[:_NAMED])
        where = [f"network {networks.get(term.value)}: " for term in key.match if term.field is ZONE]
        what = f"{''.join(where)}{TABLE_BY_ID[key.table].name} of {','.join(match_text(key.match))}"
        yield f"{what} is left out: {len(owners)} ports or rules claim it, more than it can hold ({first} …)"


def binding_rows(chassis: str, engine: Engine) -> list[BindingStatus]:
    """The rows of all interfaces of all bridges."""
    return [
        _binding_row(chassis, managed.bridge.name, name, binding)
        for managed in engine.bridges.values()
        for name, binding in managed.bindings.of_interface.items()
    ]


def moved_rows(
    chassis: str, engine: Engine, moved: Iterable[Place]
) -> dict[BindingKey, BindingStatus | None]:
    """The rows of some interfaces; None for deleted interfaces."""
    bindings = {managed.bridge.name: managed.bindings.of_interface for managed in engine.bridges.values()}
    found: dict[BindingKey, BindingStatus | None] = {}
    for bridge, name in moved:
        binding = bindings.get(bridge, {}).get(name)
        key = (f"{chassis}/{bridge}", name)
        found[key] = _binding_row(chassis, bridge, name, binding) if binding else None
    return found


def _binding_row(chassis: str, bridge: str, name: str, binding: Binding) -> BindingStatus:
    return BindingStatus(
        switch=f"{chassis}/{bridge}",
        interface=name,
        ofport=binding.interface.ofport,
        port_id=binding.port_id,
        state=binding.state,
        reason=binding.reason,
    )
