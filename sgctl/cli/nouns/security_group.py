"""`sgctl security-group`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sgctl.cli import kinds
from sgctl.cli.nouns.noun import Data, Noun, Options, option
from sgctl.service.draft import Draft


def _fill(draft: Draft, data: Data, options: Options) -> None:
    del draft
    if options.get("default_rules"):
        data["spec"]["default_rules"] = "openstack"


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    del draft
    stateful = options["stateful"]
    return lambda record: stateful is None or record["stateful"] == stateful


NOUN = Noun(
    kinds.SECURITY_GROUPS,
    _fill,
    keep=_keep,
    create_options=(
        option(
            "--default-rules/--no-default-rules",
            default=True,
            help="Create the rules that OpenStack gives a new group: all egress, IPv4 and IPv6. The default.",
        ),
    ),
    list_options=(option("--stateful/--stateless", default=None, help="Only such groups."),),
)
