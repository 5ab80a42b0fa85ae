"""Manifest documents as read from a file, before they are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, SecurityGroup
from sgctl.service.errors import Code, Finding, PolicyError, Source
from sgctl.service.manifests.yaml_reader import Path, YamlDocument, YamlError, read

OWN = "sgctl/v1"
EVROC_NETWORKING = "networking.evroclabs.net/v1alpha1"
EVROC_COMPUTE = "compute.evroclabs.net/v1alpha1"

Spec = Mapping[str, Any]
"""A mapping of a document. Its values have the types that the JSON schema gives them, once it was checked."""


@dataclass(frozen=True, slots=True)
class ManifestKind:
    """A kind of document: its JSON Schema and the kind of policy object, None for a virtual machine."""

    api_version: str
    kind: str
    schema: str
    object_kind: type[PolicyObject] | None


MANIFEST_KINDS = {
    (known.api_version, known.kind): known
    for known in (
        ManifestKind(OWN, "Network", "network.json", Network),
        ManifestKind(OWN, "AddressGroup", "address-group.json", AddressGroup),
        ManifestKind(OWN, "SecurityGroup", "security-group.json", SecurityGroup),
        ManifestKind(OWN, "Port", "port.json", Port),
        ManifestKind(EVROC_NETWORKING, "SecurityGroup", "evroc-security-group.json", SecurityGroup),
        ManifestKind(EVROC_COMPUTE, "VirtualMachine", "evroc-virtual-machine.json", None),
    )
}


@dataclass(frozen=True, eq=False)
class Document:
    """One document: `data` is plain dicts, lists, strings, integers, booleans and None.

    `source` identifies the document in messages. `yaml` has the lines of its values, None if it was not read
    from YAML. `default_project` is the project of a document that names none.
    """

    data: object
    source: Source = field(default_factory=Source)
    yaml: YamlDocument | None = field(default=None, repr=False)
    default_project: str = ""

    @classmethod
    def of(cls, data: object, file: str = "", number: int = 0, yaml: YamlDocument | None = None) -> Document:
        """A document whose `source` has the kind and name from `data`."""
        metadata = _text_mapping(data).get("metadata")
        kind, name = _text_mapping(data).get("kind"), _text_mapping(metadata).get("name")
        source = Source(
            file, number, kind if isinstance(kind, str) else "", name if isinstance(name, str) else ""
        )
        return cls(data, source, yaml)

    @property
    def kind(self) -> ManifestKind | None:
        """The document's kind; None if it is unknown."""
        mapping = _text_mapping(self.data)
        version, kind = mapping.get("apiVersion"), mapping.get("kind")
        if isinstance(version, str) and isinstance(kind, str):
            return MANIFEST_KINDS.get((version, kind))
        return None

    @property
    def metadata(self) -> Spec:
        """The metadata mapping; empty if missing or malformed."""
        return _text_mapping(_text_mapping(self.data).get("metadata"))

    @property
    def project(self) -> str:
        """The document's project: names in the document refer to objects of this project."""
        stated = self.metadata.get("project_id")
        return stated if isinstance(stated, str) else self.default_project

    @property
    def spec(self) -> Spec:
        """The spec mapping; empty if missing or malformed."""
        return _text_mapping(_text_mapping(self.data).get("spec"))

    def finding(self, path: Path, reason: str, code: Code = Code.INVALID) -> Finding:
        """A problem with the value at `path`."""
        return Finding(self.source, show_path(path), reason, code, self.yaml.line(path) if self.yaml else 0)


def _text_mapping(value: object) -> Spec:
    return value if isinstance(value, dict) else {}


def show_path(path: Path) -> str:
    """A path as text, such as `spec.rules[0].port`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def documents(text: bytes, file: str) -> list[Document]:
    """The documents in a YAML text, numbered from 1. Raises PolicyError."""
    try:
        found = read(text)
    except YamlError as error:
        raise PolicyError([Finding(Source(file), "", str(error), line=error.line)]) from error
    if not found:
        raise PolicyError([Finding(Source(file), "", "there is no document in this file")])
    return [Document.of(item.data, file, number, item) for number, item in enumerate(found, 1)]
