"""Exports the policy as manifests. Applying them again changes nothing; elsewhere it recreates the policy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

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
from sgctl.attributes.plain import exported_values, in_order
from sgctl.service import protocols
from sgctl.service.draft import Draft
from sgctl.service.kinds import MANIFEST_KINDS
from sgctl.service.manifests.documents import OWN
from sgctl.service.names import project_of, reference_to
from sgctl.service.references import users_of
from sgctl.service.subnets import default_detail

Manifest = dict[str, object]


def manifest(draft: Draft, obj: PolicyObject, *, with_id: bool = False) -> Manifest:
    """The manifest of a network, address group, security group (with its rules) or port.

    It contains the object's id if the name is ambiguous, or always if `with_id`: then the name may be edited.
    """
    return {
        "apiVersion": OWN,
        "kind": MANIFEST_KINDS[type(obj)],
        "metadata": _metadata(draft, obj, with_id),
        "spec": _spec(draft, obj),
    }


def to_yaml(manifests: Iterable[Manifest]) -> str:
    """The manifests as documents of one YAML text."""
    return yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=100)


def _metadata(draft: Draft, obj: PolicyObject, with_id: bool) -> Manifest:
    named = not with_id and obj.name and reference_to(draft, type(obj), obj.id) == obj.name
    named = named and not _used_abroad(draft, obj)
    return {"name": obj.name} | _present(
        id="" if named else obj.id,
        description=obj.meta.description,
        project_id=obj.meta.project_id,
        tags=sorted(obj.meta.tags),
    )


def _used_abroad(draft: Draft, obj: PolicyObject) -> bool:
    """Whether an object of another project refers to this object, which requires its id."""
    users = users_of(draft, type(obj), obj.id)
    return any(project_of(draft, user) != obj.meta.project_id for user in users)


def _present(**values: object) -> Manifest:
    """The values without empty ones, which mean the same as absent ones."""
    return {key: value for key, value in values.items() if value not in (None, "", [], ())}


def _spec(draft: Draft, obj: PolicyObject) -> Manifest:
    if isinstance(obj, Network):
        return _network(draft, obj)
    if isinstance(obj, AddressGroup):
        addresses: Manifest = {"addresses": [str(address) for address in sorted(obj.addresses)]}
        return addresses | exported_values(obj)
    if isinstance(obj, SecurityGroup):
        rules = sorted(draft.where(Rule, "group_id", obj.id), key=lambda rule: (rule.number, rule.id))
        return exported_values(obj) | {"rules": [_rule(draft, rule) for rule in rules]}
    assert isinstance(obj, Port)
    return _port(draft, obj)


def _network(draft: Draft, network: Network) -> Manifest:
    group, project = network.default_group, network.meta.project_id
    details = {detail.prefix: subnet_item(detail) for detail in network.subnet_details}
    stated = exported_values(network) | _present(
        subnets=[details.get(subnet, str(subnet)) for subnet in network.subnets],
        default_group=None if group is None else reference_to(draft, SecurityGroup, group, project),
    )
    return in_order(Network, stated)


def _rule(draft: Draft, rule: Rule) -> Manifest:
    """A rule of a SecurityGroup manifest."""
    is_icmp = rule.protocol in (ICMP, ICMPV6)
    low, high = ("type", "code") if is_icmp else ("port_range_min", "port_range_max")
    stated = _present(
        name=rule.name,
        description=rule.meta.description,
        tags=sorted(rule.meta.tags),
        direction=str(rule.direction),
        ethertype=str(rule.ethertype),
        protocol=None if rule.protocol is None else protocols.show(rule.protocol),
    )
    limits = _present(**{low: rule.port_range_min, high: rule.port_range_max})
    return stated | limits | exported_values(rule) | remote_of(draft, rule)


def remote_of(draft: Draft, rule: Rule) -> Manifest:
    """The remote of a rule as manifest key and value; empty if the rule has no remote."""
    if rule.remote_ip_prefix is not None:
        return {"remote_ip_prefix": str(rule.remote_ip_prefix)}
    remotes = (
        ("remote_group", SecurityGroup, rule.remote_group_id),
        ("remote_address_group", AddressGroup, rule.remote_address_group_id),
        ("remote_network", Network, rule.remote_network_id),
    )
    project = project_of(draft, rule)
    return {
        key: reference_to(draft, kind, value, project) for key, kind, value in remotes if value is not None
    }


def _port(draft: Draft, port: Port) -> Manifest:
    pairs = [
        _present(ip_address=str(pair.prefix), mac_address="" if pair.mac == port.mac else pair.mac)
        for pair in port.allowed_address_pairs
    ]
    project = port.meta.project_id
    groups = [reference_to(draft, SecurityGroup, each, project) for each in port.security_groups]
    stated: Manifest = {
        "network": reference_to(draft, Network, port.network_id, project),
        "mac_address": port.mac,
        "fixed_ips": [str(address) for address in port.fixed_ips],
    }
    return (
        stated
        | exported_values(port)
        | _present(
            security_groups=sorted(groups),
            allowed_address_pairs=pairs,
            permitted_ethertypes=[f"{each:#06x}" for each in sorted(port.permitted_ethertypes)],
            iface_id=port.iface_id,
        )
    )


def subnet_item(detail: SubnetDetail) -> dict[str, Any]:
    """The mapping for a subnet in a manifest; keys with default values are left out."""
    version, bits = detail.prefix.version, detail.prefix.bits

    def address(value: int) -> str:
        return Prefix(version, value, bits).address

    stated: dict[str, Any] = {"cidr": str(detail.prefix)}
    if detail.gateway != default_detail(detail.prefix).gateway:
        stated["gateway_ip"] = None if detail.gateway is None else str(detail.gateway)
    if not detail.enable_dhcp:
        stated["enable_dhcp"] = False
    more: dict[str, Any] = {
        "name": detail.name,
        "description": detail.description,
        "allocation_pools": [{"start": address(first), "end": address(last)} for first, last in detail.pools],
        "dns_nameservers": [str(server) for server in detail.dns_nameservers],
        "tags": sorted(detail.tags),
    }
    return stated | {key: value for key, value in more.items() if value}
