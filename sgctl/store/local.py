"""The bridges and interfaces of this host, from its Open_vSwitch database (ovs-vswitchd.conf.db(5))."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sgctl.store.errors import StoreError
from sgctl.store.identifiers import host_name
from sgctl.store.replica import Json, Operation, Replica, Row, describe_error, elements, first_error

IFACE_ID = "iface-id"
UPLINK = "sgctl-uplink"
EVERY_NETWORK = "*"
SHORTEST_BACKOFF_MS = 1000
"""The least that Open vSwitch takes."""
LOCAL_PORT = 65534
"""The number that Open vSwitch's database has for a bridge's own interface."""
OPENFLOW_LOCAL = 0xFFFFFFFE
"""The same in OpenFlow 1.4 (section 7.2.1, OFPP_LOCAL)."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface with an OpenFlow number, 1–65533, or OPENFLOW_LOCAL for a bridge's own.

    A bridge's own interface is the host's access to the networks; it only counts as an uplink.

    `iface_id` names the policy port (external_ids:iface-id), empty when there is none. `uplink` is what
    external_ids:sgctl-uplink says: names of networks separated by commas, `*` for all; None is no uplink.
    """

    name: str
    ofport: int
    iface_id: str
    uplink: str | None


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge that ovs-vswitchd has set up. `fail_mode` is `secure`, `standalone` or empty.

    `datapath_type` is `system` (the kernel's), `netdev` (the userspace datapath) or a test's. `controllers`
    are the ids of the rows that say where its controllers are; `ovs-vsctl set-controller` makes new ones.
    `targets` is what they say, such as `tcp:127.0.0.1:6653`. `protocols` are those it may speak, such as
    `OpenFlow14`; none means all that Open vSwitch offers by default. `dpid` is 0 before it is set up.
    """

    name: str
    dpid: int
    fail_mode: str
    interfaces: tuple[Interface, ...]
    datapath_type: str = "system"
    controllers: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()


_EMPTY: Json = ["set", []]
_TEXT_MAP = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
_UUIDS = {"type": {"key": "uuid", "min": 0, "max": "unlimited"}}
_TEXTS = {"type": {"key": "string", "min": 0, "max": "unlimited"}}
_OPTIONAL_TEXT = {"type": {"key": "string", "min": 0}}
_OPTIONAL_INTEGER = {"type": {"key": "integer", "min": 0}}
_TABLES: Mapping[str, Mapping[str, Any]] = {
    "Open_vSwitch": {"external_ids": _TEXT_MAP},
    "Bridge": {
        "name": {"type": "string"},
        "datapath_id": _OPTIONAL_TEXT,
        "datapath_type": {"type": "string"},
        "fail_mode": _OPTIONAL_TEXT,
        "protocols": _TEXTS,
        "ports": _UUIDS,
        "controller": _UUIDS,
    },
    "Controller": {"target": {"type": "string"}},
    "Port": {"interfaces": _UUIDS},
    "Interface": {"name": {"type": "string"}, "ofport": _OPTIONAL_INTEGER, "external_ids": _TEXT_MAP},
}
"""The tables and columns that are watched, as far as their types matter."""


def _schema() -> Json:
    tables = {name: {"columns": dict(columns), "isRoot": True} for name, columns in _TABLES.items()}
    return {"name": "Open_vSwitch", "version": "8.0.0", "tables": tables}


class LocalSwitches:
    """What the host's switch database says of bridges, kept current by `run`.

    Connects by itself, again and again; while there is no connection everything stays as it was. One thread,
    green or not, uses it.
    """

    def __init__(self, remote: str, timeout: float) -> None:
        """Only `connect` makes one that can be used."""
        self.chassis = ""
        self.bridges: Mapping[int, Bridge] = {}
        self.unusable: tuple[Bridge, ...] = ()
        """The bridges that are not set up, or have the datapath id of another one, by name."""
        self._timeout = timeout
        self._interfaces: dict[str, Interface | None] = {}
        self._replica = Replica(remote, _schema())

    @classmethod
    def connect(cls, remote: str, timeout: float = 10.0) -> Self:
        """Connect and take in what is there; `timeout` in seconds. Raises StoreError when nobody answers."""
        switches = cls(remote, timeout)
        try:
            switches._wait_for_rows(time.monotonic() + timeout)
        except BaseException:
            switches.close()
            raise
        return switches

    @property
    def connected(self) -> bool:
        """Whether what is known is current."""
        return self._replica.connected

    @property
    def host_id(self) -> str:
        """What tells this host from others, whatever it is called: the id of its database's one row."""
        return next(iter(self._replica.rows["Open_vSwitch"]), "")

    def run(self) -> bool:
        """Take in what the database sent, without waiting; whether chassis or bridges have changed."""
        self._replica.pump()
        touched = self._replica.touched()
        if not touched:
            return False
        for table, identifier in touched:
            if table == "Interface":
                self._read_interface(identifier)
        before = self.chassis, self.bridges, self.unusable
        self.chassis = self._read_chassis()
        self._read_bridges()
        return before != (self.chassis, self.bridges, self.unusable)

    def block(self, timeout: float) -> None:
        """Sleep until there is something to `run`, or for `timeout` seconds; other green threads run."""
        self._replica.poll(timeout)

    def wait(self, poller: Any) -> None:
        """Let an `ovs.poller.Poller` wake up when there is something to `run`."""
        self._replica.wait(poller)

    def bind(self, interface: str, iface_id: str) -> None:
        """Say which policy port an interface is; an empty `iface_id` takes it back."""
        self._set_external_id(interface, IFACE_ID, iface_id)

    def set_uplink(self, interface: str, networks: Sequence[str] | None) -> None:
        """Declare an interface the uplink of networks by name, `["*"]` for all; None takes it back."""
        for name in networks or ():
            if not name or "," in name:
                raise StoreError(f"{name!r} cannot be the name of an uplink's network")
        if networks is not None and not networks:
            raise StoreError(f"interface {interface}: an uplink needs at least one network")
        self._set_external_id(interface, UPLINK, ",".join(networks or ()))

    def secure(self, bridge: str) -> None:
        """Make a bridge forward nothing by itself when no controller is there (fail_mode secure)."""
        where = [["name", "==", bridge]]
        update = {"op": "update", "table": "Bridge", "where": where, "row": {"fail_mode": "secure"}}
        self._write([update], f"there is no bridge {bridge}")

    def disable_in_band(self, bridge: str) -> None:
        """Take away the hidden flows by which Open vSwitch lets anybody's packets reach a remote controller.

        They stand above all others: a workload could talk to the controller, and pose as it to anyone
        (ovs-vswitchd.conf.db(5), other_config:disable-in-band).
        """
        key = "disable-in-band"
        mutations: list[Json] = [["other_config", "delete", ["set", [key]]]]
        mutations.append(["other_config", "insert", ["map", [[key, "true"]]]])
        where = [["name", "==", bridge]]
        mutate = {"op": "mutate", "table": "Bridge", "where": where, "mutations": mutations}
        self._write([mutate], f"there is no bridge {bridge}")

    def reconnect_soon(self, bridge: str) -> None:
        """Let a connected bridge that loses its controllers try again every second, unless told otherwise.

        By default it waits up to 8 seconds (max_backoff), during which no change of policy reaches it. Open
        vSwitch 3.1 only gives that value to connections which are there when its configuration changes, and
        one that has been started anew waits for 8 seconds again; hence the change of `next_cfg`.
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
        """Give up the connection."""
        self._replica.close()

    def _wait_for_rows(self, deadline: float) -> None:
        def ready() -> bool:
            self._replica.require_no_refusal()
            return self._replica.connected

        if not self._replica.pump_until(ready, deadline):
            raise StoreError(
                f"cannot connect to the switch database at {self._replica.remote}; is Open vSwitch running?"
            )
        self.run()

    def _read_chassis(self) -> str:
        """The name of this host: Open vSwitch's own, which other controllers use too, or the host name."""
        for row in self._replica.rows["Open_vSwitch"].values():
            system_id = _map(row, "external_ids").get("system-id")
            if system_id:
                return system_id
        return host_name()

    def _read_bridges(self) -> None:
        found = [self._read_bridge(row) for row in self._replica.rows["Bridge"].values()]
        count = Counter(bridge.dpid for bridge in found)
        usable = {bridge.dpid for bridge in found if bridge.dpid and count[bridge.dpid] == 1}
        self.bridges = {bridge.dpid: bridge for bridge in found if bridge.dpid in usable}
        self.unusable = tuple(sorted((each for each in found if each.dpid not in usable), key=_name))

    def _read_interface(self, identifier: str) -> None:
        row = self._replica.rows["Interface"].get(identifier)
        if row is None:
            self._interfaces.pop(identifier, None)
            return
        ofport = _optional(row, "ofport") or 0
        external_ids = _map(row, "external_ids")
        uplink = external_ids.get(UPLINK)
        if ofport == LOCAL_PORT and uplink is not None:
            ofport = OPENFLOW_LOCAL
        usable = 0 < ofport < LOCAL_PORT or ofport == OPENFLOW_LOCAL
        self._interfaces[identifier] = (
            Interface(row.get("name", ""), ofport, external_ids.get(IFACE_ID, ""), uplink) if usable else None
        )

    def _read_bridge(self, row: Row) -> Bridge:
        ports = self._replica.rows["Port"]
        found = [
            interface
            for _, port in elements(row.get("ports", ["set", []]))
            for _, identifier in elements(ports.get(port, {}).get("interfaces", ["set", []]))
            if (interface := self._interfaces.get(identifier)) is not None
        ]
        interfaces = tuple(sorted(found, key=lambda interface: interface.ofport))
        dpid = int(_optional(row, "datapath_id") or "0", 16)
        fail_mode = _optional(row, "fail_mode") or ""
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
        )

    def _set_external_id(self, interface: str, key: str, value: str) -> None:
        mutations: list[Json] = [["external_ids", "delete", ["set", [key]]]]
        if value:
            mutations.append(["external_ids", "insert", ["map", [[key, value]]]])
        where = [["name", "==", interface]]
        mutate = {"op": "mutate", "table": "Interface", "where": where, "mutations": mutations}
        self._write([mutate], f"there is no interface {interface} in the switch database")

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


def _map(row: Row, column: str) -> dict[str, str]:
    return dict(row.get(column, ["map", []])[1])


def _optional(row: Row, column: str) -> Json:
    value = row.get(column)
    return None if isinstance(value, list) else value
