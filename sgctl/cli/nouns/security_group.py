"""`sgctl security-group`, with `sgctl security-group rule` below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sgctl.cli import kinds
from sgctl.cli.nouns.noun import Data, Noun, Options, assign, option
from sgctl.cli.nouns.rule import rule

if TYPE_CHECKING:
    from sgctl.service.draft import Draft


def _fill(draft: Draft, data: Data, options: Options) -> None:
    del draft
    assign(data["spec"], options, stateful="stateful")
    if options.get("default_rules"):
        data["spec"]["default_rules"] = "openstack"


def _clear(draft: Draft, data: Data, options: Options) -> None:
    """There is nothing to take off but tags."""


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    del draft
    stateful = options["stateful"]
    return lambda record: stateful is None or record["stateful"] == stateful


def _stateful(text: str) -> click.Option:
    return option("--stateful/--stateless", default=None, help=text)


_NOUN = Noun(
    kinds.SECURITY_GROUPS,
    _fill,
    _clear,
    _keep,
    creates=(
        option(
            "--default-rules/--no-default-rules",
            default=True,
            help="Begin with the rules of a new group of OpenStack: all egress, IPv4 and IPv6. The default.",
        ),
    ),
    adds=(_stateful("Whether replies to what a rule permits are permitted. Stateful when made."),),
    filters=(_stateful("Only such groups."),),
)


@click.group("security-group")
def security_group() -> None:
    """Make, change and show security groups and their rules."""


_NOUN.commands(security_group)
security_group.add_command(rule)
