"""The policy side of a scenario: its documents, and how a step edits them.

The runner always applies whole documents. An edit such as "add a rule" is made here, in the current
document of the group.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lab.scenario.model import Document, Edit, ScenarioInterface

API_VERSION = "sgctl/v1"


class RuleName(NamedTuple):
    """A reference to a rule: its group, and its name or position (from 1) in the group."""

    group: str
    position: int
    name: str
    content: str

    def __str__(self) -> str:
        return f"{self.group}/{self.name or f'#{self.position}'}"


def manifest(kind: str, name: str, spec: Mapping[str, Any]) -> Document:
    """A manifest for `sgctl apply`."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def port_document(card: ScenarioInterface) -> Document:
    """The policy port of a host's card."""
    spec: dict[str, Any] = {
        "network": card.network,
        "mac_address": card.mac,
        "fixed_ips": [str(address.ip) for address in card.addresses],
        "iface_id": card.port,
        "device_id": card.host,
    }
    if card.groups is not None:
        spec["security_groups"] = list(card.groups)
    return manifest("Port", card.port, spec)


def identity(document: Document) -> tuple[str, str]:
    """Kind and name: documents in which both are equal describe the same object."""
    return str(document["kind"]), str(document["metadata"]["name"])


class Documents:
    """The policy after the edits of all steps so far."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._current: dict[tuple[str, str], Document] = {}
        self.problems: list[str] = []
        for document in documents:
            if identity(document) in self._current:
                self.problems.append(f"{'/'.join(identity(document))} is in the policy twice")
            self._current[identity(document)] = document

    def all(self) -> tuple[Document, ...]:
        """Every document, in the order of first appearance."""
        return tuple(copy.deepcopy(document) for document in self._current.values())

    def names(self, kind: str) -> set[str]:
        """Names of the documents of one kind."""
        return {name for known, name in self._current if known == kind}

    def edit(self, step: Mapping[str, Any]) -> Edit:
        """Make the edits of one step of the file; return what the runner has to apply and delete.

        Raises ValueError when the step names a group, rule or port that is in no document.
        """
        touched: dict[tuple[str, str], Document] = {}
        for document in step.get("apply", ()):
            touched[identity(document)] = self._current[identity(document)] = document
        for changed in self._edited_documents(step):
            touched[identity(changed)] = self._current[identity(changed)] = changed
        for reference in step.get("delete", ()):
            kind, _, name = reference.partition("/")
            if self._current.pop((kind, name), None) is None:
                raise ValueError(f"delete: the policy has no {reference}")
        return Edit(tuple(copy.deepcopy(list(touched.values()))), tuple(step.get("delete", ())))

    def _edited_documents(self, step: Mapping[str, Any]) -> Iterator[Document]:
        for group, rules in step.get("add_rules", {}).items():
            document = self._copy("SecurityGroup", group, "add_rules")
            _rules(document).extend(copy.deepcopy(rules))
            yield document
        for group, names in step.get("remove_rules", {}).items():
            document = self._copy("SecurityGroup", group, "remove_rules")
            for name in names:
                _remove_rule(document, name)
            yield document
        for port, groups in step.get("groups", {}).items():
            document = self._copy("Port", port, "groups")
            document["spec"]["security_groups"] = list(groups)
            yield document

    def _copy(self, kind: str, name: str, field: str) -> Document:
        document = self._current.get((kind, name))
        if document is None:
            raise ValueError(f"{field}: the policy has no {kind} {name}")
        return copy.deepcopy(document)


def _rules(document: Document) -> list[dict[str, Any]]:
    """The rule list of a group's document, created when absent."""
    spec = document.get("spec") or {}
    document["spec"] = spec
    rules: list[dict[str, Any]] = spec.setdefault("rules", [])
    return rules


def _remove_rule(document: Document, name: str) -> None:
    rules = _rules(document)
    kept = [rule for rule in rules if rule.get("name") != name]
    if len(kept) == len(rules):
        raise ValueError(f"remove_rules: {identity(document)[1]} has no rule named {name}")
    rules[:] = kept


def list_rules(edits: Sequence[Edit]) -> list[RuleName]:
    """Every rule that any step applies, once, in order of appearance."""
    found: dict[tuple[str, str], RuleName] = {}
    for document in _groups(edits):
        group = identity(document)[1]
        for position, rule in enumerate(_rules(document), 1):
            content = repr(sorted(rule.items()))
            name = RuleName(group, position, str(rule.get("name", "")), content)
            found.setdefault((group, content), name)
    return list(found.values())


def drop_rule(edits: Sequence[Edit], wanted: str) -> RuleName:
    """Remove one rule from all documents of the edits, in place.

    `wanted` is `NAME`, `GROUP/NAME`, `GROUP/#POSITION` or the rule's number (from 1) in `list_rules`.
    Raises ValueError, with a list of the rules, unless `wanted` names exactly one.
    """
    rules = list_rules(edits)
    if wanted.isdigit():
        matches = rules[int(wanted) - 1 : int(wanted)] if int(wanted) else []
    else:
        matches = [
            rule for rule in rules if wanted in (rule.name, str(rule), f"{rule.group}/#{rule.position}")
        ]
    if len(matches) != 1:
        listing = "\n".join(f"  {number} {rule}" for number, rule in enumerate(rules, 1))
        raise ValueError(f"{wanted!r} names {len(matches)} rules, not one; the rules are:\n{listing}")
    _drop(edits, matches[0])
    return matches[0]


def _drop(edits: Sequence[Edit], dropped: RuleName) -> None:
    for document in _groups(edits):
        if identity(document)[1] == dropped.group:
            rules = _rules(document)
            rules[:] = [rule for rule in rules if repr(sorted(rule.items())) != dropped.content]


def _groups(edits: Sequence[Edit]) -> Iterator[Document]:
    for edit in edits:
        for document in edit.apply:
            if document["kind"] == "SecurityGroup":
                yield document
