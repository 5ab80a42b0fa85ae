"""How an interface's `external_ids` declare it as the uplink of networks.

`sgctl-uplink` is written by users: names or ids of networks separated by commas, `*` for all.
`sgctl-uplink-ids` records the network that each name stood for, as NAME=ID separated by commas, because names
may change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Self

from flows.policy.objects import Network

UPLINK = "sgctl-uplink"
UPLINK_IDS = "sgctl-uplink-ids"
EVERY_NETWORK = "*"
UPLINK_LOOPS = "sgctl-uplink-loops"
"""The networks that are closed on an uplink, as NETWORK_ID=UPLINK, where UPLINK leads to the same segment."""


class Declaration(NamedTuple):
    """The values of `sgctl-uplink` and `sgctl-uplink-ids`; `ids` is empty until the names are resolved."""

    names: str
    ids: str = ""

    @classmethod
    def of(cls, words: Iterable[str], ids_by_word: Mapping[str, str]) -> Self:
        """A declaration of these words; `ids_by_word` maps words to network ids."""
        said = list(dict.fromkeys(words))
        pairs = [f"{word}={ids_by_word[word]}" for word in said if ids_by_word.get(word, word) != word]
        return cls(",".join(said), ",".join(pairs))

    @property
    def words(self) -> list[str]:
        """The declared words: names, ids and `*`."""
        return [word.strip() for word in self.names.split(",") if word.strip()]

    @property
    def ids_by_word(self) -> dict[str, str]:
        """The network ids that names were resolved to, by name. An id contains no `=`."""
        pairs = [pair.rpartition("=") for pair in self.ids.split(",")]
        return {name.strip(): identifier.strip() for name, separator, identifier in pairs if separator}


def read_loops(text: str) -> dict[str, str]:
    """By id of a closed network: the uplink that leads to the same segment."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {network.strip(): other.strip() for network, separator, other in pairs if separator}


def write_loops(loops: Mapping[str, str]) -> str:
    """The text that `read_loops` reads."""
    return ",".join(f"{network}={other}" for network, other in sorted(loops.items()))


def is_for_every(network: Network) -> bool:
    """Whether `*` includes a network.

    It excludes untagged networks of a project: creating one must not give a project access to the wire.
    """
    return not network.meta.project_id or network.segmentation_id is not None


def word_for(network: Network, others: Iterable[Network], known: Collection[str]) -> str:
    """The word for a network in a declaration: its name, or its id if the name would be ambiguous.

    `others` are the networks of the same declaration, `known` are the ids of all networks.
    """
    name = network.name
    taken = any(other.name == name and other.id != network.id for other in others)
    plain = name == name.strip() and "," not in name and name not in ("", EVERY_NETWORK)
    return name if plain and not taken and name not in known else network.id


def declare(networks: Collection[Network], known: Collection[str]) -> Declaration:
    """The declaration of an uplink of these networks; `known` are the ids of all networks."""
    words = {word_for(network, networks, known): network.id for network in networks}
    return Declaration.of(words, words)
