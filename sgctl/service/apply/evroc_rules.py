"""Reads the rules of evroc's SecurityGroup manifests."""

from __future__ import annotations

from dataclasses import replace

from flows.policy.objects import Ethertype, Meta
from sgctl.service import protocols
from sgctl.service.apply.rules import Invalid, ManifestRule, Remote, RuleReader, family_of, icmp_of
from sgctl.service.manifests.documents import Spec
from sgctl.service.manifests.yaml_reader import Path

_WITH_PORT = ("TCP", "UDP")
_ADDRESS = ("remote", "address", "IPAddressOrCIDR")
_RENAMED: dict[str, Path] = {
    "port_range_min": ("port",),
    "port_range_max": ("port",),
    "remote_ip_prefix": _ADDRESS,
    "remote_group_id": ("remote", "securityGroupRef", "name"),
    "remote_network_id": ("remote", "subnetRef", "name"),
}


def read_rule(reader: RuleReader, path: Path, spec: Spec) -> list[ManifestRule]:
    """The rules for a list item: one for each address family that its remote can have.

    If the item is malformed, reports every problem and returns an empty list.
    """
    failed = False
    remote: Remote = Remote()
    limits: tuple[int, int] | tuple[None, None] = (None, None)
    try:
        remote = _remote(reader, path, spec.get("remote", {}))
    except Invalid:
        failed = True
    try:
        limits = _limits(reader, path, spec)
    except Invalid:
        failed = True
    if failed:
        return []
    families = [family_of(remote.ip_prefix)] if remote.ip_prefix is not None else list(Ethertype)
    rules = [
        replace(
            reader.rule(str(spec["direction"]), family, remote, Meta(), str(spec.get("name", ""))),
            protocol=_protocol(str(spec["protocol"]), family),
            port_range_min=limits[0],
            port_range_max=limits[1],
        )
        for family in families
    ]
    return [ManifestRule(rule, path, _RENAMED) for rule in rules]


def _protocol(name: str, family: Ethertype) -> int | None:
    if name == "ICMP":
        return icmp_of(family)
    return None if name == "All" else protocols.parse(name.lower())


def _limits(reader: RuleReader, path: Path, spec: Spec) -> tuple[int, int] | tuple[None, None]:
    if "port" not in spec:
        return None, None
    if spec["protocol"] not in _WITH_PORT:
        names = " and ".join(_WITH_PORT)
        raise reader.fail(
            (*path, "port"), f"only goes with the protocols {names}, not with {spec['protocol']}"
        )
    return reader.ports((*path, "port"), spec["port"])


def _remote(reader: RuleReader, path: Path, spec: Spec) -> Remote:
    if "address" in spec:
        text = spec["address"]["IPAddressOrCIDR"]
        return Remote(ip_prefix=reader.prefix((*path, *_ADDRESS), text))
    for key, read in (("securityGroupRef", reader.remote_group), ("subnetRef", reader.remote_network)):
        if key in spec:
            return read((*path, "remote", key, "name"), spec[key]["name"])
    return Remote()
