"""The state of switches that controllers report: rows of Switch and Binding, and allocated zones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from sgctl.ovsdb.replica import Operation, Row

K = TypeVar("K")
V = TypeVar("V")


class BindingState(StrEnum):
    """How sgctl treats an interface of a bridge."""

    BOUND = "bound"
    UPLINK = "uplink"
    MIRROR = "mirror"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class SwitchStatus:
    """The state of a bridge, as its controller reports it.

    `dpid` is 16 hexadecimal digits. `generation` is the policy generation that the switch has applied,
    confirmed by a barrier; 0 for none. `error` is empty if there is none. `answered` is the number of the
    last `Store.ask` that the controller has seen. `host_id` identifies the host independently of its name.
    """

    chassis: str
    name: str
    dpid: str
    connected: bool = False
    generation: int = 0
    flow_count: int = 0
    error: str = ""
    answered: int = 0
    host_id: str = ""

    @property
    def key(self) -> str:
        """`chassis/name`."""
        return f"{self.chassis}/{self.name}"


@dataclass(frozen=True, slots=True)
class BindingStatus:
    """The state of a bridge's interface. `switch` is a `SwitchStatus.key`.

    `port_id` is empty unless the interface is bound to a policy port. `reason` is text for users, for example
    why the interface is quarantined.
    """

    switch: str
    interface: str
    ofport: int
    state: BindingState
    port_id: str = ""
    reason: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The switch's key and the interface."""
        return self.switch, self.interface

    @property
    def chassis(self) -> str:
        """The host of the switch."""
        return self.switch.rpartition("/")[0]


class KeyedRows(Generic[K, V]):
    """The values in one table's `rows`, by a key that is in the row; call `take` for changed rows."""

    def __init__(self, rows: Mapping[str, Row], read: Callable[[Row], tuple[K, V]]) -> None:
        self.values: dict[K, V] = {}
        self.ids: dict[K, str] = {}
        self._rows = rows
        self._read = read
        self._keys: dict[str, K] = {}

    def take(self, identifiers: Iterable[str]) -> None:
        """Look again at the rows with these ids."""
        touched = list(identifiers)
        for identifier in touched:
            if identifier in self._keys:
                key = self._keys.pop(identifier)
                self.values.pop(key, None)
                self.ids.pop(key, None)
        for identifier in touched:
            if identifier in self._rows:
                key, self.values[key] = self._read(self._rows[identifier])
                self._keys[identifier] = key
                self.ids[key] = identifier


class BoundPorts:
    """The bindings of each bound port, from Binding rows; call `take` for changed rows."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self.bindings: dict[str, tuple[BindingStatus, ...]] = {}
        """By port id, for ports that are bound."""
        self.changed: dict[str, bool] = {}
        """Whether a port is bound, for ports where this may have changed since the mapping was emptied."""
        self._rows = rows
        self._of_row: dict[str, BindingStatus] = {}

    def take(self, identifiers: Iterable[str]) -> None:
        """Look again at the rows with these ids."""
        for identifier in identifiers:
            row = self._rows.get(identifier)
            binding = read_binding(row)[1] if row is not None else None
            is_bound = binding is not None and binding.state is BindingState.BOUND and binding.port_id
            now = binding if is_bound else None
            before = self._of_row.pop(identifier, None)
            if now is not None:
                self._of_row[identifier] = now
            ports = {side.port_id for side in (before, now) if side is not None}
            for port in ports:
                self._replace(port, before, now)
            if len(ports) > 1 or before is None or now is None:
                self.changed.update((port, port in self.bindings) for port in ports)

    def _replace(self, port: str, before: BindingStatus | None, now: BindingStatus | None) -> None:
        found = [binding for binding in self.bindings.pop(port, ()) if binding is not before]
        if now is not None and now.port_id == port:
            found.append(now)
        if found:
            self.bindings[port] = tuple(found)


def read_switch(row: Row) -> tuple[str, SwitchStatus]:
    """The key and the value in a row of Switch."""
    switch = SwitchStatus(
        row.get("chassis", ""),
        row.get("name", ""),
        row.get("dpid", ""),
        row.get("connected", False),
        row.get("generation", 0),
        row.get("flow_count", 0),
        row.get("error", ""),
        row.get("answered", 0),
        row.get("host_id", ""),
    )
    return switch.key, switch


def read_binding(row: Row) -> tuple[tuple[str, str], BindingStatus]:
    """The key and the value in a row of Binding."""
    kind, port = row.get("port", ["set", []])
    binding = BindingStatus(
        f"{row.get('chassis', '')}/{row.get('bridge', '')}",
        row.get("interface", ""),
        row.get("ofport", 0),
        BindingState(row["state"]),
        port if kind == "uuid" else "",
        row.get("reason", ""),
    )
    return binding.key, binding


def read_zone(row: Row) -> tuple[tuple[str, str, str], int]:
    """The key (chassis, bridge, network id) and the zone number in a row of Zone."""
    return (row.get("chassis", ""), row.get("bridge", ""), row["network"][1]), row["zone"]


def _write_switch(switch: SwitchStatus) -> Row:
    return {
        "chassis": switch.chassis,
        "name": switch.name,
        "dpid": switch.dpid,
        "connected": switch.connected,
        "generation": switch.generation,
        "flow_count": switch.flow_count,
        "error": switch.error,
        "answered": switch.answered,
        "host_id": switch.host_id,
    }


def _write_binding(binding: BindingStatus) -> Row:
    chassis, _, bridge = binding.switch.rpartition("/")
    return {
        "chassis": chassis,
        "bridge": bridge,
        "interface": binding.interface,
        "ofport": binding.ofport,
        "port": ["uuid", binding.port_id] if binding.port_id else ["set", []],
        "state": str(binding.state),
        "reason": binding.reason,
    }


def switch_operations(
    switches: KeyedRows[str, SwitchStatus], now: Iterable[SwitchStatus], chassis: frozenset[str]
) -> list[Operation]:
    """Operations that make the Switch rows of these chassis equal to `now`."""
    wanted: dict[str, SwitchStatus | None] = {
        key: None for key, switch in switches.values.items() if switch.chassis in chassis
    }
    wanted.update((switch.key, switch) for switch in now)
    return list(_differences("Switch", switches, wanted, _write_switch))


def binding_operations(
    bindings: KeyedRows[tuple[str, str], BindingStatus],
    now: Iterable[BindingStatus],
    chassis: frozenset[str],
) -> list[Operation]:
    """Operations that make the Binding rows of these chassis equal to `now`."""
    wanted: dict[tuple[str, str], BindingStatus | None] = {
        key: None for key in bindings.values if key[0].rpartition("/")[0] in chassis
    }
    wanted.update((binding.key, binding) for binding in now)
    return moved_operations(bindings, wanted)


def moved_operations(
    bindings: KeyedRows[tuple[str, str], BindingStatus], moved: Mapping[tuple[str, str], BindingStatus | None]
) -> list[Operation]:
    """Operations that update the Binding rows of some interfaces; None deletes a row."""
    return list(_differences("Binding", bindings, moved, _write_binding))


def _differences(
    table: str, held: KeyedRows[K, V], wanted: Mapping[K, V | None], write: Callable[[V], Row]
) -> Iterator[Operation]:
    """Operations for the differences. Deletions come first: they may free values that must be unique."""
    for key, value in wanted.items():
        if value is None and key in held.values:
            yield {"op": "delete", "table": table, "where": row_is(held.ids[key])}
    for key, value in wanted.items():
        if value is None:
            continue
        if key not in held.values:
            yield {"op": "insert", "table": table, "row": write(value)}
        elif held.values[key] != value:
            yield {"op": "update", "table": table, "where": row_is(held.ids[key]), "row": write(value)}


_OF_HOSTS = ("Switch", "Binding", "Zone")
"""The tables in which every row belongs to a host."""


def hosts_in(rows: Mapping[str, Mapping[str, Row]]) -> frozenset[str]:
    """The hosts that have rows in the database."""
    return frozenset(row.get("chassis", "") for table in _OF_HOSTS for row in rows[table].values())


def removal_operations(host: str) -> list[Operation]:
    """Operations that delete all rows of a host."""
    return [{"op": "delete", "table": table, "where": _of_host(host)} for table in _OF_HOSTS]


def renaming_operations(host: str, name: str) -> list[Operation]:
    """Operations that give all rows of a host to the host `name`."""
    row = {"chassis": name}
    return [{"op": "update", "table": table, "where": _of_host(host), "row": row} for table in _OF_HOSTS]


def _of_host(host: str) -> list[list[object]]:
    return [["chassis", "==", host]]


def row_is(identifier: str) -> list[list[object]]:
    """The `where` clause for the row with this id."""
    return [["_uuid", "==", ["uuid", identifier]]]
