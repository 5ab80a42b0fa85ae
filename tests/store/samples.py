"""Valid objects of every kind, and helpers for changes."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from flows.policy.objects import (
    AddressGroup,
    AddressPair,
    Change,
    Direction,
    EgressDefault,
    Ethertype,
    Meta,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
    SubnetDetail,
)

META = Meta(
    description="Zürich, 3. Stock 🏢\nsecond line",
    project_id="p1",
    tags=frozenset({"prod", "eu-1"}),
    created_at="2026-01-02T03:04:05Z",
    updated_at="2026-01-02T03:04:06Z",
    revision_number=7,
)


def new_id() -> str:
    return str(uuid4())


def prefixes(*texts: str) -> tuple[Prefix, ...]:
    return tuple(map(Prefix.parse, texts))


def group(name: str = "web", **values: object) -> SecurityGroup:
    return SecurityGroup(new_id(), name, **values)  # type: ignore[arg-type]


def rule(of: SecurityGroup, **values: object) -> Rule:
    known = {"direction": Direction.INGRESS, "ethertype": Ethertype.IPV4}
    return Rule(new_id(), 0, of.id, **{**known, **values})  # type: ignore[arg-type]


def network(name: str = "blue", **values: object) -> Network:
    return Network(new_id(), name, **values)  # type: ignore[arg-type]


def port(on: Network, number: int = 1, **values: object) -> Port:
    mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    return Port(new_id(), f"port{number}", on.id, mac, f"if{number}", **values)  # type: ignore[arg-type]


def everything() -> tuple[PolicyObject, ...]:
    """For each kind an object with all fields and one with few; an object comes after those it refers to."""
    web, members = group("web", stateful=False, meta=META), group("")
    monitors = AddressGroup(
        new_id(), "monitors", frozenset(prefixes("192.0.2.0/24", "2001:db8::1", "0.0.0.0/0")), META
    )
    detail = SubnetDetail(
        Prefix.parse("10.2.0.0/16"),
        "büro",
        "with a gateway",
        Prefix.parse("10.2.0.1"),
        pools=((Prefix.parse("10.2.0.9").value, Prefix.parse("10.2.0.19").value),),
        enable_dhcp=False,
        dns_nameservers=prefixes("192.0.2.53"),
        tags=frozenset({"x"}),
    )
    blue = network(
        "blue",
        segmentation_id=4094,
        subnets=prefixes("10.2.0.0/16", "10.1.0.0/16", "2001:db8::/64"),
        address_scope="corp",
        egress_default=EgressDefault.OPEN_UNTIL_RULE,
        default_group=web.id,
        subnet_details=(detail,),
        meta=META,
    )
    full_port = port(
        blue,
        1,
        fixed_ips=prefixes("10.2.0.2", "10.1.0.1", "2001:db8::1"),
        security_groups=frozenset({web.id, members.id}),
        allowed_address_pairs=(
            AddressPair("02:00:00:00:00:09", Prefix.parse("10.0.0.0/8")),
            AddressPair("02:00:00:00:00:08", Prefix.parse("2001:db8::9")),
        ),
        admin_state_up=False,
        device_id="vm-1",
        device_owner="compute:x",
        meta=META,
    )
    bare_port = port(blue, 2, port_security_enabled=False)
    rules = (
        rule(web, protocol=6, port_range_min=0, port_range_max=65535, remote_group_id=web.id, meta=META),
        rule(web, protocol=1, port_range_min=8, remote_ip_prefix=Prefix.parse("10.0.0.1"), name="ping"),
        rule(web, ethertype=Ethertype.IPV6, remote_address_group_id=monitors.id),
        rule(members, direction=Direction.EGRESS, protocol=0, remote_network_id=blue.id),
        rule(members, ethertype=Ethertype.IPV6, remote_ip_prefix=Prefix.parse("::/0")),
    )
    sparse = (network("red"), AddressGroup(new_id(), "none"))
    return (web, members, monitors, blue, *sparse, *rules, full_port, bare_port)


def create(*objects: PolicyObject) -> list[Change]:
    return [Change(None, obj) for obj in objects]


def delete(*objects: PolicyObject) -> list[Change]:
    return [Change(obj, None) for obj in objects]


def news(changes: Sequence[Change]) -> list[PolicyObject]:
    """The new objects of the changes."""
    return [change.new for change in changes if change.new is not None]
