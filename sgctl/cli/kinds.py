"""The kinds of objects that the command line shows, and every way to spell them."""

from __future__ import annotations

from typing import NamedTuple

import click


class ObjectKind(NamedTuple):
    """`name` is the plural, as tables use it; `aliases` are other spellings, in lower case.

    Kinds with `policy` are parts of the policy and can be deleted. The others are reported by controllers. Of
    these, only hosts can be deleted, with everything that their controllers have reported.
    """

    name: str
    singular: str
    aliases: tuple[str, ...]
    policy: bool = True

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every spelling that is accepted."""
        return (self.name, self.singular, *self.aliases)

    @property
    def one(self) -> str:
        """One object in a sentence, such as `an address group`."""
        words = self.singular.replace("-", " ")
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"

    @property
    def many(self) -> str:
        """Several objects in a sentence, such as `address groups`."""
        return self.name.replace("-", " ")


NETWORKS = ObjectKind("networks", "network", ("net", "nets"))
SUBNETS = ObjectKind("subnets", "subnet", ())
"""Parts of networks, stated in the manifests of networks."""
PORTS = ObjectKind("ports", "port", ())
SECURITY_GROUPS = ObjectKind(
    "security-groups", "security-group", ("sg", "sgs", "securitygroup", "securitygroups")
)
RULES = ObjectKind("rules", "rule", ("sgr",))
ADDRESS_GROUPS = ObjectKind("address-groups", "address-group", ("ag", "ags", "addressgroup", "addressgroups"))
HOSTS = ObjectKind("hosts", "host", (), policy=False)
SWITCHES = ObjectKind("switches", "switch", ("sw",), policy=False)
BINDINGS = ObjectKind("bindings", "binding", (), policy=False)
DROPS = ObjectKind("drops", "drop", (), policy=False)
"""Read from this machine's switches instead of the policy database."""

KINDS = (NETWORKS, SUBNETS, ADDRESS_GROUPS, SECURITY_GROUPS, RULES, PORTS, HOSTS, SWITCHES, BINDINGS, DROPS)
WITH_REPORTS = (PORTS, HOSTS, SWITCHES, BINDINGS)
"""Kinds of which something comes from the controllers' reports."""
WITH_MANIFEST = (NETWORKS, ADDRESS_GROUPS, SECURITY_GROUPS, PORTS)

BY_SPELLING = {spelling: kind for kind in KINDS for spelling in kind.spellings}


def find(spelling: str) -> ObjectKind:
    """The kind with this spelling, in upper or lower case. Raises click.BadParameter."""
    kind = BY_SPELLING.get(spelling.lower())
    if kind is None:
        known = ", ".join(kind.name for kind in KINDS)
        raise click.BadParameter(f"there is no kind {spelling!r}; the kinds are {known}")
    return kind


def split(words: tuple[str, ...]) -> list[tuple[ObjectKind, str]]:
    """`KIND NAME…` or `KIND/NAME…` as pairs of kind and name. Raises click.BadParameter."""
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
