"""`sgctl subnet`, except for its edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from flows.policy.objects import Network
from sgctl.cli import kinds
from sgctl.cli.completers import names_of
from sgctl.cli.lookup import find
from sgctl.cli.nouns.noun import Noun, Options, option
from sgctl.service.draft import Draft


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    wanted = {
        "network_id": find(draft, Network, options["network"]).id if options["network"] else None,
        "cidr": options["subnet_range"],
        "ip_version": int(options["ip_version"]) if options["ip_version"] else None,
        "gateway_ip": options["gateway"],
        "enable_dhcp": options["dhcp"],
    }
    return lambda record: all(value is None or record[field] == value for field, value in wanted.items())


NOUN = Noun(
    kinds.SUBNETS,
    keep=_keep,
    list_options=(
        option("--network", help="Only those of this network.", shell_complete=names_of(kinds.NETWORKS)),
        option("--subnet-range", metavar="CIDR", help="Only those with these addresses."),
        option("--ip-version", type=click.Choice(["4", "6"]), help="Only those of this family."),
        option("--gateway", metavar="IP", help="Only those with this gateway."),
        option("--dhcp/--no-dhcp", default=None, help="Only those with or without DHCP."),
    ),
)
