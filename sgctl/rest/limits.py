"""Quotas: what is counted, and the limits that a setting gives to every project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.rest.credentials import AccessError

UNLIMITED = -1

Limits = Mapping[str, int]


class Counted(NamedTuple):
    """What a quota counts: objects of a kind, each for `amount`."""

    kind: type[PolicyObject]
    amount: Callable[[Any], int] = lambda _: 1


COUNTED: Mapping[str, Counted] = {
    "network": Counted(Network),
    "subnet": Counted(Network, lambda network: len(network.subnets)),
    "port": Counted(Port),
    "security_group": Counted(SecurityGroup),
    "security_group_rule": Counted(Rule),
    "address_group": Counted(AddressGroup),
    "address_group_address": Counted(AddressGroup, lambda group: len(group.addresses)),
}

DEFAULTS: Limits = {
    "network": 100,
    "subnet": 100,
    "port": 500,
    "security_group": 100,
    "security_group_rule": 1000,
    "address_group": 100,
    "address_group_address": 10_000,
}
"""The limits of projects whose members have tokens, unless a setting says otherwise."""


def parse(text: str, *, tokens: bool) -> Limits:
    """Limits from a setting such as `port=500,security_group=-1`; -1 is no limit.

    `tokens` says whether clients have tokens: if so, `DEFAULTS` hold for what the setting does not name.
    Raises AccessError.
    """
    limits = dict(DEFAULTS) if tokens else dict.fromkeys(COUNTED, UNLIMITED)
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        is_number = value == str(UNLIMITED) or (value.isascii() and value.isdigit())
        if name not in COUNTED or not is_number:
            raise AccessError(f"quota {part!r} is not NAME=NUMBER with a NAME of {', '.join(COUNTED)}")
        limits[name] = int(value)
    return limits
