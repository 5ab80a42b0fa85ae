"""The flows of every switch, compiled as its controller compiles them, from what controllers reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flows.compiler.bridge import BridgeCompiler
from flows.openflow.flow import Flow, FlowKey
from flows.policy.objects import Change, Port
from sgctl.controller.engine import Engine
from sgctl.store import BindingState, BindingStatus, Store
from sgctl.vswitch.devices import Interface
from sgctl.vswitch.local_switches import Bridge, LocalSwitches

_ZONES = range(1, 65535)
_NO_INTERFACES: tuple[Interface, ...] = ()


@dataclass(frozen=True)
class SwitchForecast:
    """How many flows change on one switch. `changed` flows keep their match and get other actions."""

    switch: str
    before: int
    added: Sequence[Flow]
    removed: Sequence[Flow]
    changed: Sequence[Flow]

    @property
    def after(self) -> int:
        """How many flows the switch has after the change."""
        return self.before + len(self.added) - len(self.removed)


@dataclass(frozen=True)
class Cost:
    """How many flows a rule needs on all switches together, and how many of them no other rule needs."""

    flows: int = 0
    alone: int = 0


class Fleet:
    """The switches of all hosts; those of the local host as its switch database describes them.

    On other hosts only bound interfaces are known: the forecast does not see an interface there that waits
    for a port which the change creates.
    """

    def __init__(self, store: Store, local: LocalSwitches | None) -> None:
        self._engines: dict[str, Engine] = {}
        self._zones: dict[str, dict[tuple[str, str], int]] = {}
        everything = [Change(None, obj) for obj in store.objects.everything()]
        for chassis in sorted({status.chassis for status in store.switches.values()}):
            here = local is not None and local.chassis == chassis
            bridges = local.bridges if local is not None and here else _bridges(store, chassis)
            self._add(chassis, everything, bridges, store)

    def _add(
        self, chassis: str, everything: Sequence[Change], bridges: Mapping[int, Bridge], store: Store
    ) -> None:
        reported = {status.name for status in store.switches.values() if status.chassis == chassis}
        engine = self._engines[chassis] = Engine()
        engine.change_policy(everything)
        engine.change_bound(dict.fromkeys(store.bound_ports, True))
        engine.change_bridges({dpid: each for dpid, each in bridges.items() if each.name in reported})
        self._zones[chassis] = {key[1:]: zone for key, zone in store.zones.items() if key[0] == chassis}
        self._settle(chassis)

    def _settle(self, chassis: str) -> None:
        """Flush, with any zone for networks that have none yet: its number does not change how many flows."""
        engine, zones = self._engines[chassis], self._zones[chassis]
        taken = set(zones.values())
        free = (zone for zone in _ZONES if zone not in taken)
        zones.update(zip(sorted(engine.missing_zones()), free, strict=False))
        engine.change_zones(zones)
        engine.flush()

    @property
    def compilers(self) -> Iterator[tuple[str, BridgeCompiler]]:
        """The compiler of every switch, by `chassis/bridge`."""
        for chassis, engine in self._engines.items():
            for managed in sorted(engine.bridges.values(), key=lambda each: each.bridge.name):
                yield f"{chassis}/{managed.bridge.name}", managed.compiler

    def change(self, changes: Sequence[Change]) -> list[SwitchForecast]:
        """Apply a change to the compilers; returns what it does to each switch."""
        before = {name: dict(compiler.flows) for name, compiler in self.compilers}
        for chassis, engine in self._engines.items():
            engine.change_policy(changes)
            self._settle(chassis)
        return [_compare(name, before[name], compiler.flows) for name, compiler in self.compilers]

    def costs(self, numbers: Iterable[int]) -> dict[int, Cost]:
        """How many flows the rules with these numbers need now."""
        flows = dict.fromkeys(numbers, 0)
        alone = dict(flows)
        for _, compiler in self.compilers:
            for key in compiler.flows:
                rules = {int(owner[1]) for owner in compiler.owners(key) if owner[0] == "rule"}
                for number in rules & flows.keys():
                    flows[number] += 1
                    alone[number] += len(rules) == 1
        return {number: Cost(flows[number], alone[number]) for number in flows}


def _compare(name: str, before: Mapping[FlowKey, Flow], after: Mapping[FlowKey, Flow]) -> SwitchForecast:
    return SwitchForecast(
        name,
        len(before),
        [flow for key, flow in after.items() if key not in before],
        [flow for key, flow in before.items() if key not in after],
        [flow for key, flow in after.items() if key in before and before[key] != flow],
    )


def _bridges(store: Store, chassis: str) -> dict[int, Bridge]:
    """The bridges of a host as its controller reported them."""
    interfaces: dict[str, list[Interface]] = {}
    for binding in store.bindings.values():
        interfaces.setdefault(binding.switch, []).append(_interface(store, binding))
    return {
        int(status.dpid, 16): Bridge(
            status.name, int(status.dpid, 16), "secure", tuple(interfaces.get(key, _NO_INTERFACES))
        )
        for key, status in store.switches.items()
        if status.chassis == chassis
    }


def _interface(store: Store, binding: BindingStatus) -> Interface:
    port = store.objects.get(Port, binding.port_id)
    iface_id = port.iface_id if port is not None else ""
    uplink = None
    if binding.state is BindingState.UPLINK:
        chassis, _, bridge = binding.switch.rpartition("/")
        uplink = ",".join(network for host, name, network in store.zones if (host, name) == (chassis, bridge))
    return Interface(binding.interface, binding.ofport, iface_id, uplink)
