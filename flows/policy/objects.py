"""The policy objects. They do not depend on how a switch enforces them.

Objects are immutable values, and valid ones are expected (`flows.policy.validate` checks them).
Ids are opaque strings, unique within a kind. Terms follow the Neutron API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple

from netaddr import INET_PTON, AddrFormatError
from netaddr.strategy import ipv4, ipv6


class Direction(StrEnum):
    """The direction relative to the workload: egress leaves it, ingress enters it."""

    INGRESS = "ingress"
    EGRESS = "egress"


class Ethertype(StrEnum):
    """The address family of a rule."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if self is Ethertype.IPV4 else 6


class EgressDefault(StrEnum):
    """What a port may send if none of its groups has an egress rule."""

    DENY = "deny"
    OPEN_UNTIL_RULE = "open-until-rule"


class Prefix(NamedTuple):
    """An IP network: version (4 or 6), network address as an integer (host bits zero), prefix length."""

    version: int
    value: int
    length: int

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """Parse an address or a CIDR; an address becomes a host prefix (/32 or /128).

        Raises ValueError if the text is neither, or if host bits are set.
        """
        address_text, slash, length_text = text.partition("/")
        version, family, bits = (6, ipv6, 128) if ":" in address_text else (4, ipv4, 32)
        try:
            value = family.str_to_int(address_text, INET_PTON)
        except (AddrFormatError, ValueError, TypeError) as error:
            raise ValueError(f"{text!r} is not an IP address or CIDR") from error
        if slash and not (length_text.isascii() and length_text.isdigit() and int(length_text) <= bits):
            raise ValueError(f"{text!r} has no prefix length from 0 to {bits}")
        prefix = cls(version, value, int(length_text) if slash else bits)
        if prefix.value & ~prefix.mask:
            network = prefix._replace(value=prefix.value & prefix.mask)
            raise ValueError(f"{text!r} has host bits set; did you mean {network}?")
        return prefix

    @property
    def bits(self) -> int:
        """Address width: 32 or 128."""
        return 32 if self.version == 4 else 128

    @property
    def is_host(self) -> bool:
        """Whether the prefix is a single address."""
        return self.length == self.bits

    @property
    def mask(self) -> int:
        """The network mask as an integer of `bits` bits."""
        return ((1 << self.length) - 1) << (self.bits - self.length)

    def covers(self, other: Prefix) -> bool:
        """Whether every address of `other` is in this prefix."""
        return (
            self.version == other.version
            and self.length <= other.length
            and other.value & self.mask == self.value
        )

    @property
    def address(self) -> str:
        """The network address without its length."""
        text: str = (ipv4 if self.version == 4 else ipv6).int_to_str(self.value)
        return text

    def __str__(self) -> str:
        return self.address if self.is_host else f"{self.address}/{self.length}"


@dataclass(frozen=True, slots=True)
class Meta:
    """Metadata of an object, which does not affect enforcement. Times are RFC 3339, UTC."""

    description: str = ""
    project_id: str = ""
    tags: frozenset[str] = frozenset()
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0


NO_META = Meta()
"""The shared value of objects without metadata."""


@dataclass(frozen=True, slots=True)
class SubnetDetail:
    """Details of one of a network's subnets. They control the assignment of addresses, not enforcement.

    `gateway` is a host prefix, or None. `pools` are inclusive ranges of address values.
    """

    prefix: Prefix
    name: str = ""
    description: str = ""
    gateway: Prefix | None = None
    pools: tuple[tuple[int, int], ...] = ()
    enable_dhcp: bool = True
    dns_nameservers: tuple[Prefix, ...] = ()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Network:
    """An isolated layer 2 segment, enforced on every bridge where one of its ports is bound.

    `segmentation_id` is the VLAN id on uplinks (1–4094; None for untagged). Group members are recognised by
    their addresses, which are unique only within an address scope: networks with the same `address_scope`
    share group members, and a network without one shares them with no other. `default_group` is the id of
    the group for ports without groups of their own. `connection_limit` is the most connections that the
    network may have on one bridge (at least 1; None for no limit). With `bound_members_only`, ports are
    members of their groups only while they are bound on some host. `subnet_details` describe some of the
    subnets; details of a prefix that is not in `subnets` have no effect.
    """

    id: str
    name: str
    segmentation_id: int | None = None
    subnets: tuple[Prefix, ...] = ()
    address_scope: str | None = None
    egress_default: EgressDefault = EgressDefault.DENY
    default_group: str | None = None
    connection_limit: int | None = None
    bound_members_only: bool = False
    subnet_details: tuple[SubnetDetail, ...] = ()
    meta: Meta = NO_META


class AddressPair(NamedTuple):
    """A source that a port may use besides its own: MAC `aa:bb:cc:dd:ee:ff` and address or CIDR."""

    mac: str
    prefix: Prefix


@dataclass(frozen=True, slots=True)
class Port:
    """A workload's network interface. `iface_id` is the value of `external_ids:iface-id` that binds it.

    `permitted_ethertypes` are the Ethernet types (0x0600–0xffff) that the port may send and receive besides
    ARP, IPv4 and IPv6.
    """

    id: str
    name: str
    network_id: str
    mac: str
    iface_id: str
    fixed_ips: tuple[Prefix, ...] = ()
    security_groups: frozenset[str] = frozenset()
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    port_security_enabled: bool = True
    permitted_ethertypes: frozenset[int] = frozenset()
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = ""
    meta: Meta = NO_META


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A set of rules. As a remote group, it means the addresses of the ports that carry it."""

    id: str
    name: str
    stateful: bool = True
    meta: Meta = NO_META


@dataclass(frozen=True, slots=True)
class AddressGroup:
    """A named set of addresses and CIDRs."""

    id: str
    name: str
    addresses: frozenset[Prefix] = frozenset()
    meta: Meta = NO_META


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission of a security group.

    `number` is the conjunction id: unique, never reused and at least `FIRST_RULE_NUMBER`.
    `protocol` is an IP protocol number (0–255; 58 is ICMPv6), None for any. For TCP, UDP and SCTP,
    `port_range_min` and `port_range_max` are an inclusive range (0–65535); for ICMP, type and code (0–255).
    `ip_dscp` is the DSCP (0–63, RFC 2474) of the packet that opens a connection, None for any.
    At most one `remote_…` is set; with none, the rule matches any remote. `remote_network_id` means
    all subnets of that network.
    """

    id: str
    number: int
    group_id: str
    direction: Direction
    ethertype: Ethertype
    protocol: int | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: Prefix | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None
    remote_network_id: str | None = None
    ip_dscp: int | None = None
    name: str = ""
    meta: Meta = NO_META


PERMISSION_FIELDS = tuple(
    field.name for field in fields(Rule) if field.name not in ("id", "number", "group_id", "name", "meta")
)
"""What a rule permits to its group. Rules of one group that agree in all of these permit the same."""
REMOTE_FIELDS = tuple(name for name in PERMISSION_FIELDS if name.startswith("remote_"))
"""The fields of a rule's remote."""
SERVICE_FIELDS = tuple(
    name for name in PERMISSION_FIELDS if name not in ("direction", "ethertype", *REMOTE_FIELDS)
)
"""The fields of a rule's service. If all of them are None, the rule is for every service."""

permission_of: Callable[[Rule], tuple[Any, ...]] = attrgetter(*PERMISSION_FIELDS)
"""The values of `PERMISSION_FIELDS`."""
remote_of: Callable[[Rule], tuple[Any, ...]] = attrgetter(*REMOTE_FIELDS)
"""The values of `REMOTE_FIELDS`."""
service_of: Callable[[Rule], tuple[Any, ...]] = attrgetter(*SERVICE_FIELDS)
"""The values of `SERVICE_FIELDS`."""


class HeaderField(NamedTuple):
    """A service field that a rule compares with the packet's field of the same name; None matches any value.

    The values are 0 to `highest`. `meaning` names a value in error messages.
    """

    name: str
    highest: int
    meaning: str


HEADER_FIELDS = (HeaderField("protocol", 255, "IP protocol number"), HeaderField("ip_dscp", 63, "DSCP"))
"""The service fields that have a single value. Ports depend on the protocol and have rules of their own."""


def fits_header(rule: Rule, subject: object, unknown: Container[str] = ()) -> bool:
    """Whether the rule's header fields allow the values of the subject: a packet's header, or another rule.

    The fields in `unknown` are not compared.
    """
    names = (field.name for field in HEADER_FIELDS if field.name not in unknown)
    return all(getattr(rule, name) in (None, getattr(subject, name)) for name in names)


_NO_REMOTE: dict[str, Any] = dict.fromkeys(REMOTE_FIELDS)
_NO_SERVICE: dict[str, Any] = dict.fromkeys(SERVICE_FIELDS)


def without_remote(rule: Rule) -> Rule:
    """The rule for any remote."""
    return replace(rule, **_NO_REMOTE)


def without_service(rule: Rule) -> Rule:
    """The rule for every service."""
    return replace(rule, **_NO_SERVICE)


FIRST_RULE_NUMBER = 16
"""Lower numbers are reserved for verdicts without a rule in the database."""

PolicyObject = Network | Port | SecurityGroup | AddressGroup | Rule
KINDS: tuple[type[PolicyObject], ...] = (Network, SecurityGroup, AddressGroup, Rule, Port)


class Change(NamedTuple):
    """A change of one object. `old` is None for a new object, `new` for a deleted one; kind and id stay."""

    old: PolicyObject | None
    new: PolicyObject | None

    @property
    def kind(self) -> type[PolicyObject]:
        """The class of the object that changed."""
        return type(self._present)

    @property
    def id(self) -> str:
        """The id of the object that changed."""
        return self._present.id

    @property
    def _present(self) -> PolicyObject:
        present = self.new if self.new is not None else self.old
        assert present is not None, "a change has at least one side"
        return present
