"""Names for the numbers in flows: tables, registers, identities, ports, rules. All names are derived."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property

from flows.compiler.claims import Owner
from flows.compiler.identities import LocalSet
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.fields import Field
from flows.openflow.pipeline import TABLE_BY_ID, TABLES
from flows.openflow.reasons import Reason
from flows.openflow.registers import REGISTERS
from flows.policy.index import Policy, Selector, SelectorKind
from flows.policy.objects import PolicyObject, Rule
from sgctl.controller.engine import ManagedBridge
from sgctl.vswitch.devices import OPENFLOW_LOCAL

_REGISTER_NAMES = {field: name for name, field in REGISTERS.items()}
_BY_FIELD_NAME = {field.name: field for field in _REGISTER_NAMES}
_IDENTITIES = (r.LOCAL, r.SOURCE, r.DESTINATION, r.MEMBER, r.PREFIX)
_IMPLICIT = {r.EGRESS_OPEN: "egress is open until the first egress rule"}

_PAIR = re.compile(r"\breg(\d+)=(0x[0-9a-f]+|\d+),reg(\d+)=(0x[0-9a-f]+|\d+)")
_MATCH = re.compile(r"\b(x?reg\d+)=(0x[0-9a-f]+|\d+)(?![0-9a-f/])")
_SET = re.compile(rf"set_field:(0x[0-9a-f]+|\d+)->(x?reg\d+)\b(?!,resubmit\(,{p.BROADCAST.id}\))")
_NOW = re.compile(r"\b(\w+)\[\] is now (0x[0-9a-f]+|\d+)")
_LONG = re.compile(r"\b(?:OXM_OF_PKT_REG|NXM_NX_REG)(\d+)\[[0-9.]*\]")
_CONJUNCTION = re.compile(r"conjunction\((\d+),")
_CONJ_ID = re.compile(r"\bconj_id=(\d+)")
_TABLE = re.compile(r"(resubmit\(,|\btable=)(\d+)\b")
_LOCAL = re.compile(r"\bin_port=LOCAL\b")
_OFPORT = re.compile(r"\b(in_port=|output:)(\d+)\b")


class FlowNames:
    """Names for the numbers in one bridge's flows."""

    def __init__(self, policy: Policy, managed: ManagedBridge) -> None:
        self._policy = policy
        self._managed = managed
        bindings = managed.bindings.of_interface
        self._interfaces = {OPENFLOW_LOCAL: managed.bridge.name}
        self._interfaces |= {binding.interface.ofport: name for name, binding in bindings.items()}
        self._bond_of: dict[str, str] = {}
        for name, binding in bindings.items():
            if (bond := binding.interface.bond) is not None:
                self._interfaces |= zip(bond.numbers, bond.names, strict=True)
                self._bond_of |= dict.fromkeys(bond.names, name)

    @cached_property
    def rules(self) -> dict[int, Rule]:
        """All rules by number."""
        return {rule.number: rule for rule in self._policy.rules.values()}

    @cached_property
    def _identities(self) -> dict[int, str]:
        compiler = self._managed.compiler
        local = {number: self._local(held) for number, held in compiler.identities.items()}
        remote = {
            number: _braces(map(self.selector, held)) for number, held in compiler.remote_identities().items()
        }
        return {0: "none", r.UNRESTRICTED: "unrestricted"} | remote | local

    @cached_property
    def _networks_by_zone(self) -> dict[int, str]:
        return {zone: self.network(network) for network, zone in self._managed.compiler.zones.items()}

    def network(self, identifier: str) -> str:
        """A network's name."""
        return _name(self._policy.networks.get(identifier), identifier)

    def group(self, identifier: str) -> str:
        """A security group's name."""
        return _name(self._policy.groups.get(identifier), identifier)

    def port(self, identifier: str) -> str:
        """A policy port's name."""
        return _name(self._policy.ports.get(identifier), identifier)

    def interface(self, ofport: int) -> str:
        """The interface with this OpenFlow number."""
        return self._interfaces.get(ofport, str(ofport))

    def uplink(self, ofport: int) -> str:
        """The interface with this OpenFlow number; for a member of a bond, the bond."""
        return self.device(self.interface(ofport))

    def device(self, name: str) -> str:
        """The name by which users declare a device; for a member of a bond, the bond's."""
        return self._bond_of.get(name, name)

    def rule(self, number: int) -> str:
        """`17 (http, group web)`."""
        if number in _IMPLICIT:
            return _IMPLICIT[number]
        rule = self.rules.get(number)
        if rule is None:
            return f"{number} (unknown)" if number else "none"
        label = f"{rule.name}, " if rule.name else ""
        return f"{number} ({label}group {self.group(rule.group_id)})"

    def selector(self, selector: Selector) -> str:
        """The name of a rule's remote."""
        if selector.kind is SelectorKind.PREFIX:
            return selector.key
        if selector.kind is SelectorKind.ADDRESS_GROUP:
            return f"address group {_name(self._policy.address_groups.get(selector.key), selector.key)}"
        if selector.kind is SelectorKind.NETWORK:
            return f"network {self.network(selector.key)}"
        return f"group {self.group(selector.key)}"

    def owner(self, owner: Owner) -> str:
        """The purpose of a flow, from the object for which the compiler made it."""
        kind, key = owner[0], owner[1]
        if kind in _REMOTE_TABLES and len(owner) > 2:
            return f"address {owner[2]}"
        shown = _OWNERS.get(kind)
        return shown(self, key) if shown else kind

    def bound_port(self, ofport: int) -> str:
        """The policy port bound to an OpenFlow port."""
        port_id = self._managed.bindings.ports.get(ofport)
        return self.port(port_id) if port_id else self.interface(ofport)

    def zone(self, zone: int) -> str:
        """The network of a conntrack zone."""
        return self._networks_by_zone.get(zone, f"zone {zone}" if zone else "none")

    def value(self, field: Field, value: int) -> str:
        """The name of a register's value."""
        if field in _IDENTITIES:
            return self._identities.get(value, f"{value:#x}")
        if field is r.ZONE:
            return self.zone(value)
        if field is r.VERDICT:
            return f"rule {self.rule(value)}" if value else "none"
        if field is r.REASON:
            return next((reason.name for reason in Reason if reason == value), str(value))
        if field is r.OUT:
            return self.interface(value) if value else "none"
        return str(value)

    def annotate(self, text: str) -> str:
        """Text printed by Open vSwitch, with names in place of numbers."""
        text = _PAIR.sub(self._join, text)
        text = _SET.sub(lambda found: self._register(found[2], found[1], found[0]), text)
        text = _NOW.sub(lambda found: f"{found[1]}[] is now {self._now(found[1], found[2])}", text)
        text = _MATCH.sub(lambda found: self._register(found[1], found[2], found[0]), text)
        text = _LONG.sub(_long_name, text)
        text = _CONJ_ID.sub(lambda found: f"rule={self.rule(int(found[1]))}", text)
        text = _CONJUNCTION.sub(lambda found: f"conjunction(rule {self.rule(int(found[1]))},", text)
        text = _TABLE.sub(lambda found: f"{found[1]}{table_name(int(found[2]))}", text)
        text = _LOCAL.sub(f"in_port={self.interface(OPENFLOW_LOCAL)}", text)
        return _OFPORT.sub(lambda found: f"{found[1]}{self.interface(int(found[2]))}", text)

    def _register(self, name: str, value: str, otherwise: str) -> str:
        field = _BY_FIELD_NAME.get(name)
        return f"{_REGISTER_NAMES[field]}={self.value(field, int(value, 0))}" if field else otherwise

    def _join(self, found: re.Match[str]) -> str:
        """Open vSwitch shows a wide register as its two halves."""
        high, low = int(found[1]), int(found[3])
        field = _BY_FIELD_NAME.get(f"xreg{high // 2}")
        if high % 2 or low != high + 1 or field is None:
            return found[0]
        return f"{_REGISTER_NAMES[field]}={self.value(field, int(found[2], 0) << 32 | int(found[4], 0))}"

    def _now(self, name: str, value: str) -> str:
        field = _field_of(name)
        return self.value(field, int(value, 0)) if field else value

    def _local(self, held: LocalSet) -> str:
        return _braces(map(self.group, held.groups))


def table_name(number: int) -> str:
    """The declared name of a table; its number when the pipeline does not declare it."""
    table = TABLE_BY_ID.get(number)
    return table.name if table else str(number)


def find_table(text: str) -> int | None:
    """The id of the table with this name (in any case) or number."""
    if text.isascii() and text.isdigit():
        return int(text)
    return next((table.id for table in TABLES if table.name == text.upper()), None)


def _name(obj: PolicyObject | None, identifier: str) -> str:
    return obj.name if obj is not None and obj.name else identifier


def _braces(names: Iterable[str]) -> str:
    return "{" + ", ".join(sorted(names)) + "}"


def _field_of(long_name: str) -> Field | None:
    kind, number = (
        ("xreg", long_name[14:]) if long_name.startswith("OXM_OF_PKT_REG") else ("reg", long_name[10:])
    )
    return _BY_FIELD_NAME.get(f"{kind}{number}")


def _long_name(found: re.Match[str]) -> str:
    field = _field_of(found[0].partition("[")[0])
    return _REGISTER_NAMES[field] if field else found[0]


_REMOTE_TABLES = frozenset(
    table.name for side in (p.EGRESS_TABLES, p.INGRESS_TABLES) for table in (side.member, side.prefix)
)
_OWNERS: dict[str, Callable[[FlowNames, int | str], str]] = {
    "static": lambda _, __: "every bridge",
    "uplink": lambda names, key: f"uplink {names.uplink(int(key))}",
    "segment": lambda names, key: f"network {names.network(str(key))}",
    "port": lambda names, key: f"port {names.bound_port(int(key))}",
    "broadcast": lambda names, key: f"network {names.zone(int(key))}",
    "egress-open": lambda names, key: names.value(r.LOCAL, int(key)),
    "ruleless": lambda names, key: names.value(r.LOCAL, int(key)),
    "rule": lambda names, key: f"rule {names.rule(int(key))}",
}
