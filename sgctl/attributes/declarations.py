"""Every attribute of every kind of policy object.

The order is that of manifests that are exported, of the CLI's records and of its tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from flows.policy.objects import (
    FIRST_RULE_NUMBER,
    AddressGroup,
    Direction,
    EgressDefault,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Rule,
    SecurityGroup,
)
from flows.policy.validate import MAX_RULE_NUMBER, MOST_CONNECTIONS
from sgctl.attributes.attribute import EVERYWHERE, ApiAccess, Attribute, CommandOption, Place, Setter
from sgctl.attributes.value_types import (
    FLAG,
    NUMBER,
    OPTIONAL_PREFIX,
    OPTIONAL_TEXT,
    PAIR_LIST,
    PREFIX_LIST,
    PREFIXES,
    SHARED_TEXT,
    SUBNET_DETAILS,
    TEXT,
    TEXTS,
    choice,
    integer,
    integers,
    optional_integer,
    optional_reference,
    reference,
    references,
)

META = (
    Attribute("description", TEXT, explicit=EVERYWHERE),
    Attribute("project_id", SHARED_TEXT, explicit=EVERYWHERE),
    Attribute("tags", TEXTS, explicit=EVERYWHERE),
    Attribute("created_at", SHARED_TEXT, explicit=EVERYWHERE),
    Attribute("updated_at", SHARED_TEXT, explicit=EVERYWHERE),
    Attribute("revision_number", NUMBER, explicit=EVERYWHERE),
)
"""The attributes of `Meta`, which every kind has."""

_NAME = Attribute("name", TEXT, explicit=EVERYWHERE)

_NETWORK = (
    _NAME,
    Attribute(
        "segmentation_id",
        optional_integer(1, 4094),
        "VLAN id on uplinks, 1–4094. Default: untagged.",
        explicit=Place.REST,  # provider:segmentation_id, which only an admin may set, on creation
        option=CommandOption("--provider-segment", "Make it untagged.", "VLAN"),
        title="VLAN",
        wide=False,
    ),
    Attribute("subnets", PREFIX_LIST, explicit=Place.MANIFEST | Place.REST, title="SUBNETS", wide=False),
    Attribute(
        "address_scope",
        OPTIONAL_TEXT,
        "Networks with the same scope share the members of groups.",
        setter=Setter.ADMIN,  # it decides who shares group members
        own=True,
        option=CommandOption("--address-scope", "Remove it from its address scope.", "SCOPE"),
        title="SCOPE",
    ),
    Attribute(
        "egress_default",
        choice(EgressDefault),
        "What a port may send if none of its groups has an egress rule.",
        own=True,
        option=CommandOption("--egress-default"),
        title="EGRESS",
        wide=False,
    ),
    Attribute(
        "connection_limit",
        optional_integer(1, MOST_CONNECTIONS, stored_bound=False),
        "The maximum number of connections on one bridge.",
        setter=Setter.ADMIN,  # it decides how much is left for other networks
        own=True,
        option=CommandOption("--connection-limit", "Remove its own limit.", "NUMBER"),
        title="CONNECTION LIMIT",
    ),
    Attribute(
        "bound_members_only",
        FLAG,
        "Whether only ports that a host has bound are members of groups. Off for new networks.",
        since="1.3.0",
        own=True,
        option=CommandOption("--bound-members-only/--all-members"),
        title="BOUND MEMBERS ONLY",
    ),
    Attribute(
        "default_group",
        optional_reference("Security_Group"),
        refers_to=SecurityGroup,
        explicit=EVERYWHERE,  # a name in manifests, an id in the REST API, both in records
        own=True,
        title="DEFAULT GROUP",
        wide=False,
    ),
    Attribute("subnet_details", SUBNET_DETAILS, explicit=EVERYWHERE),
)

_SECURITY_GROUP = (
    _NAME,
    Attribute(
        "stateful",
        FLAG,
        "Whether replies to permitted packets are permitted. A new group is stateful.",
        option=CommandOption("--stateful/--stateless"),
        title="STATEFUL",
        wide=False,
    ),
)

_ADDRESS_GROUP = (
    _NAME,
    Attribute("addresses", PREFIXES, explicit=Place.MANIFEST | Place.REST, title="ADDRESSES", wide=False),
)

_RULE = (
    Attribute(
        "number",
        integer(FIRST_RULE_NUMBER, MAX_RULE_NUMBER),
        "The number of the rule in flows, traces and counters.",
        explicit=Place.MANIFEST | Place.RECORD,
        access=ApiAccess.READ,
        own=True,
    ),
    Attribute(
        "group_id",
        reference("Security_Group"),
        name="security_group_id",
        column="security_group",
        refers_to=SecurityGroup,
        explicit=EVERYWHERE,
    ),
    Attribute(
        "direction",
        choice(Direction),
        "The direction of the traffic: ingress to the members, or egress from them.",
        explicit=Place.MANIFEST | Place.RECORD,
        access=ApiAccess.CREATE,
    ),
    Attribute("ethertype", choice(Ethertype), explicit=EVERYWHERE),
    Attribute("protocol", optional_integer(0, 255), explicit=EVERYWHERE),
    Attribute("port_range_min", optional_integer(0, 65535), explicit=EVERYWHERE),
    Attribute("port_range_max", optional_integer(0, 65535), explicit=EVERYWHERE),
    Attribute("remote_ip_prefix", OPTIONAL_PREFIX, explicit=EVERYWHERE),
    Attribute(
        "remote_group_id",
        optional_reference("Security_Group"),
        "Only to or from the members of this group.",
        column="remote_group",
        refers_to=SecurityGroup,
        explicit=Place.MANIFEST | Place.RECORD,
        access=ApiAccess.CREATE,
    ),
    Attribute(
        "remote_address_group_id",
        optional_reference("Address_Group"),
        "Only to or from this address group.",
        column="remote_address_group",
        refers_to=AddressGroup,
        explicit=Place.MANIFEST | Place.RECORD,
        access=ApiAccess.CREATE,
    ),
    Attribute(
        "remote_network_id",
        optional_reference("Network"),
        "Only to or from the subnets of this network.",
        column="remote_network",
        refers_to=Network,
        explicit=Place.MANIFEST | Place.RECORD,
        access=ApiAccess.CREATE,
        own=True,
    ),
    Attribute(
        "ip_dscp",
        optional_integer(0, 63),
        "Only connections whose first packet has this DSCP, 0–63.",
        since="1.4.0",
        access=ApiAccess.CREATE,
        own=True,
        option=CommandOption("--ip-dscp", metavar="DSCP"),
        title="DSCP",
        wide=False,
    ),
    _NAME,
)

_PORT = (
    _NAME,
    Attribute("network_id", reference("Network"), column="network", refers_to=Network, explicit=EVERYWHERE),
    Attribute("mac", TEXT, name="mac_address", explicit=EVERYWHERE, setter=Setter.NETWORK_OWNER),
    Attribute("fixed_ips", PREFIX_LIST, explicit=EVERYWHERE),
    Attribute("security_groups", references("Security_Group"), refers_to=SecurityGroup, explicit=EVERYWHERE),
    Attribute(
        "allowed_address_pairs",
        PAIR_LIST,
        explicit=Place.MANIFEST | Place.REST,
        setter=Setter.NETWORK_OWNER,
        title="ADDRESS PAIRS",
    ),
    Attribute(
        "port_security_enabled",
        FLAG,
        "Whether its packets are filtered. Enabled for new ports.",
        setter=Setter.NETWORK_OWNER,
        option=CommandOption("--enable-port-security/--disable-port-security"),
        title="SECURED",
    ),
    Attribute(
        "permitted_ethertypes",
        integers(0x0600, 0xFFFF, show="{:#06x}".format),
        explicit=Place.MANIFEST | Place.REST,
        setter=Setter.NETWORK_OWNER,
        own=True,
        title="ETHERNET TYPES",
    ),
    Attribute(
        "admin_state_up",
        FLAG,
        "Whether packets pass at all. Enabled for new ports.",
        option=CommandOption("--enable/--disable"),
        title="UP",
    ),
    Attribute(
        "iface_id",
        TEXT,
        "The external_ids:iface-id of the interface that is bound to it.",
        explicit=Place.MANIFEST,  # left out, it stays what it was, or is the name
        access=ApiAccess.READ,
        own=True,
    ),
    Attribute(
        "device_id",
        TEXT,
        "The id of the machine that it belongs to.",
        option=CommandOption("--device", "Clear the machine that it belongs to.", "DEVICE"),
    ),
    Attribute(
        "device_owner",
        TEXT,
        "The owner of the machine.",
        option=CommandOption("--device-owner", "Clear the owner of the machine.", "OWNER"),
    ),
)

ATTRIBUTES: Mapping[type[PolicyObject], tuple[Attribute, ...]] = {
    SecurityGroup: _SECURITY_GROUP,
    AddressGroup: _ADDRESS_GROUP,
    Network: _NETWORK,
    Rule: _RULE,
    Port: _PORT,
}
"""The attributes of each kind, without those of `Meta`; every kind comes after the kinds it refers to."""
