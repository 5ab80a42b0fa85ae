"""How an interface says of which networks it is the uplink, in its `external_ids`.

`sgctl-uplink` is for people: names or ids of networks separated by commas, `*` for all. `sgctl-uplink-ids`
tells which network each name was found to mean, as NAME=ID separated by commas: names may change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Self

from flows.model import Network

UPLINK = "sgctl-uplink"
UPLINK_IDS = "sgctl-uplink-ids"
EVERY_NETWORK = "*"
UPLINK_LOOPS = "sgctl-uplink-loops"
"""The networks that are closed on an uplink, as NETWORK_ID=UPLINK: the other one leads to the same place."""


class Declaration(NamedTuple):
    """The two values; `ids` is empty as long as nobody has looked the names up."""

    names: str
    ids: str = ""

    @classmethod
    def of(cls, words: Iterable[str], meant: Mapping[str, str]) -> Self:
        """Say these words, of which some mean the network with an id."""
        said = list(dict.fromkeys(words))
        pairs = [f"{word}={meant[word]}" for word in said if meant.get(word, word) != word]
        return cls(",".join(said), ",".join(pairs))

    @property
    def words(self) -> list[str]:
        """Names, ids and `*`."""
        return [word.strip() for word in self.names.split(",") if word.strip()]

    @property
    def meant(self) -> dict[str, str]:
        """The ids of the networks that names were found to mean. An id has no `=` in it."""
        pairs = [pair.rpartition("=") for pair in self.ids.split(",")]
        return {name.strip(): identifier.strip() for name, separator, identifier in pairs if separator}


def read_loops(text: str) -> dict[str, str]:
    """The uplinks that lead to the same place, by the id of the network that is closed because of it."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {network.strip(): other.strip() for network, separator, other in pairs if separator}


def write_loops(loops: Mapping[str, str]) -> str:
    """The same as text."""
    return ",".join(f"{network}={other}" for network, other in sorted(loops.items()))


def is_for_every(network: Network) -> bool:
    """Whether `*` stands for a network, too.

    Untagged networks that belong to a project do not count: who makes one must not get onto the wire by it.
    """
    return not network.meta.project_id or network.segmentation_id is not None


def word_for(network: Network, others: Iterable[Network], known: Collection[str]) -> str:
    """What to call a network in a declaration: its name, unless that could be misread.

    `others` are in the same declaration, `known` are the ids of all networks.
    """
    name = network.name
    taken = any(other.name == name and other.id != network.id for other in others)
    plain = name == name.strip() and "," not in name and name not in ("", EVERY_NETWORK)
    return name if plain and not taken and name not in known else network.id


def declare(networks: Collection[Network], known: Collection[str]) -> Declaration:
    """Declare an uplink of these networks."""
    words = {word_for(network, networks, known): network.id for network in networks}
    return Declaration.of(words, words)
