"""Reads the subnets in network manifests: each is a CIDR or a mapping with more details."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows.policy.objects import Network, Prefix, SubnetDetail
from sgctl.service.apply.manifest_draft import ManifestDraft
from sgctl.service.manifests.documents import Document
from sgctl.service.manifests.yaml_reader import Path
from sgctl.service.subnets import default_detail

_PATH: Path = ("spec", "subnets")


def with_subnets(planning: ManifestDraft, document: Document, network: Network) -> Network:
    """The network with the subnets of the document; reports problems.

    A subnet that the document gives only as a CIDR keeps its existing details.
    """
    listed: list[str | dict[str, Any]] = document.spec.get("subnets", [])
    before = len(planning.findings)
    read = [_read(planning, document, (*_PATH, place), item) for place, item in enumerate(listed)]
    found = [each for each in read if each is not None]
    details = [each for each in found if isinstance(each, SubnetDetail)]
    details += [each for each in network.subnet_details if each.prefix in found]
    if len(planning.findings) > before:
        details = []  # list positions in further messages would be wrong
    prefixes = tuple(each.prefix if isinstance(each, SubnetDetail) else each for each in found)
    details.sort(key=lambda each: each.prefix)
    return replace(network, subnets=prefixes, subnet_details=tuple(details))


def _read(
    planning: ManifestDraft, document: Document, path: Path, item: str | dict[str, Any]
) -> Prefix | SubnetDetail | None:
    reader = _SubnetReader(planning, document)
    if isinstance(item, str):
        return reader.prefix(path, item)
    prefix = reader.prefix((*path, "cidr"), item["cidr"])
    return reader.detail(path, prefix, item) if prefix is not None else None


class _SubnetReader:
    """Reads the values of one document, and reports problems."""

    def __init__(self, planning: ManifestDraft, document: Document) -> None:
        self._planning = planning
        self._document = document

    def prefix(self, path: Path, text: str) -> Prefix | None:
        """Parse an address or CIDR; if it is malformed, reports it and returns None."""
        try:
            return Prefix.parse(text)
        except ValueError as error:
            self._planning.report(self._document, path, str(error))
            return None

    def detail(self, path: Path, prefix: Prefix, item: dict[str, Any]) -> SubnetDetail:
        """The details of a subnet from its mapping."""
        gateway = default_detail(prefix).gateway
        if "gateway_ip" in item:
            stated = item["gateway_ip"]
            gateway = None if stated is None else self.prefix((*path, "gateway_ip"), stated)
        servers = enumerate(item.get("dns_nameservers", ()))
        read = [self.prefix((*path, "dns_nameservers", place), text) for place, text in servers]
        return SubnetDetail(
            prefix=prefix,
            name=item.get("name", ""),
            description=item.get("description", ""),
            gateway=gateway,
            pools=self._pools((*path, "allocation_pools"), prefix, item.get("allocation_pools", [])),
            enable_dhcp=item.get("enable_dhcp", True),
            dns_nameservers=tuple(each for each in read if each is not None),
            tags=frozenset(item.get("tags", ())),
        )

    def _pools(self, path: Path, prefix: Prefix, stated: list[dict[str, str]]) -> tuple[tuple[int, int], ...]:
        pools = []
        for place, pool in enumerate(stated):
            ends = {key: self.prefix((*path, place, key), pool[key]) for key in ("start", "end")}
            for key, end in ends.items():
                if end is not None and not (end.is_host and prefix.covers(end)):
                    reason = f"{end} is no address of subnet {prefix}"
                    self._planning.report(self._document, (*path, place, key), reason)
            first, last = ends.values()
            if first is not None and last is not None:
                pools.append((first.value, last.value))
        return tuple(pools)
