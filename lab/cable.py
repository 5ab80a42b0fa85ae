"""A network between namespaces that can lose everything without a word, as real networks do."""

from __future__ import annotations

from lab import process
from lab.netns import Namespace
from lab.running import Running


class Cable(Running):
    """A Linux bridge called `name` (at most 14 characters), with one device of this name in each namespace.

    `ends` gives the namespaces their addresses, with prefix length; `home` is our own, if we are on it.
    """

    def __init__(self, name: str, ends: dict[Namespace, str], home: str = "") -> None:
        self.name = name
        self._ends = ends
        self._home = home

    def start(self) -> None:
        """Lay it."""
        _ip("link", "add", self.name, "type", "bridge", "forward_delay", "0")
        if self._home:
            _ip("address", "add", self._home, "dev", self.name)
        _ip("link", "set", self.name, "up")
        for number, (place, address) in enumerate(self._ends.items()):
            port = f"{self.name}{number}"
            _ip("link", "add", port, "type", "veth", "peer", "name", self.name, "netns", place.name)
            _ip("link", "set", port, "up")
            place.run("ip", "address", "add", address, "dev", self.name)
            place.run("ip", "link", "set", self.name, "up")
        self.mend()

    def close(self) -> None:
        """Take it away."""
        for port in self._ports():
            _ip("link", "delete", port)
        _ip("link", "delete", self.name)

    def cut(self) -> None:
        """From now on nothing arrives, and nobody is told: every device stays up."""
        for port in self._ports():
            _ip("link", "set", port, "nomaster")

    def mend(self) -> None:
        """Undo it."""
        for port in self._ports():
            _ip("link", "set", port, "master", self.name)

    def _ports(self) -> list[str]:
        return [f"{self.name}{number}" for number in range(len(self._ends))]


def _ip(*arguments: str) -> None:
    process.run(["ip", *arguments])
