"""`sgctl address-group`."""

from __future__ import annotations

from sgctl.cli import kinds
from sgctl.cli.nouns.noun import Data, Noun, Options, discard, extend, option
from sgctl.service.draft import Draft


def _fill(draft: Draft, data: Data, options: Options) -> None:
    del draft
    data["spec"].setdefault("addresses", [])
    extend(data["spec"], "addresses", options["address"])


def _clear(draft: Draft, data: Data, options: Options) -> None:
    del draft
    discard(data["spec"], "addresses", options["address"])


NOUN = Noun(
    kinds.ADDRESS_GROUPS,
    _fill,
    _clear,
    edit_options=(
        option("--address", metavar="CIDR", multiple=True, help="An address or CIDR. May be repeated."),
    ),
    unset_options=(
        option("--address", metavar="CIDR", multiple=True, help="Remove this address. May be repeated."),
    ),
)
