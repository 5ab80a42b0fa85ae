"""What every switch should hold, worked out from the policy and the host's bridges. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flows.compiler import BridgeCompiler, LocalState
from flows.flow import FlowDiff
from flows.model import Change, Network, Port
from flows.policy import Policy
from sgctl.controller.attach import Roles, assign_roles
from sgctl.store.local import Bridge

ZoneKey = tuple[str, str]
"""Bridge name and network id."""


@dataclass
class ManagedBridge:
    """One bridge: what the host says of it, the parts its interfaces play, its compiler."""

    bridge: Bridge
    compiler: BridgeCompiler
    roles: Roles = field(default_factory=Roles)


class Engine:
    """Takes in changes of the policy, of the bridges and of the zones; yields differences per bridge."""

    def __init__(self) -> None:
        self.policy = Policy()
        self.bridges: dict[int, ManagedBridge] = {}
        self._zones: dict[ZoneKey, int] = {}
        self._roles_stale = False

    def change_policy(self, changes: Sequence[Change]) -> None:
        """Take in changes of policy objects."""
        if not changes:
            return
        touched = self.policy.apply(changes)
        for managed in self.bridges.values():
            managed.compiler.update(touched)
        self._roles_stale |= any(_moves_attachment(change) for change in changes)

    def change_bridges(self, bridges: Mapping[int, Bridge]) -> None:
        """Take in what the host's switch database says; a bridge that is gone is forgotten."""
        for dpid in self.bridges.keys() - bridges.keys():
            del self.bridges[dpid]
        for dpid, bridge in bridges.items():
            if dpid in self.bridges:
                self.bridges[dpid].bridge = bridge
            else:
                self.bridges[dpid] = ManagedBridge(bridge, self._new_compiler())
        self._roles_stale = True

    def change_zones(self, zones: Mapping[ZoneKey, int]) -> None:
        """Take in the conntrack zones of this host."""
        if zones != self._zones:
            self._zones = dict(zones)
            self._roles_stale = True

    def missing_zones(self) -> set[ZoneKey]:
        """The (bridge, network) pairs that need a zone and have none; their ports stay closed until then."""
        self._refresh_roles()
        wanted = {
            (managed.bridge.name, network)
            for managed in self.bridges.values()
            for network in managed.roles.networks(self.policy)
        }
        return wanted - self._zones.keys()

    def flush(self) -> dict[int, FlowDiff]:
        """What to change on each switch since the last call, by datapath id; only where something is."""
        self._refresh_roles()
        diffs = {dpid: managed.compiler.flush() for dpid, managed in self.bridges.items()}
        return {dpid: diff for dpid, diff in diffs.items() if diff}

    def _new_compiler(self) -> BridgeCompiler:
        return BridgeCompiler(self.policy)

    def _refresh_roles(self) -> None:
        if not self._roles_stale:
            return
        self._roles_stale = False
        all_roles = assign_roles(self.policy, [managed.bridge for managed in self.bridges.values()])
        for managed in self.bridges.values():
            managed.roles = all_roles[managed.bridge.name]
            managed.compiler.set_local(self._local_state(managed))

    def _local_state(self, managed: ManagedBridge) -> LocalState:
        zones = {
            network: zone for (name, network), zone in self._zones.items() if name == managed.bridge.name
        }
        return LocalState(managed.roles.ports, managed.roles.uplinks, zones)


def _moves_attachment(change: Change) -> bool:
    """Whether a change may alter which interface stands for what."""
    old, new = change
    if change.kind is Network:
        return old is None or new is None or old.name != new.name
    if isinstance(old, Port) and isinstance(new, Port):
        return (old.iface_id, old.network_id) != (new.iface_id, new.network_id)
    return change.kind is Port
