"""Plans evroc's VirtualMachine manifests, which set the security groups of a machine's ports."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from flows.policy.objects import Meta, Network, Port
from sgctl.service.addresses import new_mac
from sgctl.service.apply.manifest_draft import ManifestDraft, Origin
from sgctl.service.apply.ports import read_groups
from sgctl.service.errors import Code
from sgctl.service.kinds import describe
from sgctl.service.manifests.documents import Document
from sgctl.service.manifests.yaml_reader import Path
from sgctl.service.ownership import MACHINE_OWNER, ports_of

_MEMBERSHIPS = ("spec", "networking", "securityGroups", "securityGroupMemberships")


def apply_machine(
    planning: ManifestDraft, document: Document, stated_groups: dict[str, Document]
) -> list[Port]:
    """Change the draft to match a VirtualMachine document; returns the machine's ports.

    `stated_groups` holds, by port id, the Port documents that set security groups.
    """
    groups = _groups(planning, document)
    machine = document.source.name
    ports = ports_of(planning.draft, machine, planning.project(document)) or _new_port(planning, document)
    for port in ports:
        if port.id in stated_groups and port.security_groups != groups:
            where = stated_groups[port.id].source.at(0)
            planning.report(
                document, _MEMBERSHIPS, f"contradicts the security_groups of {describe(port)} in {where}"
            )
        planning.put(
            replace(port, security_groups=groups),
            Origin(document, ("metadata", "name"), {"security_groups": _MEMBERSHIPS}),
        )
    return ports


def _groups(planning: ManifestDraft, document: Document) -> frozenset[str]:
    networking = document.spec.get("networking", {})
    memberships = networking.get("securityGroups", {}).get("securityGroupMemberships", ())
    references = [membership["name"] for membership in memberships]
    return read_groups(planning, document, _MEMBERSHIPS, references, "name")


def _new_port(planning: ManifestDraft, document: Document) -> list[Port]:
    """A new port on the only network; if that is impossible, reports a problem and returns an empty list."""
    machine = document.source.name
    usable = ("", planning.project(document))
    networks = [each for each in planning.draft.all(Network) if each.meta.project_id in usable]
    path: Path = ("metadata", "name")
    if len(networks) != 1:
        what = f"are {len(networks)} networks to choose from" if networks else "is no network for a new port"
        reason = f"no port has the device_id or name {machine!r}, and there {what}; add a Port manifest"
        planning.report(document, path, reason, Code.NOT_FOUND)
        return []
    network = networks[0]
    if not network.subnets:
        planning.report(document, path, f"{describe(network)} has no subnet to take an address from")
        return []
    try:
        addresses = planning.addresses.take(network)
    except ValueError as error:
        planning.report(document, path, f"no port can be created for it: {error}")
        return []
    return [
        Port(
            id=str(uuid4()),
            name=machine,
            network_id=network.id,
            mac=new_mac(planning.draft, network.id),
            iface_id=machine,
            fixed_ips=addresses,
            device_id=machine,
            device_owner=MACHINE_OWNER,
            meta=Meta(project_id=planning.project(document)),
        )
    ]
