"""The kinds the command line speaks of, and every way to write them."""

from __future__ import annotations

from typing import NamedTuple

import click


class Kind(NamedTuple):
    """`name` is plural and used in tables and `-o name`; `aliases` are other spellings, in lower case.

    Kinds that are `policy` stand in manifests and can be deleted; the others are reports of the controllers.
    Of these only hosts can be deleted: all that their controllers have reported.
    """

    name: str
    singular: str
    aliases: tuple[str, ...]
    policy: bool = True

    @property
    def spellings(self) -> tuple[str, ...]:
        """All that is accepted."""
        return (self.name, self.singular, *self.aliases)


NETWORKS = Kind("networks", "network", ("net", "nets"))
SUBNETS = Kind("subnets", "subnet", ())
"""Parts of networks, in whose manifests they are."""
PORTS = Kind("ports", "port", ())
SECURITY_GROUPS = Kind("security-groups", "security-group", ("sg", "sgs", "securitygroup", "securitygroups"))
RULES = Kind("rules", "rule", ("sgr",))
ADDRESS_GROUPS = Kind("address-groups", "address-group", ("ag", "ags", "addressgroup", "addressgroups"))
HOSTS = Kind("hosts", "host", (), policy=False)
SWITCHES = Kind("switches", "switch", ("sw",), policy=False)
BINDINGS = Kind("bindings", "binding", (), policy=False)
DROPS = Kind("drops", "drop", (), policy=False)
"""Read from this machine's switches, not from the policy database."""

KINDS = (NETWORKS, SUBNETS, ADDRESS_GROUPS, SECURITY_GROUPS, RULES, PORTS, HOSTS, SWITCHES, BINDINGS, DROPS)
WITH_REPORTS = (PORTS, HOSTS, SWITCHES, BINDINGS)
"""Those that show something that the controllers of hosts reported."""
WITH_MANIFEST = (NETWORKS, ADDRESS_GROUPS, SECURITY_GROUPS, PORTS)

BY_SPELLING = {spelling: kind for kind in KINDS for spelling in kind.spellings}


def find(spelling: str) -> Kind:
    """The kind of a spelling, in any case. Raises click.BadParameter."""
    kind = BY_SPELLING.get(spelling.lower())
    if kind is None:
        known = ", ".join(kind.name for kind in KINDS)
        raise click.BadParameter(f"there is no kind {spelling!r}; the kinds are {known}")
    return kind


def split(words: tuple[str, ...]) -> list[tuple[Kind, str]]:
    """`KIND NAME…` or `KIND/NAME…` as pairs of kind and name."""
    if words and "/" not in words[0]:
        kind = find(words[0])
        return [(kind, name) for name in words[1:]]
    pairs = []
    for word in words:
        spelling, slash, name = word.partition("/")
        if not slash or not name:
            raise click.BadParameter(f"{word!r} is not KIND/NAME")
        pairs.append((find(spelling), name))
    return pairs
