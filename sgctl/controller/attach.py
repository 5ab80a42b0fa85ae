"""Which interface of a bridge stands for which policy port, and why the others are quarantined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flows.policy import Policy
from sgctl.store import BindingState as State
from sgctl.store.local import Bridge, Interface

ALL_NETWORKS = "*"


@dataclass(frozen=True)
class Role:
    """An interface's part: the policy port it stands for, or the networks it carries, or neither."""

    interface: Interface
    state: State
    port_id: str = ""
    networks: frozenset[str] = frozenset()
    reason: str = ""


@dataclass
class Roles:
    """The roles of all interfaces of one bridge, by name."""

    of_interface: dict[str, Role] = field(default_factory=dict)

    @property
    def ports(self) -> dict[int, str]:
        """OpenFlow port → id of the policy port bound to it."""
        return {r.interface.ofport: r.port_id for r in self.of_interface.values() if r.state is State.BOUND}

    @property
    def uplinks(self) -> dict[int, frozenset[str]]:
        """OpenFlow port → ids of the networks an uplink carries."""
        return {r.interface.ofport: r.networks for r in self.of_interface.values() if r.state is State.UPLINK}

    def networks(self, policy: Policy) -> set[str]:
        """The ids of the networks that need a zone on this bridge."""
        found = {policy.ports[port].network_id for port in self.ports.values()}
        return found.union(*self.uplinks.values())


def assign_roles(policy: Policy, bridges: Iterable[Bridge]) -> dict[str, Roles]:
    """The roles on every bridge of a host, by bridge name.

    A policy port is bound once on a host: when several interfaces name it, the first by bridge and
    interface name has it and the others are quarantined.
    """
    names = _NetworkNames(policy)
    taken: dict[str, str] = {}
    return {
        bridge.name: _bridge_roles(policy, bridge, names, taken)
        for bridge in sorted(bridges, key=lambda bridge: bridge.name)
    }


def _bridge_roles(policy: Policy, bridge: Bridge, names: _NetworkNames, taken: dict[str, str]) -> Roles:
    roles = Roles()
    for interface in sorted(bridge.interfaces, key=lambda interface: interface.name):
        if interface.uplink is not None:
            role = _uplink_role(interface, names)
        else:
            role = _workload_role(policy, interface, taken)
        if role.state is State.BOUND:
            taken[role.port_id] = f"{bridge.name}/{interface.name}"
        roles.of_interface[interface.name] = role
    return roles


def _workload_role(policy: Policy, interface: Interface, taken: Mapping[str, str]) -> Role:
    if not interface.iface_id:
        return Role(interface, State.QUARANTINED, reason="external_ids has neither iface-id nor sgctl-uplink")
    port_id = policy.port_of_iface.get(interface.iface_id)
    if port_id is None:
        return Role(interface, State.QUARANTINED, reason=f"no port has the iface_id {interface.iface_id!r}")
    if port_id in taken:
        reason = f"port {policy.ports[port_id].name!r} is already bound to {taken[port_id]}"
        return Role(interface, State.QUARANTINED, reason=reason)
    return Role(interface, State.BOUND, port_id=port_id)


def _uplink_role(interface: Interface, names: _NetworkNames) -> Role:
    """An uplink carries the networks it names that exist; the rest is said, not guessed."""
    wanted = [name.strip() for name in (interface.uplink or "").split(",") if name.strip()]
    if wanted == [ALL_NETWORKS]:
        return Role(interface, State.UPLINK, networks=names.all)
    found = {name: names.ids(name) for name in wanted}
    networks = frozenset(ids[0] for ids in found.values() if len(ids) == 1)
    unknown = [name for name, ids in found.items() if len(ids) != 1]
    reason = f"no single network is called {', '.join(map(repr, unknown))}" if unknown else ""
    if not networks:
        return Role(interface, State.QUARANTINED, reason=reason or "sgctl-uplink names no network")
    return Role(interface, State.UPLINK, networks=networks, reason=reason)


class _NetworkNames:
    def __init__(self, policy: Policy) -> None:
        self.all = frozenset(policy.networks)
        self._ids: dict[str, list[str]] = {}
        for network in policy.networks.values():
            for name in {network.name, network.id}:
                self._ids.setdefault(name, []).append(network.id)

    def ids(self, name: str) -> list[str]:
        """The networks called so, by name or id."""
        return self._ids.get(name, [])
