"""Plans the security groups and address groups of manifests."""

from __future__ import annotations

from dataclasses import replace

from flows.policy.objects import AddressGroup, Prefix, SecurityGroup, permission_of
from sgctl.attributes.plain import stated_values
from sgctl.service.apply import evroc_rules, own_rules
from sgctl.service.apply.manifest_draft import ManifestDraft, Origin, metadata, prefixes
from sgctl.service.apply.rules import (
    ManifestRule,
    RuleReader,
    all_egress,
    replace_rules,
    rule_specs,
)
from sgctl.service.manifests.documents import OWN, Document


def apply_address_group(planning: ManifestDraft, document: Document, group: AddressGroup) -> None:
    """Change the draft to match an AddressGroup document."""
    addresses: list[Prefix] = prefixes(planning, document, ("spec", "addresses"))
    values = stated_values(AddressGroup, document.spec)
    stated = replace(group, addresses=frozenset(addresses), meta=metadata(document, group), **values)
    planning.put(stated, Origin(document))


def apply_security_group(planning: ManifestDraft, document: Document, group: SecurityGroup) -> None:
    """Change the draft to match a SecurityGroup document of sgctl or evroc."""
    reader = RuleReader(planning, document, group.id)
    own = document.kind is not None and document.kind.api_version == OWN
    read = own_rules.read_rule if own else evroc_rules.read_rule
    rules = [rule for path, spec in rule_specs(document) for rule in read(reader, path, spec)]
    if own:
        values = stated_values(SecurityGroup, document.spec)
        stated = replace(group, meta=metadata(document, group), **values)
        rules += _default_rules(reader, document, rules)
    else:
        stated = replace(group, **stated_values(SecurityGroup, {}))
    planning.put(stated, Origin(document))
    replace_rules(planning, document, group.id, rules)


def _default_rules(reader: RuleReader, document: Document, rules: list[ManifestRule]) -> list[ManifestRule]:
    """OpenStack's default rules, if the document requests them, without those it lists itself."""
    if document.spec.get("default_rules") != "openstack":
        return []
    listed = {permission_of(stated.rule) for stated in rules}
    defaults = [rule for rule in all_egress(reader) if permission_of(rule) not in listed]
    return [ManifestRule(rule, ("spec", "default_rules")) for rule in defaults]
