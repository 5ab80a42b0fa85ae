"""Plans the networks of manifests, and the default group that evroc's profile creates."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from flows.policy.objects import EgressDefault, Ethertype, Meta, Network, SecurityGroup
from sgctl.attributes.plain import stated_values
from sgctl.service.apply.manifest_draft import ManifestDraft, Origin, metadata
from sgctl.service.apply.rules import ManifestRule, Remote, RuleReader, all_egress, replace_rules
from sgctl.service.apply.subnets import with_subnets
from sgctl.service.manifests.documents import Document
from sgctl.service.ownership import DEFAULT_GROUP_TAG

PROFILES = {
    "openstack": EgressDefault.DENY,
    "exoscale": EgressDefault.OPEN_UNTIL_RULE,
    "cloudstack": EgressDefault.OPEN_UNTIL_RULE,
    "evroc": EgressDefault.DENY,
}


def apply_network(planning: ManifestDraft, document: Document, network: Network) -> None:
    """Change the draft to match a Network document."""
    spec = document.spec
    profile = spec.get("defaults", "openstack")
    stated = replace(
        network,
        **stated_values(Network, {"egress_default": PROFILES[profile], **spec}),
        default_group=_default_group(planning, document, network, makes_one=profile == "evroc"),
        meta=metadata(document, network),
    )
    planning.put(with_subnets(planning, document, stated), Origin(document))


def _default_group(
    planning: ManifestDraft, document: Document, network: Network, makes_one: bool
) -> str | None:
    name = document.spec.get("default_group")
    if makes_one:
        name = name or f"default-{network.name or network.id}"
        named = planning.draft.where(SecurityGroup, "name", name)
        own = [group for group in named if group.meta.project_id == planning.project(document)]
        if not own and not planning.draft.get(SecurityGroup, name):
            return _make_default_group(planning, document, network, name)
    if name is None:
        return None
    group = planning.refer(document, ("spec", "default_group"), SecurityGroup, name)
    return group.id if group is not None else None


def _make_default_group(planning: ManifestDraft, document: Document, network: Network, name: str) -> str:
    """Create a group that permits all egress, and ingress from the network's own subnets; returns its id."""
    description = f"Default group of network {network.name}"
    meta = Meta(description[:255], planning.project(document), tags=frozenset({DEFAULT_GROUP_TAG}))
    group = SecurityGroup(str(uuid4()), name, meta=meta)
    path = ("spec", "defaults")
    planning.put(group, Origin(document, path))
    reader = RuleReader(planning, document, group.id)
    inside = Remote(network_id=network.id)
    rules = all_egress(reader, "all-egress")
    rules += [reader.rule("ingress", family, inside, Meta(), "same-network") for family in Ethertype]
    replace_rules(planning, document, group.id, [ManifestRule(rule, path) for rule in rules])
    return group.id
