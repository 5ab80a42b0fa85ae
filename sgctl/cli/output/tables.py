"""The columns of tables, and the fields of records that they show."""

from __future__ import annotations

from typing import NamedTuple

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.attributes.declarations import ATTRIBUTES
from sgctl.cli import kinds


class TableColumn(NamedTuple):
    """A column's title and the field of records that it shows.

    `wide` columns are shown only with `-o wide`. `absent` is the text for None.
    """

    title: str
    field: str
    wide: bool = False
    absent: str = ""


def _declared(kind: type[PolicyObject], wide: bool) -> list[TableColumn]:
    """The columns of attributes that have a title."""
    return [
        TableColumn(each.title, each.name, wide)
        for each in ATTRIBUTES[kind]
        if each.title and each.wide == wide
    ]


_END = (TableColumn("DESCRIPTION", "description", wide=True), TableColumn("ID", "id", wide=True))

COLUMNS: dict[kinds.ObjectKind, tuple[TableColumn, ...]] = {
    kinds.NETWORKS: (
        TableColumn("NAME", "name"),
        *_declared(Network, wide=False),
        TableColumn("PORTS", "port_count"),
        *_declared(Network, wide=True),
        *_END,
    ),
    kinds.SUBNETS: (
        TableColumn("NAME", "name"),
        TableColumn("NETWORK", "network"),
        TableColumn("CIDR", "cidr"),
        TableColumn("GATEWAY", "gateway_ip"),
        TableColumn("PORTS", "port_count"),
        TableColumn("POOLS", "allocation_pools", wide=True),
        TableColumn("DHCP", "enable_dhcp", wide=True),
        TableColumn("NAMESERVERS", "dns_nameservers", wide=True),
        *_END,
    ),
    kinds.ADDRESS_GROUPS: (
        TableColumn("NAME", "name"),
        *_declared(AddressGroup, wide=False),
        *_declared(AddressGroup, wide=True),
        *_END,
    ),
    kinds.SECURITY_GROUPS: (
        TableColumn("NAME", "name"),
        *_declared(SecurityGroup, wide=False),
        TableColumn("RULES", "rule_count"),
        TableColumn("PORTS", "port_count"),
        *_declared(SecurityGroup, wide=True),
        *_END,
    ),
    kinds.RULES: (
        TableColumn("NUMBER", "number"),
        TableColumn("GROUP", "security_group"),
        TableColumn("DIRECTION", "direction"),
        TableColumn("ETHERTYPE", "ethertype"),
        TableColumn("PROTOCOL", "protocol"),
        TableColumn("PORTS", "ports"),
        *_declared(Rule, wide=False),
        TableColumn("REMOTE", "remote"),
        TableColumn("NAME", "name"),
        *_declared(Rule, wide=True),
        *_END,
    ),
    kinds.PORTS: (
        TableColumn("NAME", "name"),
        TableColumn("NETWORK", "network"),
        TableColumn("MAC", "mac_address"),
        TableColumn("ADDRESSES", "fixed_ips"),
        TableColumn("GROUPS", "security_groups"),
        *_declared(Port, wide=False),
        TableColumn("BOUND TO", "bound_to"),
        TableColumn("IFACE-ID", "iface_id", wide=True),
        TableColumn("DEVICE", "device_id", wide=True),
        *_declared(Port, wide=True),
        *_END,
    ),
    kinds.HOSTS: (
        TableColumn("NAME", "name"),
        TableColumn("CONTROLLER", "controller"),
        TableColumn("SWITCHES", "switches"),
    ),
    kinds.SWITCHES: (
        TableColumn("NAME", "name"),
        TableColumn("DPID", "dpid"),
        TableColumn("CONNECTED", "connected", absent="unknown"),
        TableColumn("CURRENT", "current", absent="unknown"),
        TableColumn("FLOWS", "flow_count"),
        TableColumn("ERROR", "error"),
        TableColumn("GENERATION", "generation", wide=True),
    ),
    kinds.DROPS: (
        TableColumn("PORT", "port"),
        TableColumn("DIRECTION", "direction"),
        TableColumn("REASON", "reason"),
        TableColumn("PACKETS", "packets"),
        TableColumn("MEANING", "explanation"),
        TableColumn("BRIDGE", "bridge", wide=True),
        TableColumn("INTERFACE", "interface", wide=True),
    ),
    kinds.BINDINGS: (
        TableColumn("SWITCH", "switch"),
        TableColumn("INTERFACE", "interface"),
        TableColumn("OFPORT", "ofport"),
        TableColumn("STATE", "state"),
        TableColumn("PORT", "port"),
        TableColumn("REASON", "reason"),
    ),
}

UPLINK_COLUMNS = (TableColumn("INTERFACE", "interface"), TableColumn("NETWORKS", "networks"))

FLOW_COLUMNS = (
    TableColumn("BRIDGE", "bridge", wide=True),
    TableColumn("TABLE", "table"),
    TableColumn("PRIORITY", "priority"),
    TableColumn("MATCH", "match"),
    TableColumn("ACTIONS", "actions"),
    TableColumn("PACKETS", "packets"),
    TableColumn("BYTES", "bytes", wide=True),
    TableColumn("AGE", "seconds", wide=True),
    TableColumn("FOR", "for"),
    TableColumn("COOKIE", "cookie", wide=True),
)

REACH_COLUMNS = (
    TableColumn("PORT", "port"),
    TableColumn("ADDRESSES", "addresses"),
    TableColumn("SERVICES", "services"),
    TableColumn("EGRESS RULES", "egress_rules"),
    TableColumn("INGRESS RULES", "ingress_rules"),
)

FORECAST_COLUMNS = (
    TableColumn("SWITCH", "switch"),
    TableColumn("NOW", "before"),
    TableColumn("ADDED", "added"),
    TableColumn("REMOVED", "removed"),
    TableColumn("CHANGED", "changed"),
    TableColumn("THEN", "after"),
)
RULE_FORECAST_COLUMNS = (
    TableColumn("CHANGE", "change"),
    TableColumn("RULE", "rule"),
    TableColumn("GROUP", "security_group"),
    TableColumn("PERMITS", "sentence"),
    TableColumn("FLOWS", "flows"),
    TableColumn("OF ITS OWN", "flows_alone"),
)
