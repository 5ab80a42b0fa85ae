"""Single edits of an object, made in its manifest, so that they are checked in the same way as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flows.policy.objects import PolicyObject, Rule, SecurityGroup
from sgctl.service.apply.manifest_draft import ManifestDraft
from sgctl.service.apply.own_rules import read_rule
from sgctl.service.apply.planner import plan
from sgctl.service.apply.rules import RuleReader
from sgctl.service.draft import Draft
from sgctl.service.errors import Code, Finding, PolicyError, Source
from sgctl.service.export import manifest
from sgctl.service.kinds import MANIFEST_KINDS, NOUNS, describe
from sgctl.service.manifests.documents import OWN, Document, Spec
from sgctl.service.manifests.schema import check
from sgctl.service.names import Unresolved, resolve
from sgctl.service.permissions import permission, permissions_of
from sgctl.service.plan import Plan
from sgctl.service.policy_edit import PolicyEdit
from sgctl.store.snapshot import PolicySnapshot

Edit = Callable[[Draft, dict[str, Any]], None]
"""Changes a manifest in place; the draft is the policy that the manifest belongs to."""


def plan_creation(
    objects: PolicySnapshot, kind: type[PolicyObject], name: str, identifier: str, project: str, edit: Edit
) -> Plan:
    """Plan a new object with this id. Raises PolicyError, also when the project already has its name."""
    draft = Draft(objects, project)
    noun = NOUNS[kind]
    if any(obj.meta.project_id == project for obj in draft.where(kind, "name", name)):
        raise _refused(kind, name, "", f"there is already a {noun} {name!r}", Code.TAKEN)
    data: dict[str, Any] = {
        "apiVersion": OWN,
        "kind": MANIFEST_KINDS[kind],
        "metadata": {"name": name, "id": identifier, "project_id": project},
        "spec": {},
    }
    edit(draft, data)
    return _plan(objects, data)


def plan_amendment(objects: PolicySnapshot, kind: type[PolicyObject], reference: str, edit: Edit) -> Plan:
    """Plan an edit of an object. Raises PolicyError."""
    draft = Draft(objects)
    obj = _find(draft, kind, reference)
    data: dict[str, Any] = manifest(draft, obj)
    data["metadata"]["id"] = obj.id
    edit(draft, data)
    return _plan(objects, data)


def plan_new_rule(
    objects: PolicySnapshot, group: str, identifier: str, spec: Spec, project: str | None
) -> Plan:
    """Plan a new rule of a group; `spec` is an item of the manifest's list `rules`. Raises PolicyError.

    Like Neutron, refuses a rule that permits the same as an existing rule of the group.
    """
    planning = ManifestDraft(objects)
    holder = _find(planning.draft, SecurityGroup, group)
    data = {
        "apiVersion": OWN,
        "kind": "SecurityGroup",
        "metadata": {"name": holder.name, "project_id": holder.meta.project_id},
        "spec": {"rules": [spec]},
    }
    document = Document.of(data)
    for path, reason in check(document):
        planning.report(document, path, reason)
    reader = RuleReader(planning, document, holder.id)
    read = [] if planning.findings else read_rule(reader, ("spec", "rules", 0), spec)
    if planning.findings:
        raise PolicyError(map(_short, planning.findings))
    rule = replace(read[0].rule, id=identifier)
    if project is not None:
        rule = replace(rule, meta=replace(rule.meta, project_id=project))
    twin = permissions_of(planning.draft, rule.group_id).get(permission(rule))
    if twin is not None:
        raise _refused(SecurityGroup, holder.name, "", f"{describe(twin)} permits the same", Code.TAKEN)
    planning.draft.put(rule)
    try:
        return planning.plan()
    except PolicyError as error:  # name the group: the new rule has no name and its id will not be used
        source = Source(kind=MANIFEST_KINDS[SecurityGroup], name=holder.name)
        raise PolicyError(replace(finding, source=source) for finding in error.findings) from error


def plan_rule_notes(objects: PolicySnapshot, reference: str, edit: Callable[[Rule], Rule]) -> Plan:
    """Plan a change of a rule's name, description or tags only. Raises PolicyError."""
    notes = PolicyEdit(Draft(objects))
    notes.draft.put(edit(_find(notes.draft, Rule, reference)))
    return notes.plan()


def _find(draft: Draft, kind: type[PolicyObject], reference: str) -> Any:
    try:
        return resolve(draft, kind, reference)
    except Unresolved as error:
        raise PolicyError([Finding(Source(), "", str(error), error.code)]) from error


def _plan(objects: PolicySnapshot, data: dict[str, Any]) -> Plan:
    try:
        return plan(objects, [Document.of(data)])
    except PolicyError as error:
        raise PolicyError(map(_short, error.findings)) from error


def _short(finding: Finding) -> Finding:
    """Remove the manifest's path from a problem, because the user has not written a manifest."""
    source = replace(finding.source, document=0)
    field = finding.field
    for prefix in ("spec.", "metadata.", "rules[0]", "."):
        field = field.removeprefix(prefix)
    return replace(finding, source=source, field=field)


def _refused(kind: type[PolicyObject], name: str, field: str, reason: str, code: Code) -> PolicyError:
    return PolicyError([Finding(Source(kind=MANIFEST_KINDS[kind], name=name), field, reason, code)])
