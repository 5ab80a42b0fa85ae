"""The devices on a bridge, read from the switch database (ovs-vswitchd.conf.db(5)).

Reads the tables Port, Interface and Mirror. A port with several interfaces is a bond, and counts as one
device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sgctl.ovsdb.replica import Json, Row, elements
from sgctl.vswitch.uplinks import UPLINK, UPLINK_IDS, UPLINK_LOOPS, Declaration

IFACE_ID = "iface-id"
LOCAL_PORT = 65534
"""The ofport of a bridge's own interface in Open vSwitch's database."""
OPENFLOW_LOCAL = 0xFFFFFFFE
"""The number of a bridge's own interface in OpenFlow 1.4 (section 7.2.1, OFPP_LOCAL)."""
UNUSABLE = -1
"""The ofport of an interface that Open vSwitch could not open."""

GONE = "its device has been deleted"
BOND_AS_PORT = "a bond can be an uplink but not a port"

_EMPTY: Json = ["set", []]
_TUNNEL_ENDS = ("remote_ip", "local_ip", "key", "in_key", "out_key")
_BY_FLOW = "flow"

TEXT: Mapping[str, Any] = {"type": "string"}
FLAG: Mapping[str, Any] = {"type": "boolean"}
TEXT_MAP: Mapping[str, Any] = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
UUIDS: Mapping[str, Any] = {"type": {"key": "uuid", "min": 0, "max": "unlimited"}}
TEXTS: Mapping[str, Any] = {"type": {"key": "string", "min": 0, "max": "unlimited"}}
NUMBERS: Mapping[str, Any] = {"type": {"key": "integer", "min": 0, "max": "unlimited"}}
OPTIONAL_TEXT: Mapping[str, Any] = {"type": {"key": "string", "min": 0}}
OPTIONAL_NUMBER: Mapping[str, Any] = {"type": {"key": "integer", "min": 0}}
OPTIONAL_UUID: Mapping[str, Any] = {"type": {"key": "uuid", "min": 0}}

TABLES: Mapping[str, Mapping[str, Any]] = {
    "Port": {
        "name": TEXT,
        "interfaces": UUIDS,
        "tag": OPTIONAL_NUMBER,
        "trunks": NUMBERS,
        "vlan_mode": OPTIONAL_TEXT,
        "protected": FLAG,
        "lacp": OPTIONAL_TEXT,
        "bond_mode": OPTIONAL_TEXT,
        "external_ids": TEXT_MAP,
    },
    "Interface": {
        "name": TEXT,
        "type": TEXT,
        "ofport": OPTIONAL_NUMBER,
        "error": OPTIONAL_TEXT,
        "ifindex": OPTIONAL_NUMBER,
        "mac_in_use": OPTIONAL_TEXT,
        "options": TEXT_MAP,
        "external_ids": TEXT_MAP,
    },
    "Mirror": {"name": TEXT, "output_port": OPTIONAL_UUID, "output_vlan": OPTIONAL_NUMBER},
}
"""The tables and columns to monitor, with the parts of their types that matter."""


@dataclass(frozen=True, slots=True)
class Vlans:
    """The VLAN columns of a port. Open vSwitch itself applies them only to the action NORMAL.

    `tag` is 0–4095, or None if not set. Empty `trunks` means all VLANs. `mode` is empty if not set.
    """

    tag: int | None = None
    trunks: frozenset[int] = frozenset()
    mode: str = ""


NO_VLANS = Vlans()


@dataclass(frozen=True, slots=True)
class Bond:
    """Several interfaces that form one link: the OpenFlow port numbers and names of the working ones.

    `lacp` tells whether the bond negotiates with the other side by LACP (IEEE 802.1AX).
    """

    numbers: tuple[int, ...]
    names: tuple[str, ...]
    lacp: bool


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface or a bond. `ofport` is its OpenFlow number: 1–65533, OPENFLOW_LOCAL or UNUSABLE.

    A bridge's own interface is the host's access to the networks. `iface_id` names the policy port
    (external_ids:iface-id), empty for none. `uplink` is the value of external_ids:sgctl-uplink, None if the
    interface is no uplink; `uplink_ids` and `loops` are the values of sgctl-uplink-ids and
    sgctl-uplink-loops. `obstacle` tells why the interface can be neither port nor uplink, empty if it can.
    `mirror` is the name of the mirror that sends its copies to this interface.

    For a bond, `ofport` is the lowest number of its members, and `failed_members` has those that do not work,
    with the reason. `seed` is a number that cannot be guessed without access to the switch database.
    """

    name: str
    ofport: int
    iface_id: str
    uplink: str | None
    obstacle: str = ""
    vlans: Vlans = NO_VLANS
    mirror: str = ""
    bond: Bond | None = None
    failed_members: tuple[str, ...] = ()
    seed: int = field(default=0, compare=False)
    uplink_ids: str = ""
    loops: str = ""

    @property
    def is_declared(self) -> bool:
        """Whether the interface is declared to be a policy port or an uplink."""
        return bool(self.iface_id) or self.uplink is not None

    @property
    def declaration(self) -> Declaration | None:
        """The networks for which the interface is declared as an uplink."""
        return None if self.uplink is None else Declaration(self.uplink, self.uplink_ids)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The outputs of a bridge's mirrors.

    `to_ports` maps the id of an output port to the mirror's name, `to_vlans` holds (mirror's name, VLAN).
    """

    to_ports: Mapping[str, str]
    to_vlans: tuple[tuple[str, int], ...] = ()


NO_MIRRORS = Mirrors({})


@dataclass(frozen=True, slots=True)
class _Device:
    """An interface as described by its Interface row alone, without the row of its port."""

    interface: Interface
    peer: str | None


class Devices:
    """The devices of all ports in `rows` (by table and id); call `take` for rows that have changed."""

    def __init__(self, rows: Mapping[str, Mapping[str, Row]]) -> None:
        self._rows = rows
        self._devices: dict[str, _Device] = {}
        self._by_name: dict[str, _Device] = {}
        self._is_plain: dict[str, bool] = {}

    def take(self, table: str, identifier: str) -> bool:
        """Read a row that may have changed; returns whether this may change a bridge."""
        row = self._rows[table].get(identifier) if table in ("Port", "Interface") else None
        if table == "Interface":
            before = self._devices.pop(identifier, None)
            if before is not None and self._by_name.get(before.interface.name) is before:
                del self._by_name[before.interface.name]
            device = _read_device(row, identifier) if row is not None else None
            changed = device != before
            if device is not None:
                self._devices[identifier] = self._by_name[device.interface.name] = device
            return changed
        if table == "Port":
            self._is_plain.pop(identifier, None)
            if row is not None:
                self._is_plain[identifier] = not any(_is_set(row, column) for column in _SETTINGS)
        return True

    def of_port(self, identifier: str, mirrors: Mirrors) -> Iterator[Interface]:
        """The devices of one port; `mirrors` are the mirrors of its bridge."""
        row = self._rows["Port"].get(identifier)
        if row is None:
            return
        devices = [
            device
            for _, each in elements(row.get("interfaces", _EMPTY))
            if (device := self._devices.get(each)) is not None
        ]
        found: Iterable[Interface] = map(self._single, devices)
        if not _is_single(row):
            found = _bond(row, list(found))
        if self._is_plain[identifier] and identifier not in mirrors.to_ports:
            yield from found
        else:
            mirror = mirrors.to_ports.get(identifier, "")
            yield from (_with_settings(interface, row, mirror) for interface in found)

    def is_bond(self, name: str) -> bool:
        """Whether this is the name of a port with several interfaces."""
        return any(row.get("name") == name for row in self._bonds())

    def bond_of(self, name: str) -> str | None:
        """The name of the bond that an interface belongs to, None if it belongs to none."""
        for row in self._bonds():
            members = [self._devices.get(each) for _, each in elements(row.get("interfaces", _EMPTY))]
            if any(member is not None and member.interface.name == name for member in members):
                return str(row.get("name", ""))
        return None

    def _bonds(self) -> Iterator[Row]:
        return (row for row in self._rows["Port"].values() if not _is_single(row))

    def _single(self, device: _Device) -> Interface:
        """The interface; if it is a patch port without a matching peer, `obstacle` says so."""
        if device.peer is None or device.interface.obstacle:
            return device.interface
        peer = self._by_name.get(device.peer)
        if peer is not None and peer.peer == device.interface.name:
            return device.interface
        wrong = "does not exist" if peer is None else f"is not a patch port to {device.interface.name}"
        return replace(device.interface, obstacle=f"its peer {device.peer!r} {wrong}")


_SETTINGS = ("tag", "trunks", "vlan_mode", "protected")
"""Columns of a port that have no effect on flows unless the compiled flows implement them."""


def _is_set(row: Row, column: str) -> bool:
    return row.get(column, _EMPTY) not in (_EMPTY, False)


def _is_single(row: Row) -> bool:
    return len(elements(row.get("interfaces", _EMPTY))) == 1


def _read_device(row: Row, identifier: str) -> _Device | None:
    """The device of an Interface row, None until Open vSwitch has processed the row."""
    number = optional(row, "ofport")
    external_ids, options = text_map(row, "external_ids"), text_map(row, "options")
    iface_id, uplink = external_ids.get(IFACE_ID, ""), external_ids.get(UPLINK)
    error = optional(row, "error") or ""
    obstacle = ""
    if number == LOCAL_PORT:
        if uplink is None and not iface_id:
            return None
        number = OPENFLOW_LOCAL
        if uplink is None:
            obstacle = own_interface_as_port(row.get("name", ""))
    elif number is None and not error:
        return None
    elif number is None or not 0 < number < LOCAL_PORT:
        number, obstacle = UNUSABLE, f"Open vSwitch could not open it: {error or 'it has no OpenFlow number'}"
    else:
        obstacle = GONE if _is_gone(row) else _tunnel_obstacle(options)
    peer = options.get("peer") if row.get("type") == "patch" else None
    seed = int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:6], "big")
    ids = external_ids.get(UPLINK_IDS, "")
    name = row.get("name", "")
    return _Device(
        Interface(
            name,
            number,
            iface_id,
            uplink,
            obstacle,
            seed=seed,
            uplink_ids=ids,
            loops=external_ids.get(UPLINK_LOOPS, ""),
        ),
        peer,
    )


def _is_gone(row: Row) -> bool:
    """Whether a kernel device has been deleted; Open vSwitch keeps its OpenFlow number."""
    of_kernel = row.get("type", "") in ("", "system")
    return of_kernel and row.get("ifindex") == 0 and not _is_set(row, "mac_in_use")


def _tunnel_obstacle(options: Mapping[str, str]) -> str:
    """Why a tunnel cannot be used whose end points are set by flows: it would accept packets from anybody.

    No flow of sgctl sets the end points. Empty for other tunnels.
    """
    chosen = [f"{name}=flow" for name in _TUNNEL_ENDS if options.get(name) == _BY_FLOW]
    return (
        f"sgctl's flows do not set the end points of a tunnel: options:{', options:'.join(chosen)}"
        if chosen
        else ""
    )


def own_interface_as_port(bridge: str) -> str:
    """Why a bridge's own interface cannot be a policy port."""
    return (
        "a bridge's own interface can be an uplink but not a port; add another interface to the bridge:"
        f" ovs-vsctl add-port {bridge} NAME -- set interface NAME type=internal"
    )


def member_of_bond(bond: str) -> str:
    """Why a member of a bond can be neither a policy port nor an uplink."""
    return f"it is a member of the bond {bond}, which is one uplink: sgctl uplink set {bond} …"


def _bond(row: Row, members: list[Interface]) -> Iterator[Interface]:
    """The bond, and those of its members that are wrongly declared as ports or uplinks themselves."""
    name = row.get("name", "")
    for member in members:
        if member.iface_id or member.uplink is not None:
            yield replace(member, ofport=UNUSABLE, obstacle=member_of_bond(name))
    working = sorted((member.ofport, member.name) for member in members if member.ofport > 0)
    numbers = tuple(number for number, _ in working)
    lacp = optional(row, "lacp") in ("active", "passive")
    external_ids = text_map(row, "external_ids")
    iface_id, uplink = external_ids.get(IFACE_ID, ""), external_ids.get(UPLINK)
    obstacle = ""
    if not numbers:
        obstacle = "; ".join(f"{member.name}: {member.obstacle}" for member in members)
    elif iface_id:
        obstacle = BOND_AS_PORT
    yield Interface(
        name,
        numbers[0] if numbers else UNUSABLE,
        iface_id,
        uplink,
        obstacle or ("" if members else "none of its interfaces exists"),
        bond=Bond(numbers, tuple(name for _, name in working), lacp),
        failed_members=tuple(f"{member.name}: {member.obstacle}" for member in members if member.ofport < 0),
        seed=members[0].seed if members else 0,
        uplink_ids=external_ids.get(UPLINK_IDS, ""),
        loops=external_ids.get(UPLINK_LOOPS, ""),
    )


def _with_settings(interface: Interface, row: Row, mirror: str) -> Interface:
    """The interface with the settings from its port's row."""
    obstacle = interface.obstacle
    if not obstacle and mirror:
        obstacle = f"it is the output of the mirror {mirror}, and Open vSwitch drops what it receives there"
    if not obstacle and row.get("protected"):
        obstacle = (
            "its port is protected, which has no effect on flows; use security groups instead:"
            f" ovs-vsctl set port {row.get('name', '')} protected=false"
        )
    trunks = frozenset(elements(row.get("trunks", _EMPTY)))
    vlans = Vlans(optional(row, "tag"), trunks, optional(row, "vlan_mode") or "")
    return replace(interface, obstacle=obstacle, vlans=vlans, mirror=mirror)


def read_mirrors(row: Row, mirrors: Mapping[str, Row]) -> Mirrors:
    """The mirrors of a bridge's row."""
    if not row.get("mirrors"):
        return NO_MIRRORS
    found = [mirrors[each] for _, each in elements(row["mirrors"]) if each in mirrors]
    to_ports = {
        each["output_port"][1]: each.get("name", "") for each in found if _is_set(each, "output_port")
    }
    to_vlans = [(each.get("name", ""), optional(each, "output_vlan")) for each in found]
    return Mirrors(to_ports, tuple(sorted((name, vlan) for name, vlan in to_vlans if vlan)))


def text_map(row: Row, column: str) -> dict[str, str]:
    """The value of a column that maps strings to strings."""
    return dict(row.get(column, ["map", []])[1])


def optional(row: Row, column: str) -> Json:
    """The value of an optional column, None if it is empty."""
    value = row.get(column)
    return None if isinstance(value, list) else value
