"""A record for each object: plain data, the same for tables, JSON and YAML.

Fields have Neutron's names. Where an object refers to another, the record has the name and the id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from flows.policy.objects import (
    AddressGroup,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
    SubnetDetail,
)
from flows.policy.validate import ICMP, ICMPV6
from sgctl.attributes.attribute import Place
from sgctl.attributes.declarations import ATTRIBUTES
from sgctl.attributes.plain import shown_by
from sgctl.cli import kinds
from sgctl.service import protocols
from sgctl.service.draft import Draft
from sgctl.service.names import Named, reference_to
from sgctl.service.subnets import Subnet, ports_in, subnets_of
from sgctl.store import BindingStatus, Store

Record = dict[str, object]

AT_WORK = "at work"
UNKNOWN = "unknown"


class Shown:
    """What commands show: the policy, and what controllers report.

    Why no controller is at work on a host is in `silent`, by host. Names refer to objects of `project`.
    """

    def __init__(
        self, store: Store, silent: Mapping[str, str] = MappingProxyType({}), project: str = ""
    ) -> None:
        self.draft = Draft(store.objects, project)
        self.status = store.status(lambda: silent)

    def bound_to(self, port: str) -> list[str]:
        """The interfaces that the port with this id is bound to."""
        return sorted(
            f"{binding.switch}:{binding.interface}" + (f" ({UNKNOWN})" if self._is_silent(binding) else "")
            for binding in self.status.bound.get(port, ())
        )

    def _is_silent(self, binding: BindingStatus) -> bool:
        return binding.chassis in self.status.silent

    def name(self, kind: type[Named], identifier: str | None) -> str:
        """The name by which an object can be found; empty for None."""
        return "" if identifier is None else reference_to(self.draft, kind, identifier)


def _common(obj: PolicyObject) -> Record:
    meta = obj.meta
    return {
        "id": obj.id,
        "name": obj.name,
        "description": meta.description,
        "project_id": meta.project_id,
        "tags": sorted(meta.tags),
        "created_at": meta.created_at,
        "updated_at": meta.updated_at,
        "revision_number": meta.revision_number,
    }


_SHOWN = {kind: shown_by(kind, Place.RECORD) for kind in ATTRIBUTES}


def _network(shown: Shown, network: Network) -> Record:
    return {
        **_common(network),
        **_SHOWN[Network](network),
        "default_group": shown.name(SecurityGroup, network.default_group),
        "default_group_id": network.default_group,
        "port_count": len(shown.draft.where(Port, "network_id", network.id)),
    }


def _subnet(shown: Shown, subnet: Subnet) -> Record:
    network, detail = subnet.network, subnet.detail
    own = {"id": subnet.id, "name": detail.name, "description": detail.description}
    return (_common(network) | own) | {
        "tags": sorted(detail.tags),
        "network": shown.name(Network, network.id),
        "network_id": network.id,
        "cidr": str(detail.prefix),
        "ip_version": detail.prefix.version,
        "gateway_ip": None if detail.gateway is None else str(detail.gateway),
        "allocation_pools": _pools(detail),
        "enable_dhcp": detail.enable_dhcp,
        "dns_nameservers": list(map(str, detail.dns_nameservers)),
        "port_count": len(ports_in(shown.draft, subnet)),
    }


def _pools(detail: SubnetDetail) -> list[dict[str, str]]:
    def address(value: int) -> str:
        return Prefix(detail.prefix.version, value, detail.prefix.bits).address

    return [{"start": address(first), "end": address(last)} for first, last in detail.pools]


def _subnets(shown: Shown) -> Iterable[Record]:
    networks = sorted(shown.draft.all(Network), key=_position)
    return (_subnet(shown, subnet) for subnet in subnets_of(networks))


def _address_group(_: Shown, group: AddressGroup) -> Record:
    return _common(group) | _SHOWN[AddressGroup](group)


def _security_group(shown: Shown, group: SecurityGroup) -> Record:
    rules = sorted(shown.draft.where(Rule, "group_id", group.id), key=lambda rule: rule.number)
    return {
        **_common(group),
        **_SHOWN[SecurityGroup](group),
        "rule_count": len(rules),
        "port_count": len(shown.draft.having(Port, "security_groups", group.id)),
        "rules": [rule_record(shown.draft, rule) for rule in rules],
    }


def _rule(shown: Shown, rule: Rule) -> Record:
    return rule_record(shown.draft, rule)


def rule_record(draft: Draft, rule: Rule) -> Record:
    """A rule as plain data."""
    return _common(rule) | {
        "number": rule.number,
        "security_group": reference_to(draft, SecurityGroup, rule.group_id),
        "security_group_id": rule.group_id,
        "direction": str(rule.direction),
        "ethertype": str(rule.ethertype),
        "protocol": protocols.show(rule.protocol),
        "port_range_min": rule.port_range_min,
        "port_range_max": rule.port_range_max,
        "ports": _ports(rule),
        **_SHOWN[Rule](rule),
        "remote_ip_prefix": None if rule.remote_ip_prefix is None else str(rule.remote_ip_prefix),
        "remote_group_id": rule.remote_group_id,
        "remote_address_group_id": rule.remote_address_group_id,
        "remote_network_id": rule.remote_network_id,
        "remote": _remote(draft, rule),
    }


def _ports(rule: Rule) -> str:
    low, high = rule.port_range_min, rule.port_range_max
    if rule.protocol in (ICMP, ICMPV6):
        code = "" if high is None else f" code {high}"
        return "" if low is None else f"type {low}{code}"
    return "" if low is None else str(low) if low == high else f"{low}-{high}"


def _remote(draft: Draft, rule: Rule) -> str:
    if rule.remote_ip_prefix is not None:
        return str(rule.remote_ip_prefix)
    remotes: tuple[tuple[str, type[PolicyObject], str | None], ...] = (
        ("group", SecurityGroup, rule.remote_group_id),
        ("address group", AddressGroup, rule.remote_address_group_id),
        ("network", Network, rule.remote_network_id),
    )
    named = [
        f"{noun} {reference_to(draft, kind, value)}" for noun, kind, value in remotes if value is not None
    ]
    return named[0] if named else "any"


def _port(shown: Shown, port: Port) -> Record:
    return _common(port) | {
        "network": shown.name(Network, port.network_id),
        "network_id": port.network_id,
        "mac_address": port.mac,
        "fixed_ips": list(map(str, port.fixed_ips)),
        "security_groups": sorted(shown.name(SecurityGroup, each) for each in port.security_groups),
        "security_group_ids": sorted(port.security_groups),
        **_SHOWN[Port](port),
        "bound_to": shown.bound_to(port.id),
    }


def _hosts(shown: Shown) -> Iterable[Record]:
    for host in sorted(shown.status.hosts):
        bridges = [switch.name for switch in shown.status.switches.values() if switch.chassis == host]
        yield {
            "name": host,
            "controller": shown.status.silent.get(host, AT_WORK),
            "switches": sorted(bridges),
        }


def _switches(shown: Shown) -> Iterable[Record]:
    for key, switch in sorted(shown.status.switches.items()):
        known = switch.chassis not in shown.status.silent
        current = shown.status.has_policy(switch)
        yield {
            "name": key,
            "host": switch.chassis,
            "dpid": switch.dpid,
            "connected": switch.connected if known else None,
            "generation": switch.generation,
            "current": current if known else None,
            "flow_count": switch.flow_count,
            "error": switch.error,
        }


def _bindings(shown: Shown) -> Iterable[Record]:
    for (switch, interface), binding in sorted(shown.status.bindings.items()):
        known = binding.chassis not in shown.status.silent
        yield {
            "name": f"{switch}:{interface}",
            "switch": switch,
            "interface": interface,
            "ofport": binding.ofport,
            "port": shown.name(Port, binding.port_id or None),
            "port_id": binding.port_id or None,
            "state": str(binding.state) if known else UNKNOWN,
            "reason": binding.reason,
        }


T = TypeVar("T", bound=PolicyObject)


def _of(kind: type[T], record: Callable[[Shown, T], Record]) -> Callable[[Shown], Iterable[Record]]:
    def records(shown: Shown) -> Iterable[Record]:
        objects = sorted(shown.draft.all(kind), key=_position)
        return (record(shown, obj) for obj in objects)

    return records


def _position(obj: PolicyObject) -> tuple[int, str, str]:
    return (obj.number if isinstance(obj, Rule) else 0, obj.name, obj.id)


RECORDS: dict[kinds.ObjectKind, Callable[[Shown], Iterable[Record]]] = {
    kinds.NETWORKS: _of(Network, _network),
    kinds.SUBNETS: _subnets,
    kinds.ADDRESS_GROUPS: _of(AddressGroup, _address_group),
    kinds.SECURITY_GROUPS: _of(SecurityGroup, _security_group),
    kinds.RULES: _of(Rule, _rule),
    kinds.PORTS: _of(Port, _port),
    kinds.HOSTS: _hosts,
    kinds.SWITCHES: _switches,
    kinds.BINDINGS: _bindings,
}
