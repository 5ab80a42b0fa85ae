"""The OpenFlow actions that sgctl uses, as values with their wire format and their ovs-ofctl text.

Sources: ovs-actions(7); OpenFlow 1.4 section 7.2.5; Nicira extensions are experimenter 0x2320.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Protocol

from flows.openflow.fields import Field

_NICIRA_VENDOR = 0x00002320
_EXPERIMENTER = 0xFFFF
_METER = 6
_OUTPUT = 0
_PUSH_VLAN = 17
_POP_VLAN = 18
_SET_FIELD = 25
_NX_REG_MOVE = 6
_NX_REG_LOAD = 7
_NX_BUNDLE = 12
_NX_BUNDLE_LOAD = 13
_NX_RESUBMIT_TABLE = 14
_NX_OUTPUT_REG = 15
_NX_LEARN2 = 45
_NX_CONJUNCTION = 34
_NX_CT = 35
_NX_CLONE = 42

_OXM_VLAN_VID = 0x80000C02
_VLAN_PRESENT = 0x1000
_VLAN_ETHERTYPE = 0x8100
_NXM_IN_PORT = 0x00000002
_OF_ETH_SRC = 0
_CONTROLLER = 0xFFFFFFFD
IN_PORT_UNCHANGED = 0xFFF8
NO_RECIRCULATION = 255


class Action(Protocol):
    """The interface of an action; `str()` returns its ovs-ofctl text."""

    def __hash__(self) -> int:
        """Actions are values."""
        ...

    def encode(self) -> bytes:
        """The action's bytes, padded to a multiple of 8."""
        ...


_RESUBMIT = struct.Struct("!HHIHHB3x")
_CONJUNCTION = struct.Struct("!HHIHBBI")


class Resubmit(NamedTuple):
    """Look the packet up in `table`, then continue with the next action."""

    table: int

    def encode(self) -> bytes:
        """NXAST_RESUBMIT_TABLE, in_port unchanged."""
        return _RESUBMIT.pack(
            _EXPERIMENTER, 16, _NICIRA_VENDOR, _NX_RESUBMIT_TABLE, IN_PORT_UNCHANGED, self.table
        )

    def __str__(self) -> str:
        return f"resubmit(,{self.table})"


class SetField(NamedTuple):
    """Write a constant into a whole field."""

    field: Field
    value: int

    def encode(self) -> bytes:
        """OFPAT_SET_FIELD."""
        entry = self.field.header + self.value.to_bytes(self.field.size, "big")
        length = (4 + len(entry) + 7) // 8 * 8
        return struct.pack("!HH", _SET_FIELD, length) + entry.ljust(length - 4, b"\0")

    def __str__(self) -> str:
        return f"set_field:{self.value:#x}->{self.field.name}"


class Load(NamedTuple):
    """Write `value` into `bits` bits of a register, of which `start` is the lowest; the others stay."""

    value: int
    field: Field
    start: int
    bits: int

    def encode(self) -> bytes:
        """NXAST_REG_LOAD."""
        head = (_EXPERIMENTER, 24, _NICIRA_VENDOR, _NX_REG_LOAD, self.start << 6 | self.bits - 1)
        return struct.pack("!HHIHH", *head) + self.field.header + struct.pack("!Q", self.value)

    def __str__(self) -> str:
        return f"load:{self.value:#x}->{_part(self.field, self.start, self.bits)}"


class Move(NamedTuple):
    """Copy `most` bits of one field into another, or fewer if one of the fields has fewer.

    The bits start at `source_start` in the source and `target_start` in the target; bit 0 is the lowest.
    """

    source: Field
    target: Field
    source_start: int = 0
    target_start: int = 0
    most: int = 128

    @property
    def bits(self) -> int:
        """The number of bits that are copied."""
        return min(self.source.bits - self.source_start, self.target.bits - self.target_start, self.most)

    def encode(self) -> bytes:
        """NXAST_REG_MOVE."""
        extent = self.bits, self.source_start, self.target_start
        return (
            struct.pack("!HHIHHHH", _EXPERIMENTER, 24, _NICIRA_VENDOR, _NX_REG_MOVE, *extent)
            + self.source.header
            + self.target.header
        )

    def __str__(self) -> str:
        source = _part(self.source, self.source_start, self.bits)
        return f"move:{source}->{_part(self.target, self.target_start, self.bits)}"


def _part(field: Field, start: int, bits: int) -> str:
    """The ovs-ofctl text of a part of a field; a whole field has no bit numbers."""
    last = f"..{start + bits - 1}" if bits > 1 else ""
    numbers = "" if bits == field.bits else f"{start}{last}"
    return f"{_nxm_name(field)}[{numbers}]"


class Output(NamedTuple):
    """Send the frame out of the OpenFlow port `ofport`, unless the frame came in by it."""

    ofport: int

    def encode(self) -> bytes:
        """OFPAT_OUTPUT."""
        return struct.pack("!HHIH6x", _OUTPUT, 16, self.ofport, 0)

    def __str__(self) -> str:
        return f"output:{self.ofport}"


class OutputRegister(NamedTuple):
    """Send the frame out of the port whose number is in a register."""

    field: Field

    def encode(self) -> bytes:
        """NXAST_OUTPUT_REG, all 32 bits."""
        bits_from_zero = self.field.bits - 1
        return (
            struct.pack("!HHIHH", _EXPERIMENTER, 24, _NICIRA_VENDOR, _NX_OUTPUT_REG, bits_from_zero)
            + self.field.header
            + struct.pack("!H6x", 0)
        )

    def __str__(self) -> str:
        return f"output:{_nxm_name(self.field)}[]"


class ToController(NamedTuple):
    """Send the first `length` bytes of the frame to the controller."""

    length: int

    def encode(self) -> bytes:
        """OFPAT_OUTPUT to OFPP_CONTROLLER."""
        return struct.pack("!HHIH6x", _OUTPUT, 16, _CONTROLLER, self.length)

    def __str__(self) -> str:
        return f"CONTROLLER:{self.length}"


class Bundle(NamedTuple):
    """Send the frame out of one of the OpenFlow ports `members` that works, unless it came in by it.

    Chooses the first working member or, with `spread`, one that depends on the source MAC. With `into`, its
    number is written into that register instead (65535 if no member works).
    """

    members: tuple[int, ...]
    spread: bool = False
    into: Field | None = None

    def encode(self) -> bytes:
        """NXAST_BUNDLE or NXAST_BUNDLE_LOAD."""
        kind = _NX_BUNDLE if self.into is None else _NX_BUNDLE_LOAD
        bits, target = (0, bytes(4)) if self.into is None else (self.into.bits - 1, self.into.header)
        head = struct.pack("!HHHIHH", int(self.spread), _OF_ETH_SRC, 0, _NXM_IN_PORT, len(self.members), bits)
        ports = struct.pack(f"!{len(self.members)}H", *self.members)
        length = (32 + len(ports) + 7) // 8 * 8
        start = struct.pack("!HHIH", _EXPERIMENTER, length, _NICIRA_VENDOR, kind)
        return (start + head + target + bytes(4) + ports).ljust(length, b"\0")

    def __str__(self) -> str:
        name = "bundle" if self.into is None else "bundle_load"
        target = "" if self.into is None else f"{_nxm_name(self.into)}[],"
        ports = ",".join(map(str, self.members))
        return f"{name}(eth_src,0,{'hrw' if self.spread else 'active_backup'},ofport,{target}members:{ports})"


class Conjunction(NamedTuple):
    """Make the flow clause `clause` (counted from 1) of the `clauses` (2–64) of conjunction `number`."""

    number: int
    clause: int
    clauses: int

    def encode(self) -> bytes:
        """NXAST_CONJUNCTION."""
        return _CONJUNCTION.pack(
            _EXPERIMENTER, 16, _NICIRA_VENDOR, _NX_CONJUNCTION, self.clause - 1, self.clauses, self.number
        )

    def __str__(self) -> str:
        return f"conjunction({self.number},{self.clause}/{self.clauses})"


class Conntrack(NamedTuple):
    """Pass the packet through the connection tracker. `zone` is a number or a register (its low 16 bits).

    With `commit`, the connection is committed, and `notes` write into its label. With `table`, the tracked
    packet continues in that table.
    """

    zone: Field | int
    table: int | None = None
    commit: bool = False
    notes: tuple[Move, ...] = ()

    def encode(self) -> bytes:
        """NXAST_CT."""
        next_table = NO_RECIRCULATION if self.table is None else self.table
        if isinstance(self.zone, int):
            zone = struct.pack("!IH", 0, self.zone)
        else:
            low_16_bits = 15
            zone = self.zone.header + struct.pack("!H", low_16_bits)
        notes = b"".join(note.encode() for note in self.notes)
        length = 24 + len(notes)
        head = struct.pack("!HHIHH", _EXPERIMENTER, length, _NICIRA_VENDOR, _NX_CT, int(self.commit))
        return head + zone + struct.pack("!B3xH", next_table, 0) + notes

    def __str__(self) -> str:
        parts = ["commit"] if self.commit else []
        if self.table is not None:
            parts.append(f"table={self.table}")
        zone = self.zone if isinstance(self.zone, int) else f"{_nxm_name(self.zone)}[0..15]"
        parts.append(f"zone={zone}")
        if self.notes:
            parts.append(f"exec({','.join(map(str, self.notes))})")
        return f"ct({','.join(parts)})"


class Clone(NamedTuple):
    """Apply `actions` to a copy of the packet; they do not change the packet itself."""

    actions: tuple[Action, ...]

    def encode(self) -> bytes:
        """NXAST_CLONE."""
        body = b"".join(action.encode() for action in self.actions)
        return struct.pack("!HHIH6x", _EXPERIMENTER, 16 + len(body), _NICIRA_VENDOR, _NX_CLONE) + body

    def __str__(self) -> str:
        return f"clone({','.join(map(str, self.actions))})"


class Meter(NamedTuple):
    """Drop the packet if the limit of the meter `number` is exceeded. Must be the first action."""

    number: int

    def encode(self) -> bytes:
        """OFPIT_METER: in OpenFlow 1.4 an instruction, before the actions (section 7.2.4)."""
        return struct.pack("!HHI", _METER, 8, self.number)

    def __str__(self) -> str:
        return f"meter:{self.number}"


class PopVlan(NamedTuple):
    """Remove the outermost VLAN tag."""

    def encode(self) -> bytes:
        """OFPAT_POP_VLAN."""
        return struct.pack("!HH4x", _POP_VLAN, 8)

    def __str__(self) -> str:
        return "pop_vlan"


class PushVlan(NamedTuple):
    """Add an 802.1Q tag with the VLAN id `vid` (1–4094)."""

    vid: int

    def encode(self) -> bytes:
        """OFPAT_PUSH_VLAN followed by OFPAT_SET_FIELD of the VLAN id."""
        push = struct.pack("!HHH2x", _PUSH_VLAN, 8, _VLAN_ETHERTYPE)
        return push + struct.pack("!HHIH6x", _SET_FIELD, 16, _OXM_VLAN_VID, _VLAN_PRESENT | self.vid)

    def __str__(self) -> str:
        return f"push_vlan:{_VLAN_ETHERTYPE:#x},set_field:{_VLAN_PRESENT | self.vid}->vlan_vid"


class Learn(NamedTuple):
    """Add a flow to `table`, made from the packet, or renew it if it exists.

    `matches` and `loads` are (source, target) pairs. The flow matches each `target` of `matches` against the
    value that `source` has in this packet. It writes each `source` of `loads`, a field or a number, into
    `target`; without loads it drops. It replaces a flow of the same match and priority. Its cookie is
    `cookie`. It expires after `idle_timeout` seconds without traffic and `hard_timeout` seconds after it was
    last learned (0: never). With `bound`, it is deleted together with the flows that learn with this cookie.
    At most `limit` flows with this cookie exist.
    """

    table: int
    priority: int
    cookie: int
    idle_timeout: int
    limit: int
    matches: tuple[tuple[Field, Field], ...]
    loads: tuple[tuple[Field | int, Field], ...] = ()
    bound: bool = False
    hard_timeout: int = 0

    def encode(self) -> bytes:
        """NXAST_LEARN2."""
        flags = 2 if self.bound else 0
        head = (self.idle_timeout, self.hard_timeout, self.priority, self.cookie, flags, self.table)
        body = struct.pack("!HHHQHBx", *head) + struct.pack("!HHIHH", 0, 0, self.limit, 0, 0)
        body += b"".join(_learn_spec(0, *pair) for pair in self.matches)
        body += b"".join(_learn_spec(1 << 11, *pair) for pair in self.loads)
        length = (10 + len(body) + 7) // 8 * 8
        header = struct.pack("!HHIH", _EXPERIMENTER, length, _NICIRA_VENDOR, _NX_LEARN2)
        return (header + body).ljust(length, b"\0")

    def __str__(self) -> str:
        timeouts = {"idle": self.idle_timeout, "hard": self.hard_timeout}
        ends = "".join(f"{kind}_timeout={seconds}," for kind, seconds in timeouts.items() if seconds)
        specs = [_match_spec(*pair) for pair in self.matches]
        specs += [_load_text(*pair) for pair in self.loads]
        bound = "delete_learned," if self.bound else ""
        return (
            f"learn(table={self.table},{ends}priority={self.priority},cookie={self.cookie:#x},"
            f"{bound}limit={self.limit},{','.join(specs)})"
        )


def _learn_spec(kind: int, source: Field | int, target: Field) -> bytes:
    if isinstance(source, int):
        immediate = 1 << 13
        head = struct.pack("!H", kind | immediate | target.bits) + source.to_bytes(target.size, "big")
    else:
        head = struct.pack("!H", kind | source.bits) + source.header + struct.pack("!H", 0)
    return head + target.header + struct.pack("!H", 0)


def _load_text(source: Field | int, target: Field) -> str:
    shown = f"{source:#x}" if isinstance(source, int) else f"{_nxm_name(source)}[]"
    return f"load:{shown}->{_nxm_name(target)}[]"


def _match_spec(source: Field, target: Field) -> str:
    left = f"{_nxm_name(target)}[]"
    return left if source is target else f"{left}={_nxm_name(source)}[]"


_NXM_NAMES = {
    "dl_src": "NXM_OF_ETH_SRC",
    "dl_dst": "NXM_OF_ETH_DST",
    "in_port": "OXM_OF_IN_PORT",
    "ip_dscp": "OXM_OF_IP_DSCP",
    "nw_proto": "NXM_OF_IP_PROTO",
    "nw_ttl": "NXM_NX_IP_TTL",
    "ct_label": "NXM_NX_CT_LABEL",
}


def _nxm_name(field: Field) -> str:
    if field.name.startswith("xreg"):
        return f"OXM_OF_PKT_REG{field.number}"
    if field.name.startswith("reg"):
        return f"NXM_NX_REG{field.number}"
    return _NXM_NAMES[field.name]
