"""Resolves the networks in an uplink's declaration.

Names are only looked up among networks without a project: the users of a project can give their networks any
name, and must not decide what an uplink carries. The id that is found is written into the declaration. From
then on the declaration refers to that network, even if networks are renamed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from flows.policy.index import Policy
from flows.policy.objects import Network
from sgctl.vswitch.uplinks import EVERY_NETWORK, Declaration, is_for_every, word_for


class ResolvedUplink(NamedTuple):
    """The ids of the networks that an uplink carries, problems with others, and the updated declaration."""

    networks: frozenset[str]
    problems: list[str]
    declaration: Declaration


class NetworkNames:
    """Looks up networks by the words of uplink declarations; builds its index on first use."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._by_name: dict[str, list[Network]] = {}

    def resolve(self, declared: Declaration, trunks: frozenset[int]) -> ResolvedUplink:
        """Resolve a declaration. `trunks` are the VLANs of the uplink's port, 0 for untagged; empty: all.

        Of networks with the same tag only one is carried: explicitly declared networks come before those of
        `*`, older networks before newer ones. So a new network never replaces an existing one.
        """
        ids_by_word = declared.ids_by_word
        found = {
            word: identifier
            for word in declared.words
            if word != EVERY_NETWORK and (identifier := self._find(word, ids_by_word.get(word)))
        }
        missing = [word for word in declared.words if word not in found and word != EVERY_NETWORK]
        wanted = {*found.values(), *(self._every() if EVERY_NETWORK in declared.words else ())}
        outside = self._outside(wanted, trunks)
        mixed = self._shadowed(wanted - outside, set(found.values()))
        problems = [
            *map(self._why_not, missing),
            *self._list_names("networks with the same VLAN as another network:", mixed),
            *self._list_names("not among the trunks of its port:", outside),
        ]
        return ResolvedUplink(frozenset(wanted - mixed - outside), problems, self._updated(declared, found))

    def _find(self, word: str, before: str | None) -> str | None:
        """The network id for a word: the id recorded before, else the word as an id or as a name."""
        networks = self._policy.networks
        for identifier in (before, word):
            if identifier in networks:
                return identifier
        named = [network for network in self._named(word) if not network.meta.project_id]
        return named[0].id if len(named) == 1 else None

    def _named(self, name: str) -> list[Network]:
        if not self._by_name:
            for network in self._policy.networks.values():
                self._by_name.setdefault(network.name, []).append(network)
        return self._by_name.get(name, [])

    def _every(self) -> Iterator[str]:
        return (network.id for network in self._policy.networks.values() if is_for_every(network))

    def _why_not(self, word: str) -> str:
        named = self._named(word)
        if len(named) == 1:
            return (
                f"network {word!r} belongs to project {named[0].meta.project_id!r}: declare it with "
                "`sgctl uplink set`, which names it by its id"
            )
        return f"no network, or more than one, is called {word!r}"

    def name(self, identifier: str) -> str:
        """A network's name, or its id if it has no name."""
        return self._policy.networks[identifier].name or identifier

    def _list_names(self, what: str, networks: Iterable[str]) -> Iterator[str]:
        names = sorted(map(self.name, networks))
        if names:
            yield f"{what} {', '.join(names)}"

    def _outside(self, networks: Iterable[str], trunks: frozenset[int]) -> set[str]:
        """The networks whose VLAN (0 for untagged) is not among the trunks; empty `trunks` allow all."""
        vlans = {network: self._policy.networks[network].segmentation_id or 0 for network in networks}
        return {network for network, vlan in vlans.items() if trunks and vlan not in trunks}

    def _shadowed(self, wanted: Iterable[str], declared: AbstractSet[str]) -> set[str]:
        """The networks whose tag is already used by a network with precedence."""
        by_tag: defaultdict[int | None, list[Network]] = defaultdict(list)
        for identifier in wanted:
            network = self._policy.networks[identifier]
            by_tag[network.segmentation_id].append(network)
        late: set[str] = set()
        for alike in by_tag.values():
            alike.sort(key=lambda each: (each.id not in declared, each.meta.created_at, each.id))
            late.update(network.id for network in alike[1:])
        return late

    def _updated(self, declared: Declaration, found: dict[str, str]) -> Declaration:
        """The declaration with current names and ids; words that were not found are kept."""
        known, before = self._policy.networks, declared.ids_by_word
        carried = [known[identifier] for identifier in dict.fromkeys(found.values())]
        ids_by_word: dict[str, str] = {}
        for word in declared.words:
            if word in found:
                network = known[found[word]]
                ids_by_word[word_for(network, carried, known)] = network.id
            else:
                ids_by_word[word] = before.get(word, word)
        return Declaration.of(ids_by_word, ids_by_word) if ids_by_word else declared
