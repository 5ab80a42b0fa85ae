"""The columns of tables, and the fields of records that they show."""

from __future__ import annotations

from typing import NamedTuple

from sgctl.cli import kinds


class Column(NamedTuple):
    """A column's title and the field of records that it shows.

    `wide` columns are shown only with `-o wide`. `absent` is the text for None.
    """

    title: str
    field: str
    wide: bool = False
    absent: str = ""


_END = (Column("DESCRIPTION", "description", wide=True), Column("ID", "id", wide=True))

COLUMNS: dict[kinds.Kind, tuple[Column, ...]] = {
    kinds.NETWORKS: (
        Column("NAME", "name"),
        Column("VLAN", "segmentation_id"),
        Column("SUBNETS", "subnets"),
        Column("EGRESS", "egress_default"),
        Column("DEFAULT GROUP", "default_group"),
        Column("PORTS", "port_count"),
        Column("SCOPE", "address_scope", wide=True),
        Column("CONNECTION LIMIT", "connection_limit", wide=True),
        Column("BOUND MEMBERS ONLY", "bound_members_only", wide=True),
        *_END,
    ),
    kinds.SUBNETS: (
        Column("NAME", "name"),
        Column("NETWORK", "network"),
        Column("CIDR", "cidr"),
        Column("GATEWAY", "gateway_ip"),
        Column("PORTS", "port_count"),
        Column("POOLS", "allocation_pools", wide=True),
        Column("DHCP", "enable_dhcp", wide=True),
        Column("NAMESERVERS", "dns_nameservers", wide=True),
        *_END,
    ),
    kinds.ADDRESS_GROUPS: (Column("NAME", "name"), Column("ADDRESSES", "addresses"), *_END),
    kinds.SECURITY_GROUPS: (
        Column("NAME", "name"),
        Column("STATEFUL", "stateful"),
        Column("RULES", "rule_count"),
        Column("PORTS", "port_count"),
        *_END,
    ),
    kinds.RULES: (
        Column("NUMBER", "number"),
        Column("GROUP", "security_group"),
        Column("DIRECTION", "direction"),
        Column("ETHERTYPE", "ethertype"),
        Column("PROTOCOL", "protocol"),
        Column("PORTS", "ports"),
        Column("REMOTE", "remote"),
        Column("NAME", "name"),
        *_END,
    ),
    kinds.PORTS: (
        Column("NAME", "name"),
        Column("NETWORK", "network"),
        Column("MAC", "mac_address"),
        Column("ADDRESSES", "fixed_ips"),
        Column("GROUPS", "security_groups"),
        Column("BOUND TO", "bound_to"),
        Column("IFACE-ID", "iface_id", wide=True),
        Column("DEVICE", "device_id", wide=True),
        Column("ADDRESS PAIRS", "allowed_address_pairs", wide=True),
        Column("SECURED", "port_security_enabled", wide=True),
        Column("ETHERNET TYPES", "permitted_ethertypes", wide=True),
        Column("UP", "admin_state_up", wide=True),
        *_END,
    ),
    kinds.HOSTS: (
        Column("NAME", "name"),
        Column("CONTROLLER", "controller"),
        Column("SWITCHES", "switches"),
    ),
    kinds.SWITCHES: (
        Column("NAME", "name"),
        Column("DPID", "dpid"),
        Column("CONNECTED", "connected", absent="unknown"),
        Column("CURRENT", "current", absent="unknown"),
        Column("FLOWS", "flow_count"),
        Column("ERROR", "error"),
        Column("GENERATION", "generation", wide=True),
    ),
    kinds.DROPS: (
        Column("PORT", "port"),
        Column("DIRECTION", "direction"),
        Column("REASON", "reason"),
        Column("PACKETS", "packets"),
        Column("MEANING", "explanation"),
        Column("BRIDGE", "bridge", wide=True),
        Column("INTERFACE", "interface", wide=True),
    ),
    kinds.BINDINGS: (
        Column("SWITCH", "switch"),
        Column("INTERFACE", "interface"),
        Column("OFPORT", "ofport"),
        Column("STATE", "state"),
        Column("PORT", "port"),
        Column("REASON", "reason"),
    ),
}

UPLINK_COLUMNS = (Column("INTERFACE", "interface"), Column("NETWORKS", "networks"))

FLOW_COLUMNS = (
    Column("BRIDGE", "bridge", wide=True),
    Column("TABLE", "table"),
    Column("PRIORITY", "priority"),
    Column("MATCH", "match"),
    Column("ACTIONS", "actions"),
    Column("PACKETS", "packets"),
    Column("BYTES", "bytes", wide=True),
    Column("AGE", "seconds", wide=True),
    Column("FOR", "for"),
    Column("COOKIE", "cookie", wide=True),
)

REACH_COLUMNS = (
    Column("PORT", "port"),
    Column("ADDRESSES", "addresses"),
    Column("SERVICES", "services"),
    Column("EGRESS RULES", "egress_rules"),
    Column("INGRESS RULES", "ingress_rules"),
)

FORECAST_COLUMNS = (
    Column("SWITCH", "switch"),
    Column("NOW", "before"),
    Column("ADDED", "added"),
    Column("REMOVED", "removed"),
    Column("CHANGED", "changed"),
    Column("THEN", "after"),
)
RULE_FORECAST_COLUMNS = (
    Column("CHANGE", "change"),
    Column("RULE", "rule"),
    Column("GROUP", "security_group"),
    Column("PERMITS", "sentence"),
    Column("FLOWS", "flows"),
    Column("OF ITS OWN", "flows_alone"),
)
