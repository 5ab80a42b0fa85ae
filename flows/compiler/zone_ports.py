"""Which networks have ports on a bridge: zones by address scope, ports by zone and chunk."""

from __future__ import annotations

from collections import defaultdict

from flows.compiler.attachment import Attachment
from flows.compiler.port_flows import CHUNK


class ZonePorts:
    """The ports of each zone, and the address scope of each zone."""

    def __init__(self) -> None:
        self.zones_of_scope: defaultdict[str, set[int]] = defaultdict(set)
        self._scope_of_zone: dict[int, str] = {}
        self._ports: defaultdict[int, defaultdict[int, set[int]]] = defaultdict(lambda: defaultdict(set))

    def enter(self, at: Attachment) -> bool:
        """Add a port to its zone; True if it is the first."""
        first = at.zone not in self._ports
        self._ports[at.zone][at.ofport // CHUNK].add(at.ofport)
        if first:
            self._scope_of_zone[at.zone] = ""
        return first

    def leave(self, at: Attachment) -> bool:
        """Remove a port from its zone; True if it was the last."""
        chunks = self._ports[at.zone]
        chunks[at.ofport // CHUNK].discard(at.ofport)
        if not chunks[at.ofport // CHUNK]:
            del chunks[at.ofport // CHUNK]
        if chunks:
            return False
        del self._ports[at.zone]
        self.zones_of_scope[self._scope_of_zone.pop(at.zone)].discard(at.zone)
        return True

    def rescope(self, zone: int, scope: str) -> bool:
        """Set the address scope of a zone that has ports; False if nothing changes."""
        current = self._scope_of_zone.get(zone)
        if current is None or current == scope:
            return False
        self.zones_of_scope[current].discard(zone)
        self.zones_of_scope[scope].add(zone)
        self._scope_of_zone[zone] = scope
        return True

    def members(self, zone: int, chunk: int) -> set[int]:
        """The ports of a zone in a chunk, which share a broadcast flow."""
        return self._ports[zone][chunk] if zone in self._ports and chunk in self._ports[zone] else set()

    def chunks(self, zone: int) -> list[int]:
        """The chunks in which a zone has ports."""
        return sorted(self._ports[zone]) if zone in self._ports else []
