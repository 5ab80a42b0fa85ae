"""`sgctl address-group`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sgctl.cli import kinds
from sgctl.cli.nouns.noun import Data, Noun, Options, discard, extend, option

if TYPE_CHECKING:
    from sgctl.service.draft import Draft


def _fill(draft: Draft, data: Data, options: Options) -> None:
    del draft
    data["spec"].setdefault("addresses", [])
    extend(data["spec"], "addresses", options["address"])


def _clear(draft: Draft, data: Data, options: Options) -> None:
    del draft
    discard(data["spec"], "addresses", options["address"])


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    del draft, options
    return lambda _: True


_NOUN = Noun(
    kinds.ADDRESS_GROUPS,
    _fill,
    _clear,
    _keep,
    adds=(option("--address", metavar="CIDR", multiple=True, help="An address or CIDR. May be repeated."),),
    takes=(option("--address", metavar="CIDR", multiple=True, help="Take off this one. May be repeated."),),
)


@click.group("address-group")
def address_group() -> None:
    """Make, change and show address groups."""


_NOUN.commands(address_group)
