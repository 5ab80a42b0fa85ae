"""Binds the interfaces of a bridge to policy ports and uplinks, and quarantines the other interfaces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flows.policy.index import Policy
from flows.policy.objects import Network
from sgctl.controller.uplinks import NetworkNames
from sgctl.store import BindingState as State
from sgctl.vswitch.devices import NO_VLANS, Interface
from sgctl.vswitch.local_switches import Bridge
from sgctl.vswitch.uplinks import Declaration, read_loops

Place = tuple[str, str]
"""Bridge and interface name."""


@dataclass(frozen=True)
class Binding:
    """What an interface is bound to: a policy port, networks that it is an uplink of, or neither.

    `networks` are the ids of the networks that need a conntrack zone for the interface. `declaration` is the
    updated declaration of an uplink. `closed` are the networks that are closed on it; see `read_loops`.
    """

    interface: Interface
    state: State
    port_id: str = ""
    networks: frozenset[str] = frozenset()
    reason: str = ""
    declaration: Declaration | None = None
    closed: Mapping[str, str] = field(default_factory=dict)

    @property
    def declared_networks(self) -> frozenset[str]:
        """The networks of an uplink, including those that are closed to break a loop."""
        return self.networks | self.closed.keys()

    def leaves_for(self, other: Binding | None) -> bool:
        """Whether the policy port or uplink leaves its OpenFlow port when the binding becomes `other`."""
        if other is None or other.interface.ofport != self.interface.ofport:
            return True
        return self.state is not State.QUARANTINED and (self.state, self.port_id) != (
            other.state,
            other.port_id,
        )


@dataclass
class BridgeBindings:
    """The bindings of all interfaces of one bridge, by name, and the compiler's input by OpenFlow port.

    `moved` are the OpenFlow ports of interfaces whose binding has changed since the set was last emptied.
    `vacated` are the OpenFlow ports that a bound port or an uplink has left since then.
    """

    of_interface: dict[str, Binding] = field(default_factory=dict)
    ports: dict[int, str] = field(default_factory=dict)
    uplinks: dict[int, frozenset[str]] = field(default_factory=dict)
    uplink_bindings: dict[int, Binding] = field(default_factory=dict)
    moved: set[int] = field(default_factory=set)
    vacated: set[int] = field(default_factory=set)
    _networks: Counter[str] = field(default_factory=Counter)

    @property
    def networks(self) -> Iterable[str]:
        """The ids of the networks that need a zone on this bridge."""
        return self._networks.keys()

    def take(self, name: str, binding: Binding) -> None:
        """Add the binding of an interface that has none."""
        self.of_interface[name] = binding
        self.moved.add(binding.interface.ofport)
        self._networks.update(binding.networks)
        if binding.state is State.BOUND:
            self.ports[binding.interface.ofport] = binding.port_id
        elif binding.state is State.UPLINK:
            self.uplinks[binding.interface.ofport] = binding.networks
            self.uplink_bindings[binding.interface.ofport] = binding

    def drop(self, name: str, successor: Binding | None) -> None:
        """Remove the binding of an interface, if any. `successor` is its next binding, None for none."""
        binding = self.of_interface.pop(name, None)
        if binding is not None:
            if binding.interface.ofport > 0 and binding.leaves_for(successor):
                self.vacated.add(binding.interface.ofport)
            self.moved.add(binding.interface.ofport)
            self._networks -= Counter(binding.networks)
            self.ports.pop(binding.interface.ofport, None)
            self.uplinks.pop(binding.interface.ofport, None)
            self.uplink_bindings.pop(binding.interface.ofport, None)


class HostBindings:
    """The bindings on every bridge of a host, by bridge name. Only changed interfaces are computed again.

    A policy port is bound only once on a host: if several interfaces name it, the first in the order of
    bridge and interface names is bound and the others are quarantined.
    """

    def __init__(self, policy: Policy) -> None:
        self.of_bridge: dict[str, BridgeBindings] = {}
        self._policy = policy
        self._interfaces: dict[str, dict[str, Interface]] = {}
        self._claimants: defaultdict[str, set[Place]] = defaultdict(set)
        self._stale: set[Place] = set()
        self._looked_up: set[Place] = set()

    def set_bridge(self, name: str, bridge: Bridge | None) -> BridgeBindings:
        """Set a bridge and its interfaces, None if the bridge was deleted; returns its bindings.

        `refresh` updates the returned bindings. A bridge without a controller is not enforced, so only its
        declared interfaces get a binding.
        """
        held = self._interfaces.setdefault(name, {})
        bindings = self.of_bridge.setdefault(name, BridgeBindings())
        found = bridge.interfaces if bridge else ()
        managed = bridge is not None and bool(bridge.controllers)
        wanted = {each.name: each for each in found if managed or each.is_declared}
        for interface in [interface for interface in held.values() if interface.name not in wanted]:
            self._set_interface(name, interface.name, None)
        for interface in wanted.values():
            if held.get(interface.name) != interface:
                self._set_interface(name, interface.name, interface)
        return bindings

    def iface_id_changed(self, iface_id: str) -> None:
        """Note that the policy port with this `iface-id` has been added, deleted or replaced."""
        self._stale |= self._claimants.get(iface_id, set())

    def networks_changed(self) -> None:
        """Note that networks were added, deleted, renamed or given another tag.

        This concerns uplinks, which name networks, and ports with VLAN columns.
        """
        for bridge, interfaces in self._interfaces.items():
            for name, interface in interfaces.items():
                if interface.uplink is not None or interface.vlans != NO_VLANS:
                    self._stale.add((bridge, name))

    def refresh(self) -> set[Place]:
        """Update the bindings; returns the interfaces whose binding has changed."""
        names = NetworkNames(self._policy)
        news = {place: self._binding(*place, names) for place in self._stale}
        self._looked_up |= {place for place, binding in news.items() if binding and binding.declaration}
        self._stale.clear()
        changed = {place for place, binding in news.items() if self._held(place) != binding}
        for bridge, name in changed:  # drop all first: an interface may get another's OpenFlow port
            self.of_bridge[bridge].drop(name, news[bridge, name])
        for bridge, name in changed:
            binding = news[bridge, name]
            if binding is not None:
                self.of_bridge[bridge].take(name, binding)
        return changed

    def outdated_declarations(self) -> Iterator[tuple[Interface, Declaration]]:
        """The uplinks whose declaration should change, with the new declaration; each is returned once."""
        places, self._looked_up = self._looked_up, set()
        for place in sorted(places):
            binding = self._held(place)
            if binding is not None and binding.declaration not in (None, binding.interface.declaration):
                assert binding.declaration is not None
                yield binding.interface, binding.declaration

    def _held(self, place: Place) -> Binding | None:
        return self.of_bridge[place[0]].of_interface.get(place[1])

    def _set_interface(self, bridge: str, name: str, interface: Interface | None) -> None:
        place = (bridge, name)
        before = self._interfaces[bridge].pop(name, None)
        if interface is not None:
            self._interfaces[bridge][name] = interface
        for present, each in ((False, before), (True, interface)):
            if each is None or each.uplink is not None or not each.iface_id or each.obstacle:
                continue
            claimants = self._claimants[each.iface_id]
            (claimants.add if present else claimants.discard)(place)
            self._stale |= claimants
            if not claimants:
                del self._claimants[each.iface_id]
        self._stale.add(place)

    def _binding(self, bridge: str, name: str, names: NetworkNames) -> Binding | None:
        interface = self._interfaces.get(bridge, {}).get(name)
        if interface is None:
            return None
        if interface.mirror and not interface.is_declared:
            copies = f"gets copies of the traffic of other ports, sent by mirror {interface.mirror}"
            return Binding(interface, State.MIRROR, reason=copies)
        if interface.obstacle:
            return Binding(interface, State.QUARANTINED, reason=interface.obstacle)
        if interface.declaration is not None:
            return _uplink_binding(interface, interface.declaration, names)
        return self._workload_binding(bridge, interface)

    def _workload_binding(self, bridge: str, interface: Interface) -> Binding:
        iface_id = interface.iface_id
        if not iface_id:
            return Binding(
                interface, State.QUARANTINED, reason="external_ids has neither iface-id nor sgctl-uplink"
            )
        port_id = self._policy.port_of_iface.get(iface_id)
        if port_id is None:
            return Binding(interface, State.QUARANTINED, reason=f"no port has the iface_id {iface_id!r}")
        port, first = self._policy.ports[port_id], min(self._claimants[iface_id])
        if first != (bridge, interface.name):
            reason = f"port {port.name!r} is already bound to {'/'.join(first)}"
            return Binding(interface, State.QUARANTINED, reason=reason)
        conflict = vlans_of_port(interface, self._policy.networks.get(port.network_id))
        if conflict:
            return Binding(interface, State.QUARANTINED, reason=conflict)
        return Binding(interface, State.BOUND, port_id, frozenset([port.network_id]))


def vlans_of_port(interface: Interface, network: Network | None) -> str:
    """How the VLAN columns of a bound interface's port contradict its network; empty if they do not.

    A machine's frames are untagged on its port and get the network's tag on uplinks. An access port of the
    same VLAN agrees with that.
    """
    tag, trunks, mode = interface.vlans.tag, interface.vlans.trunks, interface.vlans.mode
    columns = f"ovs-vsctl clear port {interface.name}"
    if trunks or mode not in ("", "access"):
        what = f"trunks={','.join(map(str, sorted(trunks)))}" if trunks else f"vlan_mode={mode}"
        return f"its port has {what}, but a machine may not send tagged frames: {columns} trunks vlan_mode"
    if tag is None or network is None or (tag or None) == network.segmentation_id:
        return ""
    held = f"has the segmentation_id {network.segmentation_id}" if network.segmentation_id else "has no tag"
    return f"its port has tag={tag}, but network {network.name or network.id} {held}: {columns} tag"


def vlans_of_uplink(interface: Interface) -> str:
    """How the VLAN columns of an uplink's port contradict its use as an uplink; empty if they do not."""
    tag, mode = interface.vlans.tag, interface.vlans.mode
    if tag is None and mode in ("", "trunk"):
        return ""
    what = f"tag={tag}" if tag is not None else f"vlan_mode={mode}"
    return (
        f"its port has {what}, but on an uplink the segmentation_id of a network is its tag:"
        f" ovs-vsctl clear port {interface.name} tag vlan_mode"
    )


def _uplink_binding(interface: Interface, declared: Declaration, names: NetworkNames) -> Binding:
    """Bind an uplink to its existing, distinguishable networks; `reason` names the others."""
    conflict = vlans_of_uplink(interface)
    if conflict:
        return Binding(interface, State.QUARANTINED, reason=conflict)
    carried, problems, declaration = names.resolve(declared, interface.vlans.trunks)
    closed = {each: other for each, other in read_loops(interface.loops).items() if each in carried}
    loops = [
        f"network {names.name(each)} is closed here: {other} leads to the same segment"
        for each, other in closed.items()
    ]
    reason = "; ".join(filter(None, [*problems, *loops, ", ".join(interface.failed_members)]))
    if not carried:
        reason = reason or "sgctl-uplink names no network"
        return Binding(interface, State.QUARANTINED, reason=reason, declaration=declaration)
    left = carried - closed.keys()
    return Binding(
        interface, State.UPLINK, networks=left, reason=reason, declaration=declaration, closed=closed
    )
