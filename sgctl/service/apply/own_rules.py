"""Reads the rules of `sgctl/v1` manifests: Neutron's fields, and the short forms ports, type and code."""

from __future__ import annotations

from dataclasses import replace

from flows.policy.objects import Ethertype, Meta, Rule
from flows.policy.validate import ICMP, ICMPV6, PORTS_UNSEEN, WITH_PORTS, why_no_ports
from sgctl.attributes.plain import stated_values
from sgctl.service import protocols
from sgctl.service.apply.rules import Invalid, ManifestRule, Remote, RuleReader, family_of, icmp_of
from sgctl.service.manifests.documents import Spec
from sgctl.service.manifests.yaml_reader import Path

_REMOTES = ("remote_ip_prefix", "remote_group", "remote_address_group", "remote_network")
_RANGES = {
    "ports": ("ports",),
    "type and code": ("type", "code"),
    "port_range_min and port_range_max": ("port_range_min", "port_range_max"),
}
_RENAMED: dict[str, Path] = {f"{key}_id": (key,) for key in _REMOTES[1:]}


def read_rule(reader: RuleReader, path: Path, spec: Spec) -> list[ManifestRule]:
    """The rule for a list item; if it is malformed, reports every problem and returns an empty list."""
    failed = False
    remote, protocol = Remote(), None
    limits: tuple[int | None, int | None] = (None, None)
    try:
        remote = _remote(reader, path, spec)
    except Invalid:
        failed = True
    try:
        protocol = _protocol(reader, path, spec)
        limits = _range(reader, path, spec, protocol)
    except Invalid:
        failed = True
    if failed:
        return []
    ethertype = _ethertype(spec, remote, protocol)
    if spec.get("protocol") == "icmp":
        protocol = icmp_of(ethertype)
    rule = reader.rule(str(spec["direction"]), ethertype, remote, _meta(spec), str(spec.get("name", "")))
    plain = stated_values(Rule, spec)
    rule = replace(rule, protocol=protocol, port_range_min=limits[0], port_range_max=limits[1], **plain)
    return [ManifestRule(rule, path, _RENAMED | _renamed_range(spec))]


def _meta(spec: Spec) -> Meta:
    return Meta(description=str(spec.get("description", "")), tags=frozenset(spec.get("tags", [])))


def _remote(reader: RuleReader, path: Path, spec: Spec) -> Remote:
    stated = [key for key in _REMOTES if key in spec]
    if len(stated) > 1:
        raise reader.fail(path, f"{' and '.join(stated)} exclude each other")
    if not stated:
        return Remote()
    key, value = stated[0], spec[stated[0]]
    if key == "remote_ip_prefix":
        return Remote(ip_prefix=reader.prefix((*path, key), value))
    read = {
        "remote_group": reader.remote_group,
        "remote_address_group": reader.remote_address_group,
        "remote_network": reader.remote_network,
    }
    return read[key]((*path, key), value)


def _protocol(reader: RuleReader, path: Path, spec: Spec) -> int | None:
    try:
        return protocols.parse(spec.get("protocol"))
    except ValueError as error:
        raise reader.fail((*path, "protocol"), str(error)) from error


def _ethertype(spec: Spec, remote: Remote, protocol: int | None) -> Ethertype:
    if "ethertype" in spec:
        return Ethertype(str(spec["ethertype"]))
    if remote.ip_prefix is not None:
        return family_of(remote.ip_prefix)
    return Ethertype.IPV6 if protocol in protocols.IPV6_ONLY else Ethertype.IPV4


def _range(reader: RuleReader, path: Path, spec: Spec, protocol: int | None) -> tuple[int | None, int | None]:
    stated = [name for name, keys in _RANGES.items() if any(key in spec for key in keys)]
    if len(stated) > 1:
        raise reader.fail(path, f"{' and '.join(stated)} exclude each other")
    is_icmp = protocol in (ICMP, ICMPV6)
    for key in ("type", "code"):
        if key in spec and not is_icmp:
            raise reader.fail((*path, key), "only goes with protocol icmp or icmpv6")
    if "code" in spec and "type" not in spec:
        raise reader.fail((*path, "code"), "needs a type")
    if "ports" in spec:
        if protocol in PORTS_UNSEEN:
            raise reader.fail((*path, "ports"), why_no_ports(protocol))
        if protocol not in WITH_PORTS:
            names = " ".join(str(protocols.show(number)) for number in sorted(WITH_PORTS))
            raise reader.fail((*path, "ports"), f"only goes with a protocol that has ports: {names}")
        return reader.ports((*path, "ports"), spec["ports"])
    low, high = _RANGES["type and code" if "type" in spec else "port_range_min and port_range_max"]
    return spec.get(low), spec.get(high)


def _renamed_range(spec: Spec) -> dict[str, Path]:
    if "ports" in spec:
        return {"port_range_min": ("ports",), "port_range_max": ("ports",)}
    if "type" in spec:
        return {"port_range_min": ("type",), "port_range_max": ("code",)}
    return {}
