"""The flows that this host's switches should hold, compiled as the controller compiles them."""

from __future__ import annotations

from flows.policy.index import Policy
from flows.reference.verdict import PolicyText
from sgctl.controller.engine import Engine
from sgctl.store import Store
from sgctl.vswitch.local_switches import LocalSwitches


class Unexplained(Exception):
    """The question cannot be answered; the message is for users."""


def text_of(policy: Policy) -> PolicyText:
    """The policy as the reference verdict reads it."""
    unbound = frozenset(policy.ports.keys() - policy.bound)
    objects = policy.networks, policy.ports, policy.address_groups, policy.rules, policy.groups
    return PolicyText(*objects, unbound=unbound)


class ExpectedState:
    """Policy, bridges and expected flows of one host at one moment; `refresh` updates all of them."""

    def __init__(self, store: Store, local: LocalSwitches) -> None:
        self._store = store
        self._local = local
        self.engine = Engine()
        self.generation = -1
        self.refresh()

    def refresh(self) -> None:
        """Process the updates that the databases have sent."""
        self.engine.change_policy(self._store.run())
        self.engine.change_bound(self._store.bound_changes())
        self._local.run()
        self.engine.change_bridges(self._local.bridges)
        here, zones = self._local.chassis, self._store.zones
        self.engine.change_zones({key[1:]: zone for key, zone in zones.items() if key[0] == here})
        self.engine.flush()
        self.generation = self._store.generation

    @property
    def in_step(self) -> bool:
        """Whether all connected switches of this host are reported to have this generation of the policy."""
        return all(
            status.generation >= self.generation
            for status in self._store.switches.values()
            if status.connected and status.chassis == self._local.chassis
        )

    @property
    def text(self) -> PolicyText:
        """The policy as the reference verdict reads it."""
        return text_of(self.engine.policy)

    def managed(self, bridge: str | None) -> list[int]:
        """The datapath id of the bridge with this name; for None, of all bridges that a controller reported.

        Raises Unexplained when there is no such bridge.
        """
        reported = {
            status.name for status in self._store.switches.values() if status.chassis == self._local.chassis
        }
        wanted = {bridge} if bridge is not None else reported
        found = [dpid for dpid, managed in self.engine.bridges.items() if managed.bridge.name in wanted]
        if not found:
            raise Unexplained(
                f"there is no bridge {bridge!r} on this host"
                if bridge
                else "no controller manages a bridge on this host"
            )
        return sorted(found, key=lambda dpid: self.engine.bridges[dpid].bridge.name)
