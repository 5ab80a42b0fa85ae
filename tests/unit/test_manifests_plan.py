"""What a plan creates, changes and leaves unchanged."""

from __future__ import annotations

import pytest

from flows.policy.objects import AddressPair, EgressDefault, Network, Port, Prefix, Rule, SecurityGroup
from sgctl.service import protocols
from sgctl.service.names import resolve
from sgctl.service.plan import ObjectAction
from tests.unit.manifests_support import Policy

NETWORK = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
spec: {subnets: [10.0.0.0/29, 'fd00::/64']}
"""


def _group(rules: str, name: str = "web", more: str = "") -> str:
    head = f"apiVersion: sgctl/v1\nkind: SecurityGroup\nmetadata: {{name: {name}{more}}}\nspec:\n"
    listed = "".join(f"  - {{{rule}}}\n" for rule in rules.split("\n") if rule)
    return head + (f"  rules:\n{listed}" if listed else "  rules: []\n")


def _port(name: str, spec: str = "") -> str:
    return f"apiVersion: sgctl/v1\nkind: Port\nmetadata: {{name: {name}}}\nspec: {{network: blue{spec}}}\n"


def _rules(policy: Policy, group: str = "web") -> list[Rule]:
    draft = policy.draft()
    return draft.where(Rule, "group_id", resolve(draft, SecurityGroup, group).id)


def _named(policy: Policy, name: str) -> Port:
    return resolve(policy.draft(), Port, name)


def test_unchanged_rules_keep_id_and_number_and_changed_ones_are_new() -> None:
    policy = Policy()
    policy.apply(
        _group("direction: ingress, protocol: tcp, ports: 80\ndirection: ingress, protocol: tcp, ports: 22")
    )
    first = {rule.port_range_min: rule for rule in _rules(policy)}
    decided = policy.apply(
        _group(
            "direction: ingress, protocol: tcp, ports: 23\n"
            "direction: ingress, protocol: 6, ports: 80, name: http"
        )
    )
    second = {rule.port_range_min: rule for rule in _rules(policy)}
    assert (second[80].id, second[80].number, second[80].name) == (first[80].id, first[80].number, "http")
    assert second[23].id != first[22].id
    assert second[23].number > first[22].number
    assert [outcome.detail for outcome in decided.outcomes] == ["1 rule added, 1 removed, 1 renamed"]
    assert decided.outcomes[0].action is ObjectAction.UPDATED


def test_the_order_of_rules_and_documents_does_not_matter() -> None:
    policy = Policy()
    policy.apply(
        _group("direction: ingress, protocol: udp\ndirection: egress, remote_group: app"), _group("", "app")
    )
    again = policy.apply(
        _group("", "app"), _group("direction: egress, remote_group: app\ndirection: ingress, protocol: 17")
    )
    assert again.changes == ()


@pytest.mark.parametrize(
    ("rule", "ethertype", "protocol", "low", "high"),
    [
        ("direction: ingress", 4, None, None, None),
        ("direction: ingress, protocol: any", 4, None, None, None),
        ("direction: ingress, remote_ip_prefix: '::/0'", 6, None, None, None),
        ("direction: ingress, protocol: icmp, type: 8, code: 0", 4, 1, 8, 0),
        ("direction: ingress, protocol: icmp, ethertype: IPv6", 6, 58, None, None),
        ("direction: ingress, protocol: icmpv6, type: 128", 6, 58, 128, None),
        ("direction: ingress, protocol: ipv6-icmp", 6, 58, None, None),
        ("direction: ingress, protocol: hopopt", 4, 0, None, None),
        ("direction: ingress, protocol: '6', ports: '80'", 4, 6, 80, 80),
        ("direction: ingress, protocol: UDP, ports: 6000-6003", 4, 17, 6000, 6003),
        ("direction: ingress, protocol: sctp, port_range_min: 1, port_range_max: 2", 4, 132, 1, 2),
        ("direction: ingress, protocol: icmp, port_range_min: 3", 4, 1, 3, None),
    ],
)
def test_rules_of_manifests(
    rule: str, ethertype: int, protocol: int | None, low: int | None, high: int | None
) -> None:
    policy = Policy()
    policy.apply(_group(rule))
    (read,) = _rules(policy)
    assert (read.ethertype.version, read.protocol, read.port_range_min, read.port_range_max) == (
        ethertype,
        protocol,
        low,
        high,
    )


def test_protocol_names_are_one_to_one_and_read_back() -> None:
    for number in range(1, 256):
        assert protocols.parse(protocols.show(number)) == number
    assert protocols.parse(protocols.show(0)) == 0
    assert protocols.parse(protocols.show(None)) is None


def test_openstacks_default_rules_are_added_on_request() -> None:
    policy = Policy()
    text = _group("direction: egress, name: mine").replace("spec:\n", "spec:\n  default_rules: openstack\n")
    policy.apply(text)
    assert [(rule.direction, rule.ethertype.version, rule.name) for rule in _rules(policy)] == [
        ("egress", 4, "mine"),
        ("egress", 6, ""),
    ]
    assert policy.apply(text).changes == ()


@pytest.mark.parametrize(
    ("spec", "egress"),
    [
        ("{}", "deny"),
        ("{defaults: openstack}", "deny"),
        ("{defaults: exoscale}", "open-until-rule"),
        ("{defaults: cloudstack}", "open-until-rule"),
        ("{defaults: exoscale, egress_default: deny}", "deny"),
        ("{egress_default: open-until-rule}", "open-until-rule"),
    ],
)
def test_profiles_of_a_network(spec: str, egress: str) -> None:
    policy = Policy()
    policy.apply(f"apiVersion: sgctl/v1\nkind: Network\nmetadata: {{name: n}}\nspec: {spec}\n")
    network = resolve(policy.draft(), Network, "n")
    assert (network.egress_default, network.default_group) == (EgressDefault(egress), None)


def test_a_port_gets_and_keeps_attributes_that_its_document_omits() -> None:
    policy = Policy()
    policy.apply(NETWORK, _port("a", ", fixed_ips: [10.0.0.2]"), _port("b"))
    port = _named(policy, "b")
    assert (port.iface_id, list(map(str, port.fixed_ips))) == ("b", ["10.0.0.3", "fd00::2"])
    assert int(port.mac[:2], 16) & 3 == 2
    assert policy.apply(_port("b")).changes == ()
    policy.apply(_port("b", ", fixed_ips: []"))
    assert _named(policy, "b").fixed_ips == ()
    assert _named(policy, "b").mac == port.mac


def test_a_full_subnet_is_an_error_and_not_a_port_without_an_address() -> None:
    policy = Policy()
    policy.apply(NETWORK, *(_port(name) for name in "abcde"))
    assert {str(_named(policy, name).fixed_ips[0]) for name in "abcde"} == {
        f"10.0.0.{last}" for last in range(2, 7)
    }
    assert policy.problems(_port("f")) == [(4, "spec.fixed_ips", "no free address is left in 10.0.0.0/29")]


def test_a_document_states_the_whole_object() -> None:
    policy = Policy()
    pair = "{ip_address: 10.0.0.4/30, mac_address: '02:00:00:00:00:AA'}"
    full = ", mac_address: '02:00:00:00:00:0A', security_groups: [web]"
    full += f", allowed_address_pairs: [{pair}, {{ip_address: '::/0'}}]"
    policy.apply(NETWORK, _group(""), _port("a", full))
    port = _named(policy, "a")
    assert port.mac == "02:00:00:00:00:0a"
    assert port.allowed_address_pairs == (
        AddressPair("02:00:00:00:00:aa", Prefix.parse("10.0.0.4/30")),
        AddressPair("02:00:00:00:00:0a", Prefix.parse("::/0")),
    )
    policy.apply(_port("a"))
    port = _named(policy, "a")
    assert (port.security_groups, port.allowed_address_pairs) == (frozenset(), ())


def test_a_port_that_moves_to_another_network_gets_addresses_there() -> None:
    policy = Policy()
    red = NETWORK.replace("blue", "red").replace("10.0.0.0", "10.0.1.0")
    policy.apply(NETWORK, red, _port("a", ", fixed_ips: [10.0.0.5]"))
    policy.apply(_port("a").replace("network: blue", "network: red"))
    assert list(map(str, _named(policy, "a").fixed_ips)) == ["10.0.1.2", "fd00::2"]


def test_metadata_and_renaming_by_id() -> None:
    policy = Policy()
    policy.apply(_group("direction: ingress", more=", description: one, tags: [a, b], project_id: p"))
    group = resolve(policy.draft(), SecurityGroup, "web", "p")
    assert (group.meta.description, group.meta.tags, group.meta.project_id) == ("one", frozenset("ab"), "p")
    policy.apply(_group("direction: ingress, remote_group: site", "site", f", id: {group.id}"))
    renamed = resolve(policy.draft(), SecurityGroup, "site", "p")
    assert (renamed.id, renamed.meta.description, renamed.meta.project_id) == (group.id, "", "p")
    assert [rule.remote_group_id for rule in _rules(policy, group.id)] == [group.id]
