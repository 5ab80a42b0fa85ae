"""Computes a plan from manifests: the changes that make the policy match the documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flows.policy.objects import AddressGroup, Change, Network, PolicyObject, Port, SecurityGroup
from sgctl.service.apply.groups import apply_address_group, apply_security_group
from sgctl.service.apply.machines import apply_machine
from sgctl.service.apply.manifest_draft import ManifestDraft
from sgctl.service.apply.networks import apply_network
from sgctl.service.apply.ports import apply_port
from sgctl.service.apply.pruning import PruneScope, prune
from sgctl.service.kinds import describe
from sgctl.service.manifests import schema
from sgctl.service.manifests.documents import Document
from sgctl.service.plan import ObjectAction, ObjectOutcome, Plan, Summary
from sgctl.store.snapshot import Key, PolicySnapshot


def plan(objects: PolicySnapshot, documents: Sequence[Document], scope: PruneScope | None = None) -> Plan:
    """The changes that make the policy match the documents. Pure: changes nothing.

    Objects that no document mentions are kept, or deleted if they are within the scope. Raises PolicyError
    with every problem.
    """
    return _Planner(objects, documents, scope).run()


class _Planner:
    def __init__(
        self, objects: PolicySnapshot, documents: Sequence[Document], scope: PruneScope | None
    ) -> None:
        self._planning = ManifestDraft(objects)
        self._documents = list(documents)
        self._scope = scope
        self._pruned: tuple[ObjectOutcome, ...] = ()
        self._machines: dict[Document, tuple[Key, ...]] = {}

    def run(self) -> Plan:
        """Check the schema, then resolve names, then plan the kinds in the order of their dependencies."""
        self._documents, valid = self._check_schema()
        self._planning.declare(self._documents)
        self._build(valid)
        if self._scope is not None:
            stated = {key for document in self._documents for key in self._keys(document)}
            self._pruned = tuple(prune(self._planning.draft, stated, self._scope))
        return self._planning.plan(self._outcomes)

    def _check_schema(self) -> tuple[list[Document], list[Document]]:
        """All documents, and those whose valid part can be checked further."""
        everything, valid = [], []
        for document in self._documents:
            problems = schema.check(document)
            for path, reason in problems:
                self._planning.report(document, path, reason)
            part = schema.valid_part(document, problems) if problems else document
            everything.append(part or document)
            valid += [] if part is None else [part]
        return everything, valid

    def _build(self, documents: list[Document]) -> None:
        planning = self._planning
        by_kind: dict[type[PolicyObject] | None, list[Document]] = {}
        for document in documents:
            if document.kind is not None:
                by_kind.setdefault(document.kind.object_kind, []).append(document)
        for kind in (Network, AddressGroup, SecurityGroup):
            for document in by_kind.get(kind, ()):
                self._apply(document, kind)
        ports = by_kind.get(Port, [])
        for document in sorted(ports, key=lambda port: "fixed_ips" not in port.spec):  # new addresses last
            identifier = planning.identifier(document)
            if identifier is not None:
                apply_port(planning, document, identifier)
        stated_groups = {
            identifier: document
            for document in ports
            if "security_groups" in document.spec and (identifier := planning.identifier(document))
        }
        for document in by_kind.get(None, ()):
            machine_ports = apply_machine(planning, document, stated_groups)
            self._machines[document] = tuple((Port, port.id) for port in machine_ports)

    def _apply(self, document: Document, kind: type[Network | AddressGroup | SecurityGroup]) -> None:
        identifier = self._planning.identifier(document)
        obj = self._planning.draft.get(kind, identifier) if identifier else None
        if isinstance(obj, Network):
            apply_network(self._planning, document, obj)
        elif isinstance(obj, AddressGroup):
            apply_address_group(self._planning, document, obj)
        elif isinstance(obj, SecurityGroup):
            apply_security_group(self._planning, document, obj)

    def _outcomes(self, changes: Sequence[Change]) -> Iterator[ObjectOutcome]:
        summary = Summary(changes)
        stated: set[Key] = set()
        for document in self._documents:
            keys = self._keys(document)
            stated.update(keys)
            detail = self._detail(document, keys, summary)
            yield ObjectOutcome(document.source.kind, document.source.name, summary.action(keys), detail)
        for change in summary.changes:
            made = change.new
            if isinstance(made, SecurityGroup) and (SecurityGroup, made.id) not in stated:
                yield ObjectOutcome("SecurityGroup", made.name, ObjectAction.CREATED, made.meta.description)
        yield from self._pruned

    def _keys(self, document: Document) -> tuple[Key, ...]:
        if document.kind is None or document.kind.object_kind is None:
            return self._machines.get(document, ())
        identifier = self._planning.identifier(document)
        return ((document.kind.object_kind, identifier),) if identifier else ()

    def _detail(self, document: Document, keys: tuple[Key, ...], summary: Summary) -> str:
        if document in self._machines:
            ports = [self._planning.draft.get(Port, identifier) for _, identifier in keys]
            return ", ".join(describe(port) for port in ports if port is not None)
        rules = [summary.rules(identifier) for kind, identifier in keys if kind is SecurityGroup]
        return "".join(rules)
