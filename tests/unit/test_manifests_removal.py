from __future__ import annotations

import pytest

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.service.delete import Target, plan_removal, target_of
from sgctl.service.errors import Code, PolicyError
from sgctl.service.manifests.documents import documents
from sgctl.service.names import resolve
from tests.unit.manifests_support import Policy

POLICY = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
spec: {subnets: [10.0.0.0/24], defaults: evroc}
---
apiVersion: sgctl/v1
kind: AddressGroup
metadata: {name: monitors}
spec: {addresses: [192.0.2.1]}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: web}
spec:
  rules:
  - {direction: ingress, remote_group: web}
  - {direction: ingress, remote_address_group: monitors}
  - {direction: egress, remote_group: app}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: app}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: web1}
spec: {network: blue, security_groups: [web], device_id: vm}
---
apiVersion: compute.evroclabs.net/v1alpha1
kind: VirtualMachine
metadata: {name: spare}
"""


@pytest.fixture
def policy() -> Policy:
    policy = Policy()
    policy.apply(POLICY)
    return policy


def _refusals(policy: Policy, *targets: tuple[type[PolicyObject] | None, str]) -> list[tuple[str, Code]]:
    before = {kind: dict(objects) for kind, objects in policy.objects.items()}
    with pytest.raises(PolicyError) as caught:
        policy.delete(*targets)
    assert policy.objects == before
    return [(str(finding), finding.code) for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (SecurityGroup, "web", "SecurityGroup web: in use by port web1"),
        (SecurityGroup, "app", "SecurityGroup app: in use by rule 22 of security group web"),
        (AddressGroup, "monitors", "AddressGroup monitors: in use by rule 21 of security group web"),
        (Network, "blue", "Network blue: in use by port web1, port spare"),
        (SecurityGroup, "default-blue", "SecurityGroup default-blue: in use by network blue"),
    ],
)
def test_objects_in_use_are_not_deleted(
    policy: Policy, kind: type[PolicyObject], name: str, message: str
) -> None:
    assert _refusals(policy, (kind, name)) == [(message, Code.IN_USE)]


def test_every_refusal_is_listed(policy: Policy) -> None:
    messages = [
        message
        for message, _ in _refusals(policy, (SecurityGroup, "web"), (Port, "x"), (SecurityGroup, "app"))
    ]
    assert messages == [
        "there is no port 'x'",
        "SecurityGroup web: in use by port web1",
    ]


def test_users_and_used_can_go_together(policy: Policy) -> None:
    policy.delete((SecurityGroup, "app"), (Port, "web1"), (SecurityGroup, "web"))
    assert {group.name for group in policy.draft().all(SecurityGroup)} == {"default-blue"}
    assert {resolve(policy.draft(), SecurityGroup, "default-blue").id} == {
        rule.group_id for rule in policy.draft().all(Rule)
    }


def test_the_default_group_of_a_network_is_deleted_with_it(policy: Policy) -> None:
    policy.delete((Port, "web1"), (None, "spare"), (Network, "blue"))
    assert {group.name for group in policy.draft().all(SecurityGroup)} == {"web", "app"}


def test_a_default_group_that_others_use_stays(policy: Policy) -> None:
    green = (
        "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: green}\nspec: {default_group: default-blue}"
    )
    policy.apply(green)
    messages = [
        message for message, _ in _refusals(policy, (Port, "web1"), (Port, "spare"), (Network, "blue"))
    ]
    assert len(messages) == 1
    assert messages[0].startswith("Network blue: in use by rule ")


def test_one_rule_by_its_number(policy: Policy) -> None:
    policy.delete((Rule, "21"))
    assert sorted(rule.number for rule in policy.draft().all(Rule)) == [16, 17, 18, 19, 20, 22]


def test_a_deleted_machine_deletes_its_own_port_and_clears_other_ports(policy: Policy) -> None:
    policy.delete((None, "vm"), (None, "spare"))
    assert [(port.name, port.security_groups) for port in policy.draft().all(Port)] == [("web1", frozenset())]


def test_deleting_what_the_manifests_state_leaves_nothing(policy: Policy) -> None:
    targets = [target_of(document) for document in documents(POLICY.encode(), "policy.yaml")]
    assert None not in targets
    policy.carry_out(plan_removal(policy.snapshot, [target for target in targets if target is not None]))
    assert not any(policy.objects.values())


def test_missing_objects_can_be_ignored_but_ambiguous_ones_not(policy: Policy) -> None:
    targets = [Target(Port, "x"), Target(None, "y"), Target(Port, "web1")]
    decided = plan_removal(policy.snapshot, targets, ignore_missing=True)
    assert [outcome.name for outcome in decided.outcomes] == ["web1"]
    twin = "apiVersion: sgctl/v1\nkind: SecurityGroup\nmetadata: {name: app, id: %s}"
    twin %= "00000000-0000-4000-8000-000000000001"
    policy.apply(twin)
    with pytest.raises(PolicyError, match="2 security groups are called 'app'"):
        plan_removal(policy.snapshot, [Target(SecurityGroup, "app")], ignore_missing=True)
