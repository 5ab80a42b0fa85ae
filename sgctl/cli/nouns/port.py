"""The verbs of `sgctl port` that edit the policy."""

# ruff: noqa: PLC0415  # the policy's classes are loaded when a command runs

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sgctl.cli import kinds
from sgctl.cli.completion import names_of
from sgctl.cli.nouns.noun import Data, Noun, Options, assign, discard, extend, option

if TYPE_CHECKING:
    from sgctl.service.draft import Draft

_FIELDS = {
    "network": "network",
    "mac_address": "mac_address",
    "iface_id": "iface_id",
    "device_id": "device",
    "device_owner": "device_owner",
    "port_security_enabled": "port_security",
    "admin_state_up": "up",
}
_LISTS = {
    "fixed_ips": "fixed_ip",
    "security_groups": "security_group",
    "allowed_address_pairs": "allowed_address",
    "permitted_ethertypes": "permitted_ethertype",
}


def _fill(draft: Draft, data: Data, options: Options) -> None:
    spec, metadata = data["spec"], data["metadata"]
    if options.get("name") is not None and spec:
        spec.setdefault("iface_id", metadata["name"] or metadata["id"])  # which stays bound as it is
    assign(spec, options, **_FIELDS)
    for field, name in _LISTS.items():
        if options[f"no_{name}"]:
            spec[field] = []
    extend(spec, "security_groups", _labels(draft, options["security_group"]))
    extend(spec, "fixed_ips", [_address(draft, spec, each) for each in options["fixed_ip"]])
    extend(spec, "allowed_address_pairs", [_pair(each) for each in options["allowed_address"]])
    extend(spec, "permitted_ethertypes", list(map(_ethertype, options["permitted_ethertype"])))


def _clear(draft: Draft, data: Data, options: Options) -> None:
    spec = data["spec"]
    for field, name in (("device_id", "device"), ("device_owner", "device_owner")):
        if options[name]:
            spec.pop(field, None)
    discard(spec, "security_groups", _labels(draft, options["security_group"]))
    discard(spec, "fixed_ips", [_address(draft, spec, each) for each in options["fixed_ip"]])
    discard(spec, "allowed_address_pairs", [_pair(each) for each in options["allowed_address"]])
    discard(spec, "permitted_ethertypes", list(map(_ethertype, options["permitted_ethertype"])))


def _labels(draft: Draft, references: Iterable[str]) -> list[str]:
    """The groups as manifests call them."""
    from flows.model import SecurityGroup
    from sgctl.cli.lookup import find_all
    from sgctl.service.names import reference_to

    groups = find_all(draft, SecurityGroup, list(references))
    return [reference_to(draft, SecurityGroup, group.id) for group in groups]


def _parts(option: str, text: str, *known: str) -> dict[str, str]:
    """`key=value[,key=value]`, the value of an option; a text without keys stands for the last known one."""
    if "=" not in text:
        return {known[-1]: text}
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    for key, value in parts.items():
        if key not in known or not value:
            stated = " or ".join(f"{name}=…" for name in known)
            raise click.BadParameter(f"{text!r} is not {stated}, with commas between", param_hint=option)
    return parts


def _address(draft: Draft, spec: Data, text: str) -> str:
    """The address that is stated, or the next free one of the subnet that is."""
    from flows.model import Prefix

    parts = _parts("--fixed-ip", text, "subnet", "ip-address")
    if "ip-address" not in parts:
        return _next_address(draft, spec, parts["subnet"])
    try:
        return str(Prefix.parse(parts["ip-address"]))
    except ValueError:
        return parts["ip-address"]  # refused with all the rest


def _next_address(draft: Draft, spec: Data, subnet: str) -> str:
    from flows.model import Network
    from sgctl.cli.lookup import find
    from sgctl.cli.terminal import Failure
    from sgctl.service.addresses import AddressPool
    from sgctl.service.subnets import subnets_of

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
    """An Ethernet type as manifests print it; what is none is refused with all the rest."""
    try:
        return f"{int(text, 16 if text.lower().startswith('0x') else 10):#06x}"
    except ValueError:
        return text


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    from flows.model import Network, SecurityGroup
    from sgctl.cli.lookup import find

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

_NOUN = Noun(
    kinds.PORTS,
    _fill,
    _clear,
    _keep,
    creates=(option("--network", required=True, help="The network it is on.", **_NETWORK),),
    adds=(
        option("--mac-address", metavar="MAC", help="Its MAC address. Default: a new one."),
        _several("fixed-ip", _FIXED, "An address. Default: the next free one of each family."),
        option("--no-fixed-ip", is_flag=True, help="Take all addresses off first; when made: none."),
        _several("security-group", "GROUP", "A group it is a member of.", **_GROUP),
        option("--no-security-group", is_flag=True, help="Take it out of all groups first."),
        _several("allowed-address", _PAIR, "A source that it may use besides its own."),
        option("--no-allowed-address", is_flag=True, help="Take all such sources off first."),
        _several("permitted-ethertype", "TYPE", "An Ethernet type besides ARP and IP, such as 0x88cc."),
        option("--no-permitted-ethertype", is_flag=True, help="Take all such types off first."),
        option(
            "--enable-port-security/--disable-port-security",
            "port_security",
            default=None,
            help="Whether anything is filtered. Enabled when made.",
        ),
        option("--enable/--disable", "up", default=None, help="Whether anything passes. Enabled when made."),
        option("--device", help="The machine it belongs to."),
        option("--device-owner", metavar="OWNER", help="What owns the machine."),
        option("--iface-id", help="external_ids:iface-id of its interface. Default: its first name."),
    ),
    takes=(
        _several("fixed-ip", "ip-address=IP", "Take off this address."),
        _several("security-group", "GROUP", "Take it out of this group.", **_GROUP),
        _several("allowed-address", _PAIR, "Take off this source."),
        _several("permitted-ethertype", "TYPE", "Take off this Ethernet type."),
        option("--device", is_flag=True, help="Let it belong to no machine."),
        option("--device-owner", is_flag=True, help="Clear what owns the machine."),
    ),
    filters=(
        option("--network", help="Only those on this network.", **_NETWORK),
        option("--security-group", metavar="GROUP", help="Only the members of this group.", **_GROUP),
        option("--device-id", "--server", "device_id", metavar="ID", help="Only those of this machine."),
        option("--device-owner", metavar="OWNER", help="Only those with this owner."),
        option("--mac-address", metavar="MAC", help="Only the one with this MAC address."),
        option("--fixed-ip", metavar="ip-address=IP", help="Only those with this address."),
    ),
)


def add_verbs(group: click.Group) -> None:
    """Add create, set, unset, delete, list and show."""
    _NOUN.commands(group)
