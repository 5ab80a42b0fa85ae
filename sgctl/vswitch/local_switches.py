"""The bridges and interfaces of this host, from its Open_vSwitch database (ovs-vswitchd.conf.db(5))."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sgctl.ovsdb.errors import StoreError
from sgctl.ovsdb.identifiers import host_name
from sgctl.ovsdb.permission import refusal
from sgctl.ovsdb.replica import Json, Operation, Replica, Row, elements, first_error
from sgctl.ovsdb.requests import describe_error
from sgctl.vswitch.devices import (
    BOND_AS_PORT,
    IFACE_ID,
    OPTIONAL_TEXT,
    TABLES,
    TEXT,
    TEXT_MAP,
    TEXTS,
    UUIDS,
    Devices,
    Interface,
    member_of_bond,
    optional,
    own_interface_as_port,
    read_mirrors,
    text_map,
)
from sgctl.vswitch.uplinks import UPLINK, UPLINK_IDS, UPLINK_LOOPS, Declaration, write_loops

SHORTEST_BACKOFF_MS = 1000
"""The lowest max_backoff that Open vSwitch accepts."""
FEWEST_PREFIXES = 3
"""The number of `prefixes` fields per table that every version of Open vSwitch accepts."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A row of the Bridge table. `fail_mode` is `secure`, `standalone` or empty.

    `dpid` is 0 until ovs-vswitchd has set up the bridge. `datapath_type` is `system` (the kernel's), `netdev`
    (the userspace datapath) or that of a test. `controllers` are the ids of its Controller rows;
    `ovs-vsctl set-controller` creates new rows. `targets` are their targets, such as `tcp:127.0.0.1:6653`.
    `protocols` are the allowed OpenFlow versions, such as `OpenFlow14`; empty means Open vSwitch's default.
    `mirrored_vlans` are the mirrors that send their copies to every port of a VLAN: (name, VLAN).
    """

    name: str
    dpid: int
    fail_mode: str
    interfaces: tuple[Interface, ...]
    datapath_type: str = "system"
    controllers: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()
    mirrored_vlans: tuple[tuple[str, int], ...] = ()


_EMPTY: Json = ["set", []]
_TABLES: Mapping[str, Mapping[str, Any]] = {
    "Open_vSwitch": {"external_ids": TEXT_MAP},
    "Bridge": {
        "name": TEXT,
        "datapath_id": OPTIONAL_TEXT,
        "datapath_type": TEXT,
        "fail_mode": OPTIONAL_TEXT,
        "protocols": TEXTS,
        "ports": UUIDS,
        "controller": UUIDS,
        "mirrors": UUIDS,
    },
    "Controller": {"target": TEXT},
    **TABLES,
}
"""The tables and columns to monitor, with the parts of their types that matter."""


def _schema() -> Json:
    tables = {name: {"columns": dict(columns), "isRoot": True} for name, columns in _TABLES.items()}
    return {"name": "Open_vSwitch", "version": "8.0.0", "tables": tables}


class LocalSwitches:
    """The bridges in the host's switch database; call `run` to update them.

    Reconnects automatically; without a connection all values stay as they were. Only one thread, green or
    not, may use it.
    """

    def __init__(self, remote: str, timeout: float) -> None:
        """Use `connect` instead: it waits until the rows have been read."""
        self.chassis = ""
        self.bridges: Mapping[int, Bridge] = {}
        self.unusable: tuple[Bridge, ...] = ()
        """The bridges, sorted by name, that are not set up yet or share their datapath id with another."""
        self._was_connected = False
        self._timeout = timeout
        self._replica = Replica(remote, _schema())
        self._devices = Devices(self._replica.rows)

    @classmethod
    def connect(cls, remote: str, timeout: float = 10.0, patience: float | None = None) -> Self:
        """Connect and read all rows; `timeout` in seconds. Raises StoreError when no server answers.

        If the remote accepts no connection, gives up after `patience` seconds (None: after `timeout`).
        """
        switches = cls(remote, timeout)
        begin = time.monotonic()
        try:
            switches._wait_for_rows(begin + timeout, None if patience is None else begin + patience)
        except BaseException:
            switches.close()
            raise
        return switches

    @property
    def connected(self) -> bool:
        """Whether there is a connection, so that the values are current."""
        return self._replica.connected

    @property
    def host_id(self) -> str:
        """Identifies this host independently of its name: the id of its database's only Open_vSwitch row."""
        return next(iter(self._replica.rows["Open_vSwitch"]), "")

    def run(self) -> bool:
        """Process received updates, without waiting.

        Returns whether `chassis`, `bridges`, `unusable` or `connected` changed.
        """
        self._replica.pump()
        touched = self._replica.touched()
        was_connected, self._was_connected = self._was_connected, self.connected
        seen = {self._devices.take(table, identifier) for table, identifier in touched}  # all of them
        if True not in seen:
            return was_connected != self._was_connected
        before = self.chassis, self.bridges, self.unusable
        self.chassis = self._read_chassis()
        self._read_bridges()
        after = self.chassis, self.bridges, self.unusable
        return before != after or was_connected != self._was_connected

    def block(self, timeout: float) -> None:
        """Sleep until there is something to `run`, or for `timeout` seconds; other green threads run."""
        self._replica.poll(timeout)

    def wait(self, poller: Any) -> None:
        """Let an `ovs.poller.Poller` wake up when there is something to `run`."""
        self._replica.wait(poller)

    def bind(self, interface: str, iface_id: str) -> None:
        """Bind an interface to a policy port; an empty `iface_id` unbinds it. Raises StoreError."""
        if iface_id:
            self._refuse(interface, self._obstacle_to_port(interface))
        self._set_external_ids(interface, {IFACE_ID: iface_id})

    def set_uplink(self, interface: str, declared: Declaration | None) -> None:
        """Declare an interface as an uplink; None removes the declaration. Raises StoreError."""
        if declared is not None:
            if not declared.words:
                raise StoreError(f"interface {interface}: an uplink needs at least one network")
            self._refuse(interface, self._obstacle(interface))
        self._set_external_ids(interface, {**_uplink_values(declared), UPLINK_LOOPS: ""})

    def settle_uplink(self, interface: str, before: Declaration, after: Declaration) -> None:
        """Change an uplink's declaration, unless its names have changed since `before`. Raises StoreError."""
        mutation = self._mutation(interface, _uplink_values(after))
        mutation["where"].append(["external_ids", "includes", ["map", [[UPLINK, before.names]]]])
        self._write([mutation])

    def set_loops(self, interface: str, loops: Mapping[str, str]) -> None:
        """Close exactly these networks (by id) on an uplink; see `read_loops`. Raises StoreError."""
        self._write([self._mutation(interface, {UPLINK_LOOPS: write_loops(loops)})])

    def secure(self, bridge: str) -> None:
        """Keep a bridge from forwarding by itself while no controller is connected (fail_mode secure)."""
        where = [["name", "==", bridge]]
        update = {"op": "update", "table": "Bridge", "where": where, "row": {"fail_mode": "secure"}}
        self._write([update], f"there is no bridge {bridge}")

    def disable_in_band(self, bridge: str) -> None:
        """Remove the hidden flows with which Open vSwitch permits all traffic to and from remote controllers.

        These flows have precedence over all others: a workload could connect to the controller, and pose as
        the controller (ovs-vswitchd.conf.db(5), other_config:disable-in-band).
        """
        key = "disable-in-band"
        mutations: list[Json] = [["other_config", "delete", ["set", [key]]]]
        mutations.append(["other_config", "insert", ["map", [[key, "true"]]]])
        where = [["name", "==", bridge]]
        mutate = {"op": "mutate", "table": "Bridge", "where": where, "mutations": mutations}
        self._write([mutate], f"there is no bridge {bridge}")

    def track_prefixes(self, bridge: str, ranked: Mapping[int, Sequence[str]]) -> None:
        """Set the `prefixes` column of flow tables, from fields by table number in order of preference.

        Lookups then match no more bits of these fields than necessary. Otherwise every address of a flood
        creates its own megaflow. Settings that already exist for a table are kept.
        """
        most = self._most_prefixes()
        wanted = {table: tuple(fields[:most]) for table, fields in ranked.items()}
        names = {fields: f"prefixes{number}" for number, fields in enumerate(set(wanted.values()))}
        tables = [[table, ["named-uuid", names[fields]]] for table, fields in wanted.items()]
        insert: list[Json] = [["flow_tables", "insert", ["map", tables]]]
        where = [["name", "==", bridge]]
        mutate: Operation = {"op": "mutate", "table": "Bridge", "where": where, "mutations": insert}
        insert_row: Operation = {"op": "insert", "table": "Flow_Table"}
        rows: list[Operation] = [
            {**insert_row, "uuid-name": name, "row": {"prefixes": ["set", list(fields)]}}
            for fields, name in names.items()
        ]
        self._write([mutate, *rows], f"there is no bridge {bridge}")

    def _most_prefixes(self) -> int:
        """How many `prefixes` fields Open vSwitch accepts per table: 3, or 4 in later versions."""
        columns = (self._replica.served or {}).get("tables", {}).get("Flow_Table", {}).get("columns", {})
        kind = columns.get("prefixes", {}).get("type", {})
        return int(kind.get("max", FEWEST_PREFIXES)) if isinstance(kind, dict) else FEWEST_PREFIXES

    def reconnect_soon(self, bridge: str) -> None:
        """Make a bridge that loses its controllers reconnect every second, unless max_backoff is already set.

        By default a bridge waits up to 8 seconds (max_backoff), and no policy change reaches it in that time.
        Open vSwitch 3.1 applies max_backoff only to connections that exist when its configuration changes; a
        connection created later waits up to 8 seconds again. Therefore `next_cfg` is changed as well.
        """
        row = next((row for row in self._replica.rows["Bridge"].values() if row.get("name") == bridge), {})
        update = {"op": "update", "table": "Controller", "row": {"max_backoff": SHORTEST_BACKOFF_MS}}
        updates = [
            {**update, "where": [["_uuid", "==", ["uuid", controller]], ["max_backoff", "==", _EMPTY]]}
            for _, controller in elements(row.get("controller", _EMPTY))
        ]
        changed = [["next_cfg", "+=", 1]]
        self._write([*updates, {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": changed}])

    def close(self) -> None:
        """Close the connection."""
        self._replica.close()

    def _wait_for_rows(self, deadline: float, refused_until: float | None) -> None:
        if not self._replica.wait_for_rows(deadline, refused_until):
            raise StoreError(
                f"cannot connect to the switch database at {self._replica.remote}; "
                + (refusal(self._replica.remote) or "is Open vSwitch running?")
            )
        self.run()

    def _read_chassis(self) -> str:
        """This host's name: Open vSwitch's system-id, which other controllers use too, else its host name."""
        for row in self._replica.rows["Open_vSwitch"].values():
            system_id = text_map(row, "external_ids").get("system-id")
            if system_id:
                return system_id
        return host_name()

    def _read_bridges(self) -> None:
        found = [self._read_bridge(row) for row in self._replica.rows["Bridge"].values()]
        count = Counter(bridge.dpid for bridge in found)
        usable = {bridge.dpid for bridge in found if bridge.dpid and count[bridge.dpid] == 1}
        self.bridges = {bridge.dpid: bridge for bridge in found if bridge.dpid in usable}
        self.unusable = tuple(sorted((each for each in found if each.dpid not in usable), key=_name))

    def _read_bridge(self, row: Row) -> Bridge:
        mirrors = read_mirrors(row, self._replica.rows["Mirror"])
        found = [
            interface
            for _, port in elements(row.get("ports", ["set", []]))
            for interface in self._devices.of_port(port, mirrors)
        ]
        interfaces = tuple(sorted(found, key=lambda interface: (interface.ofport, interface.name)))
        dpid = int(optional(row, "datapath_id") or "0", 16)
        fail_mode = optional(row, "fail_mode") or ""
        datapath_type = row.get("datapath_type") or "system"
        controllers = frozenset(identifier for _, identifier in elements(row.get("controller", _EMPTY)))
        known = self._replica.rows["Controller"]
        targets = frozenset(known.get(identifier, {}).get("target", "") for identifier in controllers)
        return Bridge(
            row.get("name", ""),
            dpid,
            fail_mode,
            interfaces,
            datapath_type,
            controllers,
            targets - {""},
            frozenset(elements(row.get("protocols", _EMPTY))),
            mirrors.to_vlans,
        )

    def _obstacle_to_port(self, name: str) -> str:
        if any(bridge.name == name for bridge in self.bridges.values()):
            return own_interface_as_port(name)
        return BOND_AS_PORT if self._devices.is_bond(name) else self._obstacle(name)

    def _obstacle(self, name: str) -> str:
        """Why an interface can be neither a port nor an uplink; empty if no reason is known."""
        bond = self._devices.bond_of(name)
        if bond is not None:
            return member_of_bond(bond)
        found = [each for bridge in self.bridges.values() for each in bridge.interfaces if each.name == name]
        return found[0].obstacle if found else ""

    def _refuse(self, interface: str, obstacle: str) -> None:
        if obstacle:
            raise StoreError(f"interface {interface}: {obstacle}")

    def _set_external_ids(self, interface: str, values: Mapping[str, str]) -> None:
        nothing_found = f"there is no interface {interface} in the switch database"
        self._write([self._mutation(interface, values)], nothing_found)

    def _mutation(self, interface: str, values: Mapping[str, str]) -> Operation:
        """Set these keys of external_ids; keys with an empty value are removed."""
        pairs = [[key, value] for key, value in values.items() if value]
        mutations: list[Json] = [
            ["external_ids", "delete", ["set", list(values)]],
            ["external_ids", "insert", ["map", pairs]],
        ]
        table = "Port" if self._devices.is_bond(interface) else "Interface"
        where = [["name", "==", interface]]
        return {"op": "mutate", "table": table, "where": where, "mutations": mutations}

    def _write(self, operations: list[Operation], nothing_found: str = "") -> None:
        results = self._replica.transact(operations, time.monotonic() + self._timeout)
        if results is None:
            raise StoreError(f"the connection to {self._replica.remote} was lost; try again")
        error = first_error(results)
        if error is not None:
            raise StoreError(f"the switch database refused the change: {describe_error(error[1])}")
        if nothing_found and not results[0]["count"]:
            raise StoreError(nothing_found)


def _name(bridge: Bridge) -> str:
    return bridge.name


def _uplink_values(declared: Declaration | None) -> dict[str, str]:
    names, ids = declared or ("", "")
    return {UPLINK: names, UPLINK_IDS: ids}
