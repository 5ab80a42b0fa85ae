"""Computes the flows that every switch should have, from the policy and the host's bridges. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flows.compiler.bridge import BridgeCompiler, LocalState
from flows.openflow.flow import FlowDiff
from flows.policy.index import Policy
from flows.policy.objects import Change, Network, Port
from sgctl.controller.bindings import BridgeBindings, HostBindings, Place
from sgctl.controller.compiler_uplinks import compiler_uplinks
from sgctl.vswitch.devices import Interface
from sgctl.vswitch.local_switches import Bridge
from sgctl.vswitch.uplinks import Declaration

ZoneKey = tuple[str, str]
"""Bridge name and network id."""


@dataclass
class ManagedBridge:
    """One bridge: its configuration in the switch database, its interfaces' bindings and its compiler."""

    bridge: Bridge
    compiler: BridgeCompiler
    bindings: BridgeBindings

    @property
    def datapath(self) -> str:
        """Open vSwitch's name of the bridge's datapath (ovs-dpctl(8)), such as `netdev@ovs-netdev`."""
        kind = self.bridge.datapath_type
        return f"{kind}@ovs-{kind}"

    def flush(self) -> FlowDiff:
        """The changes of flows since the last call."""
        vacated = frozenset(self.bindings.vacated)
        self.bindings.vacated.clear()
        return self.compiler.flush()._replace(vacated=vacated)


class Engine:
    """Turns changes of the policy, the bridges and the zones into changes of flows per bridge."""

    def __init__(self) -> None:
        self.policy = Policy()
        self.bridges: dict[int, ManagedBridge] = {}
        self._zones: dict[ZoneKey, int] = {}
        self._bindings = HostBindings(self.policy)
        self._stale_bridges: set[str] = set()
        self._moved: set[Place] = set()

    def change_policy(self, changes: Sequence[Change]) -> None:
        """Apply changes of policy objects."""
        if not changes:
            return
        touched = self.policy.apply(changes)
        for managed in self.bridges.values():
            managed.compiler.update(touched)
        for change in changes:
            self._note_change(change)

    def change_bound(self, changes: Mapping[str, bool]) -> None:
        """Apply which policy ports (by id) are now bound on any host (True) or on none (False)."""
        if changes:
            touched = self.policy.apply_bound(changes)
            for managed in self.bridges.values():
                managed.compiler.update(touched)

    def change_bridges(self, bridges: Mapping[int, Bridge]) -> None:
        """Set the bridges of the host's switch database, by datapath id; removes all other bridges."""
        names = {bridge.name for bridge in bridges.values()}
        for name in {managed.bridge.name for managed in self.bridges.values()} - names:
            self._bindings.set_bridge(name, None)
        for dpid in self.bridges.keys() - bridges.keys():
            del self.bridges[dpid]
        for dpid, bridge in bridges.items():
            bindings = self._bindings.set_bridge(bridge.name, bridge)
            managed = self.bridges.get(dpid)
            if managed is not None and managed.bridge.name == bridge.name:
                managed.bridge = bridge
            else:
                self.bridges[dpid] = ManagedBridge(bridge, self._new_compiler(), bindings)
                self._stale_bridges.add(bridge.name)

    def change_zones(self, zones: Mapping[ZoneKey, int]) -> None:
        """Set the conntrack zones of this host."""
        if zones != self._zones:
            self._stale_bridges |= {bridge for bridge, _ in zones.keys() | self._zones.keys()}
            self._zones = dict(zones)

    def connection_limits(self) -> dict[tuple[str, int], int | None]:
        """Connection limits by Open vSwitch datapath and zone; None if the network sets no limit."""
        datapaths = {managed.bridge.name: managed.datapath for managed in self.bridges.values()}
        return {
            (datapaths[bridge], zone): network.connection_limit
            for (bridge, network_id), zone in self._zones.items()
            if (network := self.policy.networks.get(network_id)) is not None and bridge in datapaths
        }

    def missing_zones(self) -> set[ZoneKey]:
        """The (bridge, network id) pairs that still need a zone; until then their ports stay closed."""
        self._refresh_bindings()
        wanted = {
            (managed.bridge.name, network)
            for managed in self.bridges.values()
            for network in managed.bindings.networks
        }
        return wanted - self._zones.keys()

    def parts(self) -> Iterator[tuple[int, FlowDiff]]:
        """The first parts of large changes, with their datapath id; `flush` returns the last part."""
        self._refresh_bridges()
        for dpid, managed in self.bridges.items():
            yield from ((dpid, part) for part in managed.compiler.parts() if part)

    def flush(self) -> dict[int, FlowDiff]:
        """The changes since the last call by datapath id, only for switches with changes."""
        self._refresh_bridges()
        diffs = {dpid: managed.flush() for dpid, managed in self.bridges.items()}
        return {dpid: diff for dpid, diff in diffs.items() if diff}

    def moved_interfaces(self) -> set[Place]:
        """The interfaces whose binding has changed since the last call."""
        moved, self._moved = self._moved, set()
        return moved

    def outdated_declarations(self) -> list[tuple[Interface, Declaration]]:
        """The uplinks whose declaration should change since the last call, with the new declaration."""
        self._refresh_bindings()
        return list(self._bindings.outdated_declarations())

    def _new_compiler(self) -> BridgeCompiler:
        return BridgeCompiler(self.policy)

    def _note_change(self, change: Change) -> None:
        """Note a policy change that may alter the bindings of interfaces."""
        old, new = change
        if change.kind is Network:
            sides = {
                (side.name, side.segmentation_id, side.meta.project_id)
                for side in change
                if isinstance(side, Network)
            }
            if old is None or new is None or len(sides) > 1:
                self._bindings.networks_changed()
        elif change.kind is Port:
            ports = [side for side in change if isinstance(side, Port)]
            if len({(port.iface_id, port.network_id) for port in ports}) != 1 or len(ports) == 1:
                for port in ports:
                    self._bindings.iface_id_changed(port.iface_id)

    def _refresh_bindings(self) -> None:
        changed = self._bindings.refresh()
        self._moved |= changed
        self._stale_bridges |= {bridge for bridge, _ in changed}

    def _refresh_bridges(self) -> None:
        self._refresh_bindings()
        for managed in self.bridges.values():
            if managed.bridge.name in self._stale_bridges:
                managed.compiler.set_local(self._local_state(managed), frozenset(managed.bindings.moved))
                managed.bindings.moved.clear()
        self._stale_bridges.clear()

    def _local_state(self, managed: ManagedBridge) -> LocalState:
        zones = {
            network: zone for (name, network), zone in self._zones.items() if name == managed.bridge.name
        }
        bindings = managed.bindings
        return LocalState(
            dict(bindings.ports), dict(bindings.uplinks), zones, compiler_uplinks(bindings.uplink_bindings)
        )
