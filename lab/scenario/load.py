"""Reads a scenario file: YAML, checked against the schema, then for problems that a schema cannot find."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from lab.scenario.expectations import ExpectationReader
from lab.scenario.model import Document, Edit, Scenario, ScenarioError, Step, Topology
from lab.scenario.policy import Documents, identity, manifest, port_document
from lab.scenario.problems import Problems
from lab.scenario.topology import TopologyReader, network_specs

TOPOLOGIES = Path(__file__).resolve().parents[2] / "topologies"
SCHEMA = TOPOLOGIES / "schema.json"


def find(name: str) -> Path:
    """The file with this path, or the scenario in `topologies/` with this name (`evroc-tiers`).

    Raises ScenarioError when there is no such file.
    """
    for path in (Path(name), TOPOLOGIES / f"{name}.yaml", TOPOLOGIES / name / "scenario.yaml"):
        if path.is_file():
            return path
    known = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml"))
    raise ScenarioError([f"{name}: no such file, and no scenario of that name; there is {', '.join(known)}"])


def load(path: Path) -> Scenario:
    """Read and check one scenario file. Raises ScenarioError with every problem found."""
    problems = Problems(path)
    data = _read_yaml(path, problems)
    listed = _policy_documents(path, data, problems)
    topology = _read_topology(data, listed, problems)
    documents = Documents([*_generated(data, topology, listed), *listed])
    for reason in documents.problems:
        problems.add("policy", reason)
    reader = ExpectationReader(topology, data.get("sets", {}), problems)
    steps = _read_steps(data, documents, reader, problems)
    problems.raise_any()
    description = data.get("description", "")
    return Scenario(data["name"], description, topology, steps, reader.endpoints, reader.services)


def _read_steps(
    data: Mapping[str, Any], documents: Documents, reader: ExpectationReader, problems: Problems
) -> tuple[Step, ...]:
    steps = [Step("initial policy", Edit(documents.all()), reader.read("", data))]
    for number, section in enumerate(data.get("steps", ())):
        field = f"steps[{number}]"
        try:
            edit = documents.edit(section)
        except ValueError as error:
            problems.add(field, str(error))
            edit = Edit()
        steps.append(Step(section["name"], edit, reader.read(field, section)))
    if not steps[-1].cells:
        problems.add("expect", "nothing to probe: neither grid nor expect names a pair of hosts")
    return tuple(steps)


def _read_topology(data: Mapping[str, Any], listed: list[Document], problems: Problems) -> Topology:
    ports = {name: document for document in listed for kind, name in [identity(document)] if kind == "Port"}
    return TopologyReader(data, network_specs(data, listed), ports, problems).read()


def _generated(data: Mapping[str, Any], topology: Topology, listed: list[Document]) -> list[Document]:
    """Documents of networks and ports that the file describes and the policy does not contain."""
    present = {identity(document) for document in listed}
    networks = [manifest("Network", name, spec or {}) for name, spec in data["networks"].items()]
    ports = [port_document(card) for card in topology.interfaces() if not topology.is_external(card)]
    return [document for document in networks + ports if identity(document) not in present]


def _policy_documents(path: Path, data: Mapping[str, Any], problems: Problems) -> list[Document]:
    documents: list[Document] = []
    validator = Draft202012Validator(_schema()["$defs"]["documents"])
    for number, name in enumerate(data.get("policy_files", ())):
        field = f"policy_files[{number}]"
        try:
            found = _read_documents(path.parent / name)
        except (OSError, yaml.YAMLError) as error:
            problems.add(field, str(error))
            continue
        broken = [error.message for error in validator.iter_errors(found)]
        for message in broken:
            problems.add(field, message)
        documents += [] if broken else found
    return documents + list(data.get("policy", ()))


def _read_documents(path: Path) -> list[Document]:
    with path.open(encoding="utf-8") as stream:
        loaded = yaml.load_all(stream, Loader=_UniqueKeyLoader)
        return [document for document in loaded if document is not None]


def _read_yaml(path: Path, problems: Problems) -> dict[str, Any]:
    """The file's only document, checked against the schema."""
    try:
        documents = _read_documents(path)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ScenarioError([f"{path}: {error}"]) from error
    if len(documents) != 1:
        problems.add("file", f"one YAML document is expected, {len(documents)} found")
    for document in documents:
        errors = Draft202012Validator(_schema()).iter_errors(document)
        for finding in sorted(errors, key=lambda finding: finding.json_path):
            problems.add(finding.json_path.removeprefix("$").removeprefix(".") or "file", finding.message)
    problems.raise_any()
    return documents[0]


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice; plain YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
