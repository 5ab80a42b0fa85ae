"""Two uplinks that lead to the same place are a loop: found by probes, and closed on one of them.

A probe is a frame to a group address, sent out of one uplink, from a MAC that nobody can guess who has not
seen it. If it comes in by another uplink, both lead to one segment. Whoever sends back what was seen on a
segment achieves nothing: on the uplink that a probe left by, no flow waits for it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from flows.actions import Action
from flows.model import Network
from sgctl.controller.attach import Role
from sgctl.controller.engine import ManagedBridge
from sgctl.controller.ways import probe_mac, way
from sgctl.store.local import LocalSwitches
from sgctl.store.uplinks import read_loops

LOG = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
OPEN_SECONDS = 10.0
"""A network is opened again on an uplink when no probe has come round for so long."""
MOST_PROBES = 64
"""At a time, on one bridge; where there are more, they take turns."""
MOST_WAITING = 256
PROBE_GROUP = bytes.fromhex("03736763746c")
"""Of local administration, so that no bridge keeps it to itself."""
_ETHERTYPE = bytes.fromhex("88b5")
"""For experiments (IEEE 802)."""
_TAG = bytes.fromhex("8100")
_SHORTEST_FRAME = 60

Transmit = Callable[[Action, bytes], None]


class _Loop(NamedTuple):
    """On a bridge, the uplink on which a network is closed."""

    bridge: str
    uplink: str
    network: str


class LoopWatch:
    """Sends probes, and closes and opens networks on uplinks, in the switch database.

    `connect`, `disconnect` and `hear` may be called by any green thread, `tend` by that of `local`.
    """

    def __init__(self, local: LocalSwitches, clock: Callable[[], float] = time.monotonic) -> None:
        self._local = local
        self._clock = clock
        self._transmit: dict[int, Transmit] = {}
        self._heard: deque[tuple[int, int, bytes]] = deque(maxlen=MOST_WAITING)
        self._last: dict[_Loop, float] = {}
        self._closing: set[_Loop] = set()
        self._due = 0.0
        self._turn = 0

    def connect(self, dpid: int, transmit: Transmit) -> None:
        """A switch is connected, and sends frames by `transmit`."""
        self._transmit[dpid] = transmit
        self._last.clear()  # what was not heard meanwhile says nothing

    def disconnect(self, dpid: int) -> None:
        """A switch is gone."""
        self._transmit.pop(dpid, None)

    def hear(self, dpid: int, in_port: int, frame: bytes) -> None:
        """A probe has come in."""
        self._heard.append((dpid, in_port, frame))

    def tend(self, bridges: Mapping[int, ManagedBridge], networks: Mapping[str, Network]) -> None:
        """Take in what has been heard; send probes and open what is no loop any more when it is time for it.

        Raises StoreError.
        """
        heard = dict.fromkeys(self._heard)
        self._heard.clear()
        self._closing.clear()  # what was written then has been read since
        for dpid, in_port, frame in heard:
            if dpid in bridges:
                self._take(bridges[dpid], networks, in_port, frame)
        if self._clock() >= self._due:
            self._due = self._clock() + PROBE_SECONDS
            self._turn += 1
            for dpid, managed in bridges.items():
                if dpid in self._transmit:
                    self._probe(managed, networks, self._transmit[dpid])
                    self._open(managed)

    def _take(
        self, managed: ManagedBridge, networks: Mapping[str, Network], in_port: int, frame: bytes
    ) -> None:
        roles = managed.roles.uplink_roles.values()
        source = int.from_bytes(frame[6:12], "big")
        here = next((role for role in roles if in_port in way(role).members), None)
        sender = next((role for role in roles if probe_mac(role) == source), None)
        if here is None or sender is None or here is sender:
            return
        for network in here.meant & sender.meant & networks.keys():
            if frame[12:].startswith(_mark(networks[network])):
                keeps, loses = sorted((here, sender), key=lambda role: role.interface.name)
                self._close(managed, loses, network, keeps.interface.name)

    def _close(self, managed: ManagedBridge, role: Role, network: str, other: str) -> None:
        """The one whose name comes later loses, whichever of them heard the other."""
        loop = _Loop(managed.bridge.name, role.interface.name, network)
        self._last[loop] = self._clock()
        if network not in role.closed and loop not in self._closing:
            self._closing.add(loop)
            LOG.warning("bridge %s: %s leads where %s leads; a network is closed there", *loop[:2], other)
            self._local.set_loops(role.interface.name, {**role.closed, network: other})

    def _probe(self, managed: ManagedBridge, networks: Mapping[str, Network], transmit: Transmit) -> None:
        probes = list(_probes(managed.roles.uplink_roles.values(), networks))
        start = self._turn * MOST_PROBES % len(probes) if len(probes) > MOST_PROBES else 0
        for out, frame in (probes + probes)[start : start + min(MOST_PROBES, len(probes))]:
            transmit(out, frame)

    def _open(self, managed: ManagedBridge) -> None:
        """Open what has been quiet for long; it has been asked for all the time."""
        now = self._clock()
        for role in managed.roles.uplink_roles.values():
            uplink, closed = role.interface.name, read_loops(role.interface.loops)
            loops = {network: _Loop(managed.bridge.name, uplink, network) for network in closed}
            last = {network: self._last.setdefault(loop, now) for network, loop in loops.items()}
            quiet = {network for network, heard in last.items() if now - heard > OPEN_SECONDS}
            if quiet:
                LOG.warning("bridge %s: networks are open again on %s", managed.bridge.name, uplink)
                self._local.set_loops(uplink, {each: closed[each] for each in closed if each not in quiet})


def _probes(roles: Iterable[Role], networks: Mapping[str, Network]) -> Iterator[tuple[Action, bytes]]:
    """A probe for each network that could go by several uplinks, out of each of these."""
    uplinks = list(roles)
    count = Counter(network for role in uplinks for network in role.meant)
    for role in uplinks:
        source = probe_mac(role).to_bytes(6, "big")
        for network in sorted(role.meant):
            if count[network] > 1 and network in networks:
                frame = PROBE_GROUP + source + _mark(networks[network])
                yield way(role).out, frame.ljust(_SHORTEST_FRAME, b"\0")


def _mark(network: Network) -> bytes:
    """What stands behind the addresses in the probes of a network; its tag first, as on the wire."""
    vid = network.segmentation_id
    tag = b"" if vid is None else _TAG + vid.to_bytes(2, "big")
    return tag + _ETHERTYPE + hashlib.sha256(network.id.encode()).digest()[:8]
