"""`sgctl security-group rule`, except for its edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from flows.policy.objects import SecurityGroup
from sgctl.cli import kinds
from sgctl.cli.completers import names_of
from sgctl.cli.lookup import find
from sgctl.cli.nouns.noun import Noun, Options, option
from sgctl.service import protocols
from sgctl.service.draft import Draft


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    group, protocol = options["group"], options["protocol"]
    wanted: dict[str, object] = {}
    if group is not None:
        wanted["security_group_id"] = find(draft, SecurityGroup, group).id
    if options["direction"] is not None:
        wanted["direction"] = options["direction"]
    if options["ethertype"] is not None:
        wanted["ethertype"] = options["ethertype"]
    if protocol is not None:
        try:
            wanted["protocol"] = protocols.show(protocols.parse(protocol))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--protocol") from error
    return lambda record: all(record[field] == value for field, value in wanted.items())


NOUN = Noun(
    kinds.RULES,
    keep=_keep,
    list_arguments=(
        click.Argument(["group"], required=False, shell_complete=names_of(kinds.SECURITY_GROUPS)),
    ),
    list_options=(
        option("--ingress", "direction", flag_value="ingress", default=None, help="Only ingress rules."),
        option("--egress", "direction", flag_value="egress", help="Only egress rules."),
        option("--protocol", help="Only rules for this protocol."),
        option("--ethertype", type=click.Choice(["IPv4", "IPv6"]), help="Only rules of this family."),
    ),
)
