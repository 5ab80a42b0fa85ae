"""Reachability: the fast computation for all ports, compared with the reference verdict of every pair."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.policy.index import Policy
from flows.policy.objects import (
    Change,
    Direction,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from flows.reference.verdict import Conversation, Packet, PolicyText, judge
from sgctl.explain.expected import text_of
from sgctl.explain.question import ServiceQuestion
from sgctl.explain.reach import Reach
from sgctl.explain.services import Services
from tests.examples import examples
from tests.unit.strategies import ICMP_TYPES, PORT_EDGES, PORTS, policies

SERVICES = [
    ServiceQuestion(protocol=47),
    *(ServiceQuestion(protocol=proto, port=port) for proto in (6, 17, 132) for port in PORT_EDGES),
    *(
        ServiceQuestion(icmp_type=kind, icmp_code=code)
        for kinds in ICMP_TYPES.values()
        for kind in kinds
        for code in (0, 1, 2)
    ),
]


def taken_in(
    objects: list[PolicyObject], bound: frozenset[str] = frozenset(PORTS)
) -> tuple[Policy, PolicyText]:
    policy = Policy()
    policy.apply_bound(dict.fromkeys(bound, True))
    policy.apply(Change(None, each) for each in objects)
    return policy, text_of(policy)


def reachable(text: PolicyText, source: Port, target: Port, service: ServiceQuestion, version: int) -> bool:
    """By the reference: some pair of addresses works. Anti-spoofing is not considered."""
    return any(
        judge(
            text,
            Packet(
                source.network_id,
                source.id,
                target.id,
                Conversation(one, other, *service.numbers(version)),
            ),
        ).allowed
        for one in source.fixed_ips
        for other in target.fixed_ips
        if one.version == other.version == version
    )


@settings(max_examples=examples(300))
@given(policies(), st.frozensets(st.sampled_from(PORTS)), st.sampled_from(SERVICES), st.sampled_from([4, 6]))
def test_agrees_with_the_reference(
    objects: list[PolicyObject], bound: frozenset[str], service: ServiceQuestion, version: int
) -> None:
    policy, text = taken_in(objects, bound)
    reach = Reach(policy, service, version)
    for source in text.ports.values():
        targets = {each.port.id for each in reach.targets(source)}
        expected = {
            target.id
            for target in text.ports.values()
            if target.id != source.id
            and target.network_id == source.network_id
            and reachable(text, source, target, service, version)
        }
        assert targets == expected
        for target in text.ports.values():
            assert (source.id in {each.port.id for each in reach.sources(target)}) == (
                target.id in {each.port.id for each in reach.targets(source)}
            )


@settings(max_examples=examples(100))
@given(policies(), st.sampled_from([4, 6]))
def test_without_a_service_it_is_every_service(objects: list[PolicyObject], version: int) -> None:
    policy, text = taken_in(objects)
    reach = Reach(policy, ServiceQuestion(), version)
    for source in text.ports.values():
        found = {each.port.id: each.services for each in reach.targets(source)}
        for target in text.ports.values():
            if target.id == source.id or target.network_id != source.network_id:
                assert target.id not in found
                continue
            services = found.get(target.id, Services())
            for service in SERVICES:
                listed = bool(services & service.meant(version))
                assert listed == reachable(text, source, target, service, version), (service, services)


def test_services_are_listed_as_both_sides_allow_them() -> None:
    objects: list[PolicyObject] = [
        Network("net", "net"),
        SecurityGroup("c", "c"),
        SecurityGroup("s", "s"),
        *(
            Rule(f"e{n}", 20 + n, "c", Direction.EGRESS, Ethertype.IPV4, *service)
            for n, service in enumerate([(6, 1, 1023), (17, 53, 53), (1, None, None), (132, 1, 9)])
        ),
        *(
            Rule(f"i{n}", 30 + n, "s", Direction.INGRESS, Ethertype.IPV4, *service)
            for n, service in enumerate(
                [(6, 80, 90), (6, 91, 8080), (17, None, None), (1, 8, 0), (1, 3, None), (132, 10, 10)]
            )
        ),
        Port("p", "p", "net", "02:00:00:00:00:01", "p", (Prefix.parse("10.0.0.1"),), frozenset(["c"])),
        Port("q", "q", "net", "02:00:00:00:00:02", "q", (Prefix.parse("10.0.0.2"),), frozenset(["s"])),
    ]
    policy, _ = taken_in(objects)
    (found,) = Reach(policy, ServiceQuestion(), 4).targets(policy.ports["p"])
    assert found.services.shown() == ["icmp type 3", "icmp type 8 code 0", "tcp/80-1023", "udp/53"]
    assert (found.egress, found.ingress) == ((20, 21, 22), (30, 31, 32, 33, 34))
    (found,) = Reach(policy, ServiceQuestion(protocol=17), 4).targets(policy.ports["p"])
    assert (found.services.shown(), found.egress, found.ingress) == (["udp/53"], (21,), (32,))
    assert not Reach(policy, ServiceQuestion(protocol=132), 4).targets(policy.ports["p"])


def large_policy(ports: int) -> list[PolicyObject]:
    """Ten tiers of ports; each can be reached from the tier before it, on a separate TCP port."""
    tiers = 10
    groups = [SecurityGroup(f"g{n}", f"tier{n}") for n in range(tiers)]
    ingress = [
        Rule(
            f"r{n}", 100 + n, f"g{n}", Direction.INGRESS, Ethertype.IPV4, 6, 3306, 3306,
            remote_group_id=f"g{(n - 1) % tiers}",
        )
        for n in range(tiers)
    ]  # fmt: skip
    egress = [Rule(f"e{n}", 200 + n, f"g{n}", Direction.EGRESS, Ethertype.IPV4) for n in range(tiers)]
    made = [
        Port(
            f"p{n}", f"p{n}", "net", f"02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}", f"p{n}",
            (Prefix(4, (10 << 24) + n + 1, 32),), frozenset([f"g{n % tiers}"]),
        )
        for n in range(ports)
    ]  # fmt: skip
    return [Network("net", "net"), *groups, *ingress, *egress, *made]


@pytest.mark.parametrize("service", [ServiceQuestion(port=3306), ServiceQuestion()])
def test_ten_thousand_ports_are_evaluated_quickly(service: ServiceQuestion) -> None:
    policy, _ = taken_in(large_policy(10_000))
    begin = time.monotonic()
    reach = Reach(policy, service, 4)
    sources = reach.sources(policy.ports["p4"])
    elapsed = time.monotonic() - begin
    assert len(sources) == 1000
    assert all(each.port.security_groups == {"g3"} for each in sources)
    assert {(each.egress, each.ingress) for each in sources} == {((203,), (104,))}
    assert elapsed < 3.0


def test_outside_lists_the_remotes_that_rules_name() -> None:
    objects: list[PolicyObject] = [
        Network("net", "net"),
        SecurityGroup("g", "g"),
        Port("p", "p", "net", "02:00:00:00:00:01", "p", (Prefix.parse("10.0.0.1"),), frozenset(["g"])),
        Rule("a", 20, "g", Direction.INGRESS, Ethertype.IPV4, 6, 22, 22, Prefix.parse("192.0.2.0/24")),
        Rule("b", 21, "g", Direction.INGRESS, Ethertype.IPV4, 6, 80, 80),
    ]
    policy, _ = taken_in(objects)
    port = policy.ports["p"]
    assert [
        (o.remote, o.rule)
        for o in Reach(policy, ServiceQuestion(port=22), 4).outside(port, Direction.INGRESS)
    ] == [("192.0.2.0/24", 20)]
    assert [
        (o.remote, o.rule)
        for o in Reach(policy, ServiceQuestion(port=80), 4).outside(port, Direction.INGRESS)
    ] == [("anywhere", 21)]
    assert Reach(policy, ServiceQuestion(port=80), 6).outside(port, Direction.INGRESS) == []


@pytest.mark.parametrize("protocol", [None, 6, 17, 47])
def test_a_service_is_read_as_in_the_reference(protocol: int | None) -> None:
    rule = Rule("r", 16, "g", Direction.INGRESS, Ethertype.IPV4, protocol)
    policy, _ = taken_in([Network("net", "net"), SecurityGroup("g", "g"), rule])
    assert Reach(policy, ServiceQuestion(protocol=47), 4).is_service(rule) == (protocol in (None, 47))
