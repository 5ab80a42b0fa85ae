"""The state while manifests are planned: the draft, the document behind each object, and the problems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import uuid4

from flows.policy.objects import AddressGroup, Meta, Network, PolicyObject, Prefix, SecurityGroup
from sgctl.service.checks import Violation
from sgctl.service.draft import Draft
from sgctl.service.errors import Code, Finding
from sgctl.service.kinds import NOUNS
from sgctl.service.manifests.documents import Document
from sgctl.service.manifests.yaml_reader import Path
from sgctl.service.names import Unresolved, resolve
from sgctl.service.policy_edit import PolicyEdit
from sgctl.store.snapshot import Key, PolicySnapshot

T = TypeVar("T", bound=PolicyObject)

_METADATA_FIELDS = ("id", "name", "description", "tags", "project_id")


@dataclass(frozen=True)
class Origin:
    """The document and the part of it that describe an object, and the path of each field in it."""

    document: Document
    prefix: Path = ("spec",)
    renamed: Mapping[str, Path] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """The path of a field by its Neutron name, which may end in list positions (`fixed_ips[0]`)."""
        steps: list[str | int] = [
            int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", name)
        ]
        if not steps:
            return ()
        head, rest = str(steps[0]), steps[1:]
        if self.prefix == ("spec",) and head in _METADATA_FIELDS:
            return ("metadata", head, *rest)
        return (*self.prefix, *self.renamed.get(head, (head,)), *rest)


class ManifestDraft(PolicyEdit):
    """The edit that documents describe. Does not access a database."""

    def __init__(self, objects: PolicySnapshot) -> None:
        super().__init__(Draft(objects))
        self.origins: dict[Key, Origin] = {}
        self._files: dict[str, int] = {}
        self._ids: dict[Document, str] = {}
        self._stated: dict[tuple[type[object], str], tuple[str, ...]] = {}

    def report(self, document: Document, path: Path, reason: str, code: Code = Code.INVALID) -> None:
        """Report a problem; the plan then fails."""
        self.findings.append(document.finding(path, reason, code))

    def put(self, obj: PolicyObject, origin: Origin) -> None:
        """Put an object into the draft and remember its origin."""
        self.origins[type(obj), obj.id] = origin
        self.draft.put(obj)

    def finding(self, violation: Violation) -> Finding:
        """The problem, with the place in a document that a violation comes from."""
        origin = self.origins.get((type(violation.subject), violation.subject.id))
        if origin is None:
            return super().finding(violation)
        return origin.document.finding(origin.path(violation.field), violation.reason, violation.code)

    def sorted_findings(self) -> list[Finding]:
        """The problems in the order of the documents."""
        return sorted(
            self.findings,
            key=lambda each: (self._files.get(each.source.file, -1), each.source.document, each.line),
        )

    def refer(self, document: Document, path: Path, kind: type[T], reference: object) -> T | None:
        """The object that a document refers to by name or id; if there is none, reports it and returns None.

        Objects in the documents take precedence, even of other projects: one user wrote all documents.
        """
        stated = self._stated.get((kind, str(reference)), ())
        if len(stated) == 1 and (found := self.draft.get(kind, stated[0])):
            return found
        try:
            return resolve(self.draft, kind, str(reference), self.project(document))
        except Unresolved as error:
            self.report(document, path, str(error), error.code)
            return None

    def declare(self, documents: list[Document]) -> None:
        """Determine each document's object, before any reference is resolved.

        A document may refer to names in later documents and in other files.
        """
        files = dict.fromkeys(document.source.file for document in documents)
        self._files = {file: position for position, file in enumerate(files)}
        first: dict[object, Document] = {}
        for document in documents:
            key = self._identify(document)
            if key in first:
                self.report(document, ("metadata", "name"), _stated_twice(first[key]))
                self._ids.pop(document, None)
            elif key is not None:
                first[key] = document
        for document in documents:
            self._announce(document)

    def _identify(self, document: Document) -> object:
        known, name, wanted = document.kind, document.source.name, document.metadata.get("id")
        if known is None or not (name or wanted):
            if known is not None and "name" in document.metadata:
                self.report(document, ("metadata", "name"), "must not be empty where there is no id")
            return None
        if known.object_kind is None:
            return known.kind, name
        found = self.draft.where(known.object_kind, "name", name)
        named = [obj for obj in found if obj.meta.project_id == document.project]
        if not isinstance(wanted, str) and len(named) > 1:
            ids = ", ".join(sorted(obj.id for obj in named))
            reason = (
                f"{len(named)} {NOUNS[known.object_kind]}s are called {name!r}; add metadata.id: one of {ids}"
            )
            self.report(document, ("metadata", "name"), reason, Code.AMBIGUOUS)
            return None
        identifier = wanted if isinstance(wanted, str) else named[0].id if named else None
        self._ids[document] = identifier or str(uuid4())
        return known.object_kind, identifier or (document.project, name)

    def _announce(self, document: Document) -> None:
        """Put the object into the draft, so that its name resolves. No document refers to ports."""
        kind, identifier = document.kind, self._ids.get(document)
        if kind is None or identifier is None:
            return
        if kind.object_kind not in (Network, SecurityGroup, AddressGroup):
            return
        key = kind.object_kind, document.source.name
        self._stated[key] = (*self._stated.get(key, ()), identifier)
        new = kind.object_kind(identifier, "", meta=Meta(project_id=document.project))
        known = self.draft.get(kind.object_kind, identifier) or new
        self.draft.put(replace(known, name=document.source.name))

    def project(self, document: Document) -> str:
        """The document's project. Without `project_id`, an existing object stays in its project."""
        kind, identifier = document.kind, self._ids.get(document)
        if "project_id" in document.metadata or kind is None or identifier is None:
            return document.project
        if kind.object_kind is None:
            return document.project
        known = self.draft.before(kind.object_kind, identifier)
        return document.project if known is None else known.meta.project_id

    def identifier(self, document: Document) -> str | None:
        """The id of the document's object, whether new or existing; None if it could not be determined."""
        return self._ids.get(document)


def _stated_twice(first: Document) -> str:
    return f"is stated twice, first in {first.source.at(first.yaml.line(()) if first.yaml else 0)}"


def metadata(document: Document, old: PolicyObject | None) -> Meta:
    """The metadata of a document; timestamps and revision number are kept, and so is an unstated project."""
    before = old.meta if old is not None else Meta(project_id=document.project)
    stated = document.metadata
    return Meta(
        description=str(stated.get("description", "")),
        project_id=str(stated.get("project_id", before.project_id)),
        tags=frozenset(stated.get("tags", ())),
        created_at=before.created_at,
        updated_at=before.updated_at,
        revision_number=before.revision_number,
    )


def prefixes(planning: ManifestDraft, document: Document, path: Path) -> list[Prefix]:
    """The addresses or CIDRs of a list in the spec; reports malformed ones as problems."""
    found = []
    for position, text in enumerate(document.spec.get(str(path[-1]), ())):
        try:
            found.append(Prefix.parse(text))
        except ValueError as error:
            planning.report(document, (*path, position), str(error))
    return found
