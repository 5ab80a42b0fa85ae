from __future__ import annotations

from pathlib import Path

import pytest

from flows.policy.objects import Network, Port, Rule, SecurityGroup
from sgctl.service.names import resolve
from sgctl.service.plan import ObjectAction
from tests.unit.manifests_support import Policy

PRINTED = Path("topologies/evroc-tiers/policy.yaml").read_text(encoding="utf-8")
NETWORK = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: default-sto-1-a}
spec: {subnets: [10.0.0.0/24], defaults: evroc}
"""


def _group(rules: str) -> str:
    return f"""
apiVersion: networking.evroclabs.net/v1alpha1
kind: SecurityGroup
metadata: {{name: web}}
spec:
  rules:
{rules}
"""


def _machine(name: str, *groups: str) -> str:
    members = "".join(f"      - name: {group}\n" for group in groups)
    return f"""
apiVersion: compute.evroclabs.net/v1alpha1
kind: VirtualMachine
metadata: {{name: {name}}}
spec:
  networking:
    securityGroups:
      securityGroupMemberships:{" []" if not groups else ""}
{members}
"""


def _card(name: str, spec: str) -> str:
    head = f"apiVersion: sgctl/v1\nkind: Port\nmetadata: {{name: {name}}}\n"
    return head + f"spec: {{network: default-sto-1-a, {spec}}}\n"


def _rules(policy: Policy, group: str) -> list[tuple[str, str, int | None, int | None, str]]:
    draft = policy.draft()
    rules = draft.where(Rule, "group_id", resolve(draft, SecurityGroup, group).id)
    shown = []
    for rule in rules:
        group_name = draft.get(SecurityGroup, rule.remote_group_id) if rule.remote_group_id else None
        network = draft.get(Network, rule.remote_network_id) if rule.remote_network_id else None
        remote = str(rule.remote_ip_prefix or (group_name or network or rule).name)
        shown.append((str(rule.direction), str(rule.ethertype), rule.protocol, rule.port_range_min, remote))
    return shown


def _groups(policy: Policy, port: str) -> set[str]:
    draft = policy.draft()
    return {draft.get(SecurityGroup, each).name for each in resolve(draft, Port, port).security_groups}  # type: ignore[union-attr]


def test_the_printed_manifests_become_the_printed_tiers() -> None:
    policy = Policy()
    policy.apply(NETWORK, PRINTED)
    assert _rules(policy, "jumphostSG") == [
        ("ingress", "IPv4", 6, 22, "0.0.0.0/0"),
        ("egress", "IPv4", 6, 22, "allowSSHFromJumphostSG"),
        ("egress", "IPv6", 6, 22, "allowSSHFromJumphostSG"),
    ]
    assert _rules(policy, "webSG") == [
        ("ingress", "IPv4", 6, 80, "0.0.0.0/0"),
        ("ingress", "IPv4", 6, 443, "0.0.0.0/0"),
        ("egress", "IPv4", 6, 8080, "appSG"),
        ("egress", "IPv6", 6, 8080, "appSG"),
    ]
    assert _groups(policy, "jumphost") == {"jumphostSG"}
    assert _groups(policy, "app") == {"appSG", "allowSSHFromJumphostSG"}
    ports = list(policy.draft().all(Port))
    assert sorted(str(address) for port in ports for address in port.fixed_ips) == [
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.4",
        "10.0.0.5",
    ]
    assert len({port.mac for port in ports}) == 4


def test_applying_the_printed_manifests_again_changes_nothing() -> None:
    policy = Policy()
    policy.apply(NETWORK, PRINTED)
    again = policy.apply(PRINTED, NETWORK)
    assert again.changes == ()
    assert {outcome.action for outcome in again.outcomes} == {ObjectAction.UNCHANGED}


def test_a_machine_sets_the_groups_of_every_port_with_its_device_id() -> None:
    policy = Policy()
    policy.apply(NETWORK, PRINTED)
    policy.apply(
        _card("card1", "device_id: pair"), _card("card2", "device_id: pair"), _machine("pair", "webSG")
    )
    assert _groups(policy, "card1") == _groups(policy, "card2") == {"webSG"}
    policy.apply(_machine("pair", "appSG", "databaseSG"))
    assert _groups(policy, "card2") == {"appSG", "databaseSG"}
    policy.apply(_machine("pair"))
    assert _groups(policy, "card1") == set()


def test_a_machine_and_a_port_that_contradict_each_other_are_refused() -> None:
    card = _card("m", "security_groups: [webSG]")
    problems = Policy().problems(NETWORK, PRINTED, card, _machine("m", "appSG"))
    assert [(field, reason) for _, field, reason in problems] == [
        (
            "spec.networking.securityGroups.securityGroupMemberships",
            "contradicts the security_groups of port m in 2.yaml: document 1: Port m",
        )
    ]


@pytest.mark.parametrize(
    ("networks", "reason"),
    [
        ([], "there is no network for a new port"),
        (["a", "b"], "there are 2 networks to choose from"),
    ],
)
def test_a_machine_without_a_port_needs_exactly_one_network(networks: list[str], reason: str) -> None:
    texts = [NETWORK.replace("default-sto-1-a", name).replace("10.0.0", f"10.0.{name}") for name in networks]
    texts = [text.replace("10.0.a", "10.0.1").replace("10.0.b", "10.0.2") for text in texts]
    findings = Policy().findings(*texts, _machine("alone"))
    assert [finding.field for finding in findings] == ["metadata.name"]
    assert reason in findings[0].reason


def test_protocols_ranges_and_remotes() -> None:
    policy = Policy()
    policy.apply(
        NETWORK,
        _group("""
  - {direction: Ingress, protocol: TCP, port: 1000-1100}
  - {direction: Ingress, protocol: ICMP, remote: {address: {IPAddressOrCIDR: 2001:db8::1}}}
  - {direction: Egress, protocol: ICMP}
  - {direction: Egress, protocol: All, remote: {subnetRef: {name: default-sto-1-a}}}
  - {direction: Ingress, protocol: UDP, remote: {securityGroupRef: {name: web}}}
"""),
    )
    web = resolve(policy.draft(), SecurityGroup, "web").id
    rules = policy.draft().where(Rule, "group_id", web)
    assert [
        (rule.ethertype.version, rule.protocol, rule.port_range_min, rule.port_range_max) for rule in rules
    ] == [
        (4, 6, 1000, 1100),
        (6, 6, 1000, 1100),
        (6, 58, None, None),
        (4, 1, None, None),
        (6, 58, None, None),
        (4, None, None, None),
        (6, None, None, None),
        (4, 17, None, None),
        (6, 17, None, None),
    ]
    assert [remote for *_, remote in _rules(policy, "web")][-4:] == ["default-sto-1-a"] * 2 + ["web"] * 2


@pytest.mark.parametrize("protocol", ["All", "ICMP"])
@pytest.mark.parametrize("port", ["80", "1000-1100"])
def test_ports_on_all_and_icmp_are_refused(protocol: str, port: str) -> None:
    rule = f"  - {{direction: Ingress, protocol: {protocol}, port: {port}}}"
    assert Policy().problems(_group(rule)) == [
        (7, "spec.rules[0].port", f"only goes with the protocols TCP and UDP, not with {protocol}")
    ]


def test_the_default_group_is_made_once_and_means_what_evroc_says() -> None:
    policy = Policy()
    outcomes = policy.apply(NETWORK).outcomes
    assert [(each.kind, each.name, each.action) for each in outcomes] == [
        ("Network", "default-sto-1-a", ObjectAction.CREATED),
        ("SecurityGroup", "default-default-sto-1-a", ObjectAction.CREATED),
    ]
    network = resolve(policy.draft(), Network, "default-sto-1-a")
    assert network.default_group == resolve(policy.draft(), SecurityGroup, "default-default-sto-1-a").id
    assert [rule[:3] + rule[4:] for rule in _rules(policy, "default-default-sto-1-a")] == [
        ("egress", "IPv4", None, "all-egress"),
        ("egress", "IPv6", None, "all-egress"),
        ("ingress", "IPv4", None, "default-sto-1-a"),
        ("ingress", "IPv6", None, "default-sto-1-a"),
    ]
    assert policy.apply(NETWORK).changes == ()


def test_a_default_group_that_exists_is_left_alone() -> None:
    policy = Policy()
    named = NETWORK.replace("defaults: evroc", "defaults: evroc, default_group: web")
    policy.apply(named, _group("  - {direction: Egress, protocol: All}"))
    assert resolve(policy.draft(), Network, "default-sto-1-a").default_group is not None
    assert [rule[:2] for rule in _rules(policy, "web")] == [("egress", "IPv4"), ("egress", "IPv6")]
