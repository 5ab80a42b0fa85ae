"""Everything about one object: its fields, and lists of what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flows.policy.index import member_addresses
from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.cli import kinds
from sgctl.cli.kinds import ObjectKind
from sgctl.cli.output.records import RECORDS, Record, Shown, rule_record
from sgctl.cli.output.tables import TableColumn
from sgctl.cli.output.text import sentence
from sgctl.forecast.fleet import Fleet
from sgctl.service.kinds import describe
from sgctl.service.lint import lint
from sgctl.service.names import by_id
from sgctl.service.references import users_of
from sgctl.service.subnets import Subnet, ports_in

_RULES = (
    TableColumn("NUMBER", "number"),
    TableColumn("GROUP", "security_group"),
    TableColumn("PERMITS", "permits"),
    TableColumn("FLOWS", "flows"),
    TableColumn("NAME", "name"),
    TableColumn("REMARK", "remark"),
)
_PORTS = (
    TableColumn("PORT", "port"),
    TableColumn("NETWORK", "network"),
    TableColumn("ADDRESSES", "addresses"),
    TableColumn("BOUND TO", "bound_to"),
)
_USERS = (TableColumn("USED BY", "user"),)
_INTERFACES = (
    TableColumn("SWITCH", "switch"),
    TableColumn("INTERFACE", "interface"),
    TableColumn("STATE", "state"),
    TableColumn("PORT", "port"),
    TableColumn("REASON", "reason"),
)
_ZONES = (TableColumn("SWITCH", "switch"), TableColumn("CONNTRACK ZONE", "zone"))


@dataclass(frozen=True)
class DescriptionSection:
    """A list that belongs to an object; `empty` is the text if it has no items."""

    key: str
    title: str
    columns: tuple[TableColumn, ...]
    records: list[Record]
    empty: str


@dataclass(frozen=True)
class Description:
    """The fields of an object, and its lists."""

    fields: Record
    sections: list[DescriptionSection] = field(default_factory=list)

    @property
    def record(self) -> Record:
        """Everything as plain data."""
        return self.fields | {section.key: section.records for section in self.sections}


class Describer:
    """Describes objects of `shown`. `fleet` counts the flows of rules; None if they are unknown."""

    def __init__(self, shown: Shown, fleet: Fleet | None) -> None:
        self._shown = shown
        self._draft = shown.draft
        self._fleet = fleet

    def describe(self, kind: ObjectKind, record: Record) -> Description:
        """Everything about the object of this record."""
        sections = _SECTIONS[kind](self, record)
        known = {section.key for section in sections}
        return Description({key: each for key, each in record.items() if key not in known}, sections)

    def network(self, record: Record) -> list[DescriptionSection]:
        """Its ports, the switches that have it, and the objects that refer to it."""
        network = str(record["id"])
        ports = self._draft.where(Port, "network_id", network)
        zones: list[Record] = [
            {"switch": f"{chassis}/{bridge}", "zone": zone}
            for (chassis, bridge, each), zone in sorted(self._shown.status.zones.items())
            if each == network
        ]
        return [
            self._ports("ports", "ports", ports),
            DescriptionSection("switches", "switches", _ZONES, zones, "on no switch"),
            self._users(Network, network, besides=(Port,)),
        ]

    def subnet(self, record: Record) -> list[DescriptionSection]:
        """The ports with addresses in it."""
        subnet = by_id(self._draft, Subnet, str(record["id"]))
        assert subnet is not None
        return [self._ports("ports", "ports", ports_in(self._draft, subnet))]

    def security_group(self, record: Record) -> list[DescriptionSection]:
        """Its rules, its members, and the objects that refer to it."""
        group = str(record["id"])
        members = [port for port in self._draft.all(Port) if group in self._groups(port)]
        return [
            self._rules([group]),
            self._ports("members", "members", members),
            self._users(SecurityGroup, group, besides=(Port,), own=group),
        ]

    def address_group(self, record: Record) -> list[DescriptionSection]:
        """The objects that refer to it."""
        return [self._users(AddressGroup, str(record["id"]))]

    def port(self, record: Record) -> list[DescriptionSection]:
        """Its rules, and the interfaces that it is bound to."""
        port = self._draft.get(Port, str(record["id"]))
        assert port is not None
        interfaces = [each for each in RECORDS[kinds.BINDINGS](self._shown) if each["port_id"] == port.id]
        groups = self._groups(port) if port.port_security_enabled else frozenset()
        return [
            self._rules(sorted(groups), _why_none(port, groups)),
            DescriptionSection("interfaces", "interfaces", _INTERFACES, interfaces, "bound to no interface"),
        ]

    def rule(self, record: Record) -> list[DescriptionSection]:
        """Its flows, the ports that it applies to, and the members of its remote group."""
        rule = self._draft.get(Rule, str(record["id"]))
        assert rule is not None
        (row,) = [each for each in self._rules([rule.group_id]).records if each["number"] == rule.number]
        record.update(permits=row["permits"], flows=row["flows"], remark=row["remark"])
        members = [port for port in self._draft.all(Port) if rule.group_id in self._groups(port)]
        sections = [self._ports("members", "ports that it applies to", members)]
        if rule.remote_group_id is not None:
            remote = [port for port in self._draft.all(Port) if rule.remote_group_id in self._groups(port)]
            sections.append(self._ports("remote_members", "members of the remote group", remote))
        return sections

    def switch(self, record: Record) -> list[DescriptionSection]:
        """Its interfaces."""
        rows = [each for each in RECORDS[kinds.BINDINGS](self._shown) if each["switch"] == record["name"]]
        return [DescriptionSection("interfaces", "interfaces", _INTERFACES, rows, "no interfaces")]

    def _groups(self, port: Port) -> frozenset[str]:
        """The groups that apply: the network's default group if the port has none."""
        network = self._draft.get(Network, port.network_id)
        if port.security_groups or network is None or network.default_group is None:
            return port.security_groups
        return frozenset([network.default_group])

    def _rules(self, groups: list[str], empty: str = "no rules: nothing is permitted") -> DescriptionSection:
        rules = [rule for group in groups for rule in self._draft.where(Rule, "group_id", group)]
        rules.sort(key=lambda rule: rule.number)
        remarks = {advice.rule.id: f"{advice.flaw}: {advice.reason}" for advice in lint(self._draft, groups)}
        costs = self._fleet.costs(rule.number for rule in rules) if self._fleet is not None else {}
        records: list[Record] = []
        for rule in rules:
            record = rule_record(self._draft, rule)
            cost = costs.get(rule.number)
            records.append(
                record
                | {
                    "permits": sentence(record),
                    "flows": cost.flows if cost is not None else None,
                    "remark": remarks.get(rule.id, ""),
                }
            )
        return DescriptionSection("rules", "rules", _RULES, records, empty)

    def _ports(self, key: str, title: str, ports: Iterable[Port]) -> DescriptionSection:
        records: list[Record] = [
            {
                "port": self._shown.name(Port, port.id),
                "port_id": port.id,
                "network": self._shown.name(Network, port.network_id),
                "addresses": [str(address) for address in member_addresses(port)],
                "bound_to": self._shown.bound_to(port.id),
            }
            for port in sorted(ports, key=lambda port: (port.name, port.id))
        ]
        return DescriptionSection(key, title, _PORTS, records, "no ports")

    def _users(
        self,
        kind: type[PolicyObject],
        identifier: str,
        besides: tuple[type[PolicyObject], ...] = (),
        own: str = "",
    ) -> DescriptionSection:
        users = [
            user
            for user in users_of(self._draft, kind, identifier)
            if not isinstance(user, besides) and not (isinstance(user, Rule) and user.group_id == own)
        ]
        records: list[Record] = [{"user": self._user(user)} for user in users]
        return DescriptionSection("used_by", "used by", _USERS, sorted(records, key=str), "nothing else")

    def _user(self, user: PolicyObject) -> str:
        if not isinstance(user, Rule):
            return describe(user)
        group = self._shown.name(SecurityGroup, user.group_id)
        return f"{describe(user)} of group {group}: {sentence(rule_record(self._draft, user))}"


def _why_none(port: Port, groups: frozenset[str]) -> str:
    if not port.port_security_enabled:
        return "port security is off: everything is permitted"
    return "its groups have no rules" if groups else "in no group: nothing is permitted"


_SECTIONS: dict[ObjectKind, Callable[[Describer, Record], list[DescriptionSection]]] = {
    kinds.NETWORKS: Describer.network,
    kinds.SUBNETS: Describer.subnet,
    kinds.SECURITY_GROUPS: Describer.security_group,
    kinds.ADDRESS_GROUPS: Describer.address_group,
    kinds.PORTS: Describer.port,
    kinds.RULES: Describer.rule,
    kinds.SWITCHES: Describer.switch,
}


def can_describe(kind: ObjectKind) -> bool:
    """Whether objects of the kind can be described."""
    return kind in _SECTIONS


def plain_record(description: Description) -> dict[str, Any]:
    """The description for JSON and YAML."""
    return dict(description.record)
