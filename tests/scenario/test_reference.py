"""Compares the scenarios' expectations with the reference verdict, without a switch."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from flows.policy.index import Policy
from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Prefix, Rule, SecurityGroup
from flows.reference.verdict import Conversation, Packet, PolicyText, judge
from lab.scenario import TOPOLOGIES, Cell, Edit, ExpectedVerdict, Scenario, find, load
from lab.scenario.expectations import choose_address
from lab.scenario.model import ProbedService, ScenarioInterface
from lab.scenario.services import ATTACKS
from sgctl.service.apply.planner import plan
from sgctl.service.manifests.files import read_files
from sgctl.store.snapshot import PolicySnapshot

CLIENT_PORT = 40000
ECHO_REQUEST = {4: (1, 8), 6: (58, 128)}


def apply(policy: Policy, edit: Edit, path: Path) -> None:
    path.write_text(yaml.safe_dump_all(edit.apply))
    objects: dict[type[PolicyObject], Mapping[str, PolicyObject]] = {
        Network: dict(policy.networks),
        SecurityGroup: dict(policy.groups),
        AddressGroup: dict(policy.address_groups),
        Rule: dict(policy.rules),
        Port: dict(policy.ports),
    }
    policy.apply(plan(PolicySnapshot(objects), read_files((str(path),), io.BytesIO())).changes)


def conversation(scenario: Scenario, cell: Cell, service: ProbedService) -> Conversation:
    source, target = (
        Prefix.parse(choose_address(scenario.endpoints[label], service.family) or "")
        for label in (cell.source, cell.target)
    )
    match service.kind:
        case "tcp":
            return Conversation(source, target, 6, CLIENT_PORT, service.number)
        case "udp":
            return Conversation(source, target, 17, CLIENT_PORT, service.number)
        case "icmp":
            return Conversation(source, target, *ECHO_REQUEST[service.family], 0)
    return Conversation(source, target, service.number, 0, 0)


def disagreements(scenario: Scenario, cells: dict[Cell, ExpectedVerdict], text: PolicyText) -> list[Cell]:
    ports = {port.name: port.id for port in text.ports.values()}
    networks = {network.name: network.id for network in text.networks.values()}

    def port(card: ScenarioInterface) -> str | None:
        return None if scenario.topology.is_external(card) else ports[card.port]

    found = []
    for cell, expected in cells.items():
        source, target = (scenario.endpoints[label].card for label in (cell.source, cell.target))
        header = conversation(scenario, cell, scenario.services[cell.service])
        packet = Packet(networks[source.network], port(source), port(target), header)
        if judge(text, packet).allowed is not (expected is ExpectedVerdict.ALLOW):
            found.append(cell)
    return found


@pytest.mark.parametrize("name", sorted(path.stem for path in TOPOLOGIES.glob("*.yaml")))
def test_expectations_agree_with_the_reference(name: str, tmp_path: Path) -> None:
    scenario = load(find(name))
    policy = Policy()
    for step in scenario.steps:
        assert not step.edit.delete
        apply(policy, step.edit, tmp_path / "step.yaml")
        cells = {cell: each.verdict for cell, each in step.cells.items() if cell.service not in ATTACKS}
        assert len(cells) > 50
        text = PolicyText(policy.networks, policy.ports, policy.address_groups, policy.rules, policy.groups)
        assert not disagreements(scenario, cells, text), step.name
