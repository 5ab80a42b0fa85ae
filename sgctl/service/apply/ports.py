"""Plans the ports of manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flows.policy.objects import AddressPair, Network, Port, Prefix, SecurityGroup
from sgctl.attributes.plain import stated_values
from sgctl.service.addresses import new_mac
from sgctl.service.apply.manifest_draft import ManifestDraft, Origin, metadata, prefixes
from sgctl.service.manifests.documents import Document
from sgctl.service.manifests.yaml_reader import Path

_RENAMED: dict[str, Path] = {"network_id": ("network",)}


def apply_port(planning: ManifestDraft, document: Document, identifier: str) -> None:
    """Change the draft to match a Port document."""
    spec, old = document.spec, planning.draft.get(Port, identifier)
    references = spec.get("security_groups", [])
    groups = read_groups(planning, document, ("spec", "security_groups"), references)
    addresses = prefixes(planning, document, ("spec", "fixed_ips"))
    network = planning.refer(document, ("spec", "network"), Network, spec["network"])
    if network is None:
        return
    mac = str(spec.get("mac_address") or (old.mac if old else new_mac(planning.draft, network.id))).lower()
    name = document.source.name
    port = Port(
        id=identifier,
        name=name,
        network_id=network.id,
        mac=mac,
        iface_id=str(spec.get("iface_id", old.iface_id if old else name or identifier)),
        fixed_ips=tuple(addresses),
        security_groups=groups,
        allowed_address_pairs=_pairs(planning, document, mac),
        permitted_ethertypes=frozenset(int(str(each), 0) for each in spec.get("permitted_ethertypes", [])),
        meta=metadata(document, old),
        **stated_values(Port, spec),
    )
    if "fixed_ips" not in spec:
        port = replace(port, fixed_ips=_addresses(planning, document, network, old))
    planning.put(port, Origin(document, renamed=_RENAMED))


def read_groups(
    planning: ManifestDraft, document: Document, path: Path, references: Sequence[object], *below: str
) -> frozenset[str]:
    """The ids of the groups in a list of references; `below` is the path from an item to its reference."""
    found = [
        planning.refer(document, (*path, position, *below), SecurityGroup, reference)
        for position, reference in enumerate(references)
    ]
    return frozenset(group.id for group in found if group is not None)


def _addresses(
    planning: ManifestDraft, document: Document, network: Network, old: Port | None
) -> tuple[Prefix, ...]:
    """The addresses that the port already has on this network, else new addresses."""
    if old is not None and old.network_id == network.id:
        return old.fixed_ips
    try:
        return planning.addresses.take(network)
    except ValueError as error:
        planning.report(document, ("spec", "fixed_ips"), str(error))
        return ()


def _pairs(planning: ManifestDraft, document: Document, mac: str) -> tuple[AddressPair, ...]:
    pairs = []
    for position, pair in enumerate(document.spec.get("allowed_address_pairs", ())):
        try:
            address = Prefix.parse(str(pair["ip_address"]))
        except ValueError as error:
            path = ("spec", "allowed_address_pairs", position, "ip_address")
            planning.report(document, path, str(error))
            continue
        pairs.append(AddressPair(str(pair.get("mac_address", mac)).lower(), address))
    return tuple(pairs)
