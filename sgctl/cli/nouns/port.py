"""`sgctl port`, except for binding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from flows.policy.objects import Network, Prefix, SecurityGroup
from sgctl.cli import kinds
from sgctl.cli.completers import names_of
from sgctl.cli.lookup import find, find_all
from sgctl.cli.nouns.noun import Data, Noun, Options, assign, discard, extend, option
from sgctl.cli.output.terminal import Failure
from sgctl.service.addresses import AddressPool
from sgctl.service.draft import Draft
from sgctl.service.names import reference_to
from sgctl.service.subnets import subnets_of

_LISTS = {
    "fixed_ips": "fixed_ip",
    "security_groups": "security_group",
    "allowed_address_pairs": "allowed_address",
    "permitted_ethertypes": "permitted_ethertype",
}


def _fill(draft: Draft, data: Data, options: Options) -> None:
    spec, metadata = data["spec"], data["metadata"]
    if options.get("name") is not None and spec:
        spec.setdefault("iface_id", metadata["name"] or metadata["id"])  # so that it stays bound
    assign(spec, options, network="network", mac_address="mac_address", iface_id="iface_id")
    for field, name in _LISTS.items():
        if options[f"no_{name}"]:
            spec[field] = []
    extend(spec, "security_groups", _labels(draft, options["security_group"]))
    extend(spec, "fixed_ips", [_address(draft, spec, each) for each in options["fixed_ip"]])
    extend(spec, "allowed_address_pairs", [_pair(each) for each in options["allowed_address"]])
    extend(spec, "permitted_ethertypes", list(map(_ethertype, options["permitted_ethertype"])))


def _clear(draft: Draft, data: Data, options: Options) -> None:
    spec = data["spec"]
    discard(spec, "security_groups", _labels(draft, options["security_group"]))
    discard(spec, "fixed_ips", [_address(draft, spec, each) for each in options["fixed_ip"]])
    discard(spec, "allowed_address_pairs", [_pair(each) for each in options["allowed_address"]])
    discard(spec, "permitted_ethertypes", list(map(_ethertype, options["permitted_ethertype"])))


def _labels(draft: Draft, references: Iterable[str]) -> list[str]:
    """The names of the groups in manifests."""
    groups = find_all(draft, SecurityGroup, list(references))
    return [reference_to(draft, SecurityGroup, group.id) for group in groups]


def _parts(option: str, text: str, *known: str) -> dict[str, str]:
    """The value `key=value[,key=value]` of an option. A value without a key is that of the last key."""
    if "=" not in text:
        return {known[-1]: text}
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    for key, value in parts.items():
        if key not in known or not value:
            stated = " or ".join(f"{name}=…" for name in known)
            raise click.BadParameter(f"{text!r} is not {stated}, with commas between", param_hint=option)
    return parts


def _address(draft: Draft, spec: Data, text: str) -> str:
    """The given address, or the next free address of the given subnet."""
    parts = _parts("--fixed-ip", text, "subnet", "ip-address")
    if "ip-address" not in parts:
        return _next_address(draft, spec, parts["subnet"])
    try:
        return str(Prefix.parse(parts["ip-address"]))
    except ValueError:
        return parts["ip-address"]  # an invalid address is refused with the whole manifest


def _next_address(draft: Draft, spec: Data, subnet: str) -> str:
    if "network" not in spec:
        raise click.UsageError("a subnet needs a --network")
    network = find(draft, Network, spec["network"])
    wanted = [
        each.detail
        for each in subnets_of([network])
        if subnet in (each.id, each.name, str(each.detail.prefix))
    ]
    if not wanted:
        raise Failure(f"network {network.name} has no subnet {subnet!r}")
    try:
        return str(AddressPool(draft).take_from(network, wanted))
    except ValueError as error:
        raise Failure(f"network {network.name}: {error}") from error


def _pair(text: str) -> dict[str, str]:
    parts = _parts("--allowed-address", text, "mac-address", "ip-address")
    return {key.replace("-", "_"): value for key, value in sorted(parts.items())}


def _ethertype(text: str) -> str:
    """An Ethernet type as in manifests. An invalid one is refused with the whole manifest."""
    try:
        return f"{int(text, 16 if text.lower().startswith('0x') else 10):#06x}"
    except ValueError:
        return text


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    network, group = options["network"], options["security_group"]
    network_id = find(draft, Network, network).id if network else None
    group_id = find(draft, SecurityGroup, group).id if group else None
    wanted = {
        "network_id": network_id,
        "mac_address": options["mac_address"],
        "device_id": options["device_id"],
        "device_owner": options["device_owner"],
    }
    address = (
        _parts("--fixed-ip", options["fixed_ip"], "ip-address")["ip-address"] if options["fixed_ip"] else None
    )

    def fits(record: Mapping[str, Any]) -> bool:
        if group_id is not None and group_id not in record["security_group_ids"]:
            return False
        if address is not None and address not in record["fixed_ips"]:
            return False
        return all(value is None or record[field] == value for field, value in wanted.items())

    return fits


def _several(name: str, metavar: str, text: str, **settings: Any) -> click.Option:
    return option(f"--{name}", metavar=metavar, multiple=True, help=f"{text} May be repeated.", **settings)


_GROUP: dict[str, Any] = {"shell_complete": names_of(kinds.SECURITY_GROUPS)}
_NETWORK: dict[str, Any] = {"shell_complete": names_of(kinds.NETWORKS)}
_FIXED, _PAIR = "[subnet=SUBNET,]ip-address=IP", "ip-address=CIDR[,mac-address=MAC]"

NOUN = Noun(
    kinds.PORTS,
    _fill,
    _clear,
    _keep,
    create_options=(option("--network", required=True, help="The network it is on.", **_NETWORK),),
    edit_options=(
        option("--mac-address", metavar="MAC", help="The MAC address. Default: a new one."),
        _several("fixed-ip", _FIXED, "An address. Default: the next free one of each family."),
        option("--no-fixed-ip", is_flag=True, help="First remove all addresses; on create: no address."),
        _several("security-group", "GROUP", "A group that it is a member of.", **_GROUP),
        option("--no-security-group", is_flag=True, help="First remove it from all groups."),
        _several("allowed-address", _PAIR, "An additional source that it may use."),
        option("--no-allowed-address", is_flag=True, help="First remove all additional sources."),
        _several("permitted-ethertype", "TYPE", "An Ethernet type besides ARP and IP, such as 0x88cc."),
        option("--no-permitted-ethertype", is_flag=True, help="First remove all these types."),
        option(
            "--iface-id",
            help="external_ids:iface-id of its interface. Default: the name it was created with.",
        ),
    ),
    unset_options=(
        _several("fixed-ip", "ip-address=IP", "Remove this address."),
        _several("security-group", "GROUP", "Remove it from this group.", **_GROUP),
        _several("allowed-address", _PAIR, "Remove this additional source."),
        _several("permitted-ethertype", "TYPE", "Remove this Ethernet type."),
    ),
    list_options=(
        option("--network", help="Only those on this network.", **_NETWORK),
        option("--security-group", metavar="GROUP", help="Only the members of this group.", **_GROUP),
        option("--device-id", "--server", "device_id", metavar="ID", help="Only those of this machine."),
        option("--device-owner", metavar="OWNER", help="Only those with this owner."),
        option("--mac-address", metavar="MAC", help="Only the one with this MAC address."),
        option("--fixed-ip", metavar="ip-address=IP", help="Only those with this address."),
    ),
)
