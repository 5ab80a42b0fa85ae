"""Single edits of subnets, made in their network's manifest, so that they are checked in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flows.policy.objects import Network
from sgctl.service.apply.planner import plan
from sgctl.service.draft import Draft
from sgctl.service.errors import Code, Finding, PolicyError, Source
from sgctl.service.export import manifest, subnet_item
from sgctl.service.kinds import MANIFEST_KINDS
from sgctl.service.manifests.documents import Document
from sgctl.service.names import Unresolved, all_of, project_of, resolve
from sgctl.service.plan import Plan
from sgctl.service.subnets import Subnet
from sgctl.store.snapshot import PolicySnapshot

Item = dict[str, Any]
"""A subnet as an item of the list `subnets` in a network's manifest."""

_PLACE = re.compile(r"spec\.subnets(?:\[([0-9]+)\](?:\.(.+))?)?")


def plan_new_subnet(objects: PolicySnapshot, network: str, item: Item) -> Plan:
    """Plan a new subnet of a network. Raises PolicyError, also when the name is taken."""
    draft = Draft(objects)
    holder = _find(draft, Network, network)
    name = item.get("name", "")
    project = holder.meta.project_id
    if name and any(
        each.name == name and project_of(draft, each) == project for each in all_of(draft, Subnet)
    ):
        reason = f"there is already a subnet {name!r}"
        raise PolicyError([Finding(_source(item), "", reason, Code.TAKEN)])
    return _plan(draft, objects, holder, len(holder.subnets), item)


def plan_subnet_edit(objects: PolicySnapshot, reference: str, edit: Callable[[Item], None]) -> Plan:
    """Plan a change of a subnet; `edit` changes its item in place. Raises PolicyError."""
    draft = Draft(objects)
    subnet = _find(draft, Subnet, reference)
    item = subnet_item(subnet.detail)
    edit(item)
    place = subnet.network.subnets.index(subnet.detail.prefix)
    return _plan(draft, objects, subnet.network, place, item)


def _plan(draft: Draft, objects: PolicySnapshot, network: Network, place: int, item: Item) -> Plan:
    data: dict[str, Any] = manifest(draft, network)
    data["metadata"]["id"] = network.id
    listed = data["spec"].setdefault("subnets", [])
    listed[place : place + 1] = [item]
    try:
        return plan(objects, [Document.of(data)])
    except PolicyError as error:
        raise PolicyError(_of_subnet(finding, place, item) for finding in error.findings) from error


def _of_subnet(finding: Finding, place: int, item: Item) -> Finding:
    """Convert a problem of the network's manifest to a problem of the subnet, if it concerns the subnet."""
    match = _PLACE.fullmatch(finding.field)
    if match is None or match[1] not in (None, str(place)):
        return replace(finding, field=finding.field.removeprefix("spec."))
    return replace(finding, source=_source(item), field=match[2] or "cidr")


def _source(item: Item) -> Source:
    return Source(kind=MANIFEST_KINDS[Subnet], name=item.get("name") or str(item["cidr"]))


def _find(draft: Draft, kind: type[Any], reference: str) -> Any:
    try:
        return resolve(draft, kind, reference)
    except Unresolved as error:
        raise PolicyError([Finding(Source(), "", str(error), error.code)]) from error
