"""A network between namespaces that can lose all packets without an error, as real networks can."""

from __future__ import annotations

from lab import process
from lab.netns import Namespace
from lab.running import Running


class Cable(Running):
    """A Linux bridge called `name` (at most 14 characters), and a device of this name in each namespace.

    `ends` maps the namespaces to their addresses with prefix length; `home` is the address of this process's
    own namespace, if it is connected.
    """

    def __init__(self, name: str, ends: dict[Namespace, str], home: str = "") -> None:
        self.name = name
        self._ends = ends
        self._home = home

    def start(self) -> None:
        """Create the bridge and its devices."""
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
        """Remove the bridge and its devices."""
        for port in self._ports():
            _ip("link", "delete", port)
        _ip("link", "delete", self.name)

    def cut(self) -> None:
        """Drop all packets from now on; every device stays up, so no host notices."""
        for port in self._ports():
            _ip("link", "set", port, "nomaster")

    def mend(self) -> None:
        """Deliver packets again."""
        for port in self._ports():
            _ip("link", "set", port, "master", self.name)

    def _ports(self) -> list[str]:
        return [f"{self.name}{number}" for number in range(len(self._ends))]


def _ip(*arguments: str) -> None:
    process.run(["ip", *arguments])
