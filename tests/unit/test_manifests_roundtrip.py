"""Exported manifests state exactly the policy that was exported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.policy.objects import (
    AddressGroup,
    AddressPair,
    Meta,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
    SubnetDetail,
    permission_of,
)
from flows.policy.validate import check
from sgctl.service.checks import check_changes
from sgctl.service.draft import Draft
from sgctl.service.plan import ObjectAction
from sgctl.store.snapshot import PolicySnapshot
from tests.examples import examples
from tests.unit import strategies
from tests.unit.manifests_support import Policy

T = TypeVar("T")

TRICKY = (
    "",
    "web",
    "no",
    "1.5",
    "80",
    "null",
    "~",
    "12:30",
    "a: b",
    "- x",
    "ü…",
    "x/y",
    "*",
    " ",
    "#",
    "a,b",
    "true",
)
UUIDS = tuple(str(UUID(int=(4 << 76) | (8 << 60) | number)) for number in range(40))
names = st.sampled_from([*TRICKY, *UUIDS[:3]])
metas = st.builds(
    Meta,
    description=st.sampled_from(["", "no", "two\nlines", "'"]),
    project_id=st.sampled_from(["", "p"]),
    tags=st.frozensets(st.sampled_from(["a", "1", "sgctl:default-group"])),
)
SUBNETS = {0: ("10.0.0.0/24", "fd00::/64"), 1: ("10.0.1.0/24",), 2: ()}


def _some(values: Sequence[T]) -> st.SearchStrategy[T | None]:
    return st.sampled_from([None, *values])


def _plain(kind: type[PolicyObject]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(strategies.plain_fields(kind))


@st.composite
def _groups(draw: st.DrawFn) -> list[SecurityGroup]:
    return [
        SecurityGroup(identifier, draw(names), meta=draw(metas), **draw(_plain(SecurityGroup)))
        for identifier in UUIDS[10 : 10 + draw(st.integers(0, 4))]
    ]


@st.composite
def _details(draw: st.DrawFn, prefix: Prefix) -> SubnetDetail:
    hosts = [Prefix(prefix.version, prefix.value + number, prefix.bits) for number in (1, 2, 254)]
    pools = st.sampled_from([(), ((5, 9),), ((20, 29), (10, 19))])
    return SubnetDetail(
        prefix,
        draw(names),
        draw(st.sampled_from(["", "no", "two\nlines"])),
        draw(_some(hosts)),
        tuple((prefix.value + first, prefix.value + last) for first, last in draw(pools)),
        draw(st.booleans()),
        tuple(
            draw(st.lists(st.sampled_from([*hosts, Prefix.parse("2001:db8::53")]), unique=True, max_size=2))
        ),
        draw(st.frozensets(st.sampled_from(["a", "1"]))),
    )


@st.composite
def _described(draw: st.DrawFn, network: Network) -> Network:
    """With details of some of its subnets."""
    chosen = [each for each in sorted(network.subnets) if draw(st.booleans())]
    return replace(network, subnet_details=tuple(draw(_details(each)) for each in chosen))


@st.composite
def _networks(draw: st.DrawFn, groups: list[str]) -> list[Network]:
    made = [
        Network(
            UUIDS[20 + number],
            draw(names),
            subnets=tuple(map(Prefix.parse, SUBNETS[number])),
            default_group=draw(_some(groups)),
            meta=draw(metas),
            **draw(_plain(Network)),
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    return [draw(_described(network)) for network in made]


@st.composite
def _rules(draw: st.DrawFn, groups: list[str], address_groups: list[str], networks: list[str]) -> list[Rule]:
    found: dict[object, Rule] = {}
    wanted = draw(st.integers(0, 8)) if groups else 0
    for number in range(16, 16 + wanted):
        rule = draw(strategies.rules(str(UUID(int=1000 + number)), st.just(number)))
        rule = replace(
            rule,
            group_id=draw(st.sampled_from(groups)),
            remote_group_id=draw(st.sampled_from(groups)) if rule.remote_group_id else None,
            remote_address_group_id=draw(_some(address_groups)) if rule.remote_address_group_id else None,
            remote_network_id=draw(st.sampled_from(networks)) if rule.remote_network_id else None,
            protocol=draw(st.sampled_from([0, 4, 41, 255])) if rule.protocol is None else rule.protocol,
            name=draw(names),
            meta=replace(draw(metas), project_id=""),
        )
        found.setdefault((rule.group_id, permission_of(rule)), rule)
    return list(found.values())


@st.composite
def _ports(draw: st.DrawFn, groups: list[str], networks: list[Network]) -> list[Port]:
    return [draw(_port(number, groups, networks)) for number in range(draw(st.integers(0, 4)))]


@st.composite
def _port(draw: st.DrawFn, number: int, groups: list[str], networks: list[Network]) -> Port:
    network = draw(st.sampled_from(networks))
    mac = f"02:00:00:00:10:{number + 10}"
    pairs = st.builds(
        AddressPair,
        st.sampled_from([mac, "02:00:00:00:00:aa"]),
        st.sampled_from(list(map(Prefix.parse, ["10.9.0.0/16", "10.9.0.1", "::/0"]))),
    )
    secured = draw(st.booleans())
    name = draw(names)
    hosts = [Prefix(each.version, each.value + 5 + number, each.bits) for each in network.subnets]
    return Port(
        UUIDS[30 + number],
        name,
        network.id,
        mac,
        iface_id=UUIDS[30 + number] if draw(st.booleans()) else f"tap{number}",
        fixed_ips=tuple(hosts) if draw(st.booleans()) else (),
        security_groups=frozenset(draw(st.lists(st.sampled_from(groups))))
        if secured and groups
        else frozenset(),
        allowed_address_pairs=tuple(draw(st.lists(pairs, unique=True, max_size=2))) if secured else (),
        permitted_ethertypes=draw(st.sampled_from([frozenset(), frozenset({0x88CC, 0x0600})])),
        meta=draw(metas),
        **draw(_plain(Port)) | {"port_security_enabled": secured},
    )


def _unmixed(port: Port, groups: list[SecurityGroup]) -> Port:
    """A port has stateful groups or stateless ones."""
    held = [group for group in groups if group.id in port.security_groups]
    return replace(
        port, security_groups=frozenset(each.id for each in held if each.stateful == held[0].stateful)
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    groups = draw(_groups())
    group_ids = [group.id for group in groups]
    networks = draw(_networks(group_ids))
    sets = st.frozensets(st.sampled_from(strategies.PREFIXES), max_size=3)
    lists = [
        AddressGroup(each, draw(names), draw(sets), draw(metas), **draw(_plain(AddressGroup)))
        for each in UUIDS[3 : 3 + draw(st.integers(0, 2))]
    ]
    rules = draw(_rules(group_ids, [each.id for each in lists], [each.id for each in networks]))
    objects: list[PolicyObject] = [*groups, *networks, *lists, *rules]
    objects += [_unmixed(port, groups) for port in draw(_ports(group_ids, networks))]
    policy = Policy()
    for obj in objects:
        assert check(obj) == []
        policy.objects[type(obj)][obj.id] = obj
    return policy


def _documents(policy: Policy) -> list[str]:
    return sorted(map(repr, yaml.safe_load_all(policy.export())))


def _values(network: Network) -> list[Any]:
    return [getattr(network, field) for field in strategies.plain_fields(Network)]


def _described_in(policy: Policy) -> Counter[tuple[object, ...]]:
    return Counter(
        (each.subnets, each.subnet_details, *_values(each))
        for each in policy.objects[Network].values()
        if isinstance(each, Network)
    )


def test_ethertypes_are_written_in_hexadecimal() -> None:
    policy = Policy()
    network = "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: n}\n---\n"
    port = "apiVersion: sgctl/v1\nkind: Port\nmetadata: {name: p}\n"
    policy.apply(f"{network}{port}spec: {{network: n, permitted_ethertypes: [0x88CC, 34825, 0x600]}}\n")
    (found,) = policy.objects[Port].values()
    assert isinstance(found, Port)
    assert found.permitted_ethertypes == {0x88CC, 0x8809, 0x0600}
    assert "['0x0600', '0x8809', '0x88cc']" in str(list(yaml.safe_load_all(policy.export())))


@given(policies())
@settings(max_examples=examples(60))
def test_an_export_can_be_applied_here_and_elsewhere(policy: Policy) -> None:
    exported = policy.export()
    here = policy.plan(exported)
    assert here.changes == ()
    assert {outcome.action for outcome in here.outcomes} == {ObjectAction.UNCHANGED}

    elsewhere = Policy()
    elsewhere.apply(exported)
    anew = Draft(PolicySnapshot({}))
    for obj in elsewhere.snapshot.everything():
        anew.put(obj)
    assert check_changes(anew)[1] == []
    assert _documents(elsewhere) == _documents(policy)
    assert _described_in(elsewhere) == _described_in(policy)
    assert elsewhere.plan(exported).changes == ()
    assert {kind: len(found) for kind, found in elsewhere.objects.items()} == {
        kind: len(found) for kind, found in policy.objects.items()
    }
