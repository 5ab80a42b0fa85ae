"""Detects loops: two uplinks that lead to the same segment. A network with a loop is closed on one of them.

A probe is a frame to a group address, sent on one uplink. Its source MAC address cannot be guessed without
having seen a probe. If the probe is received on another uplink, both uplinks lead to the same segment.
Replaying a probe on its segment has no effect: no flow accepts it on the uplink that sent it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from flows.openflow.actions import Action
from flows.policy.objects import Network
from sgctl.controller.bindings import Binding
from sgctl.controller.compiler_uplinks import compiler_uplink, probe_mac
from sgctl.controller.engine import ManagedBridge
from sgctl.vswitch.uplinks import read_loops

LOG = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
OPEN_SECONDS = 10.0
"""A network is opened again on an uplink when no probe has been received for this long."""
MOST_PROBES = 64
"""Probes that one bridge sends per round; if there are more, they take turns."""
MAX_RECEIVED = 256
PROBE_GROUP = bytes.fromhex("03736763746c")
"""A locally administered group address, which every switch forwards."""
_ETHERTYPE = bytes.fromhex("88b5")
"""The ethertype for local experiments (IEEE 802)."""
_TAG = bytes.fromhex("8100")
_SHORTEST_FRAME = 60

Transmit = Callable[[Action, bytes], None]


_Place = tuple[str, str]
"""The names of a bridge and an uplink."""


class LoopStore(Protocol):
    """Stores which networks are closed."""

    def set_loops(self, interface: str, loops: Mapping[str, str]) -> None:
        """Close these networks on an uplink, by id, and no others."""


class LoopWatch:
    """Sends probes, and closes and opens networks on uplinks, in the switch database.

    Any green thread may call `connect`, `disconnect` and `receive_probe`; only the thread of `local` may call
    `maintain`.
    """

    def __init__(self, local: LoopStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._local = local
        self._clock = clock
        self._transmit: dict[int, Transmit] = {}
        self._received: deque[tuple[int, int, bytes]] = deque(maxlen=MAX_RECEIVED)
        self._last: dict[tuple[_Place, str], float] = {}
        self._due = 0.0
        self._turn = 0

    def connect(self, dpid: int, transmit: Transmit) -> None:
        """Add a switch that has connected; `transmit` makes it send a frame."""
        self._transmit[dpid] = transmit
        self._last.clear()  # silence while the switch was not connected does not count

    def disconnect(self, dpid: int) -> None:
        """Remove a switch whose connection has ended."""
        self._transmit.pop(dpid, None)

    def receive_probe(self, dpid: int, in_port: int, frame: bytes) -> None:
        """Receive a probe; `maintain` processes it."""
        self._received.append((dpid, in_port, frame))

    def maintain(self, bridges: Mapping[int, ManagedBridge], networks: Mapping[str, Network]) -> None:
        """Process received probes; every PROBE_SECONDS, send probes and open networks without a loop.

        Raises StoreError.
        """
        received = dict.fromkeys(self._received)
        self._received.clear()
        news: defaultdict[_Place, dict[str, str]] = defaultdict(dict)
        for dpid, in_port, frame in received:
            if dpid in bridges:
                self._take(bridges[dpid], networks, in_port, frame, news)
        for (bridge, uplink), closed in news.items():
            self._close(bridge, uplink, closed)
        if self._clock() >= self._due:
            self._due = self._clock() + PROBE_SECONDS
            self._turn += 1
            for dpid, managed in bridges.items():
                if dpid in self._transmit:
                    round_seconds = self._probe(managed, networks, self._transmit[dpid])
                    self._open(managed, max(OPEN_SECONDS, 3 * round_seconds))

    def _take(
        self,
        managed: ManagedBridge,
        networks: Mapping[str, Network],
        in_port: int,
        frame: bytes,
        news: Mapping[_Place, dict[str, str]],
    ) -> None:
        """Add the networks to close to `news`, always on the uplink whose name sorts later."""
        bindings = managed.bindings.uplink_bindings.values()
        source = int.from_bytes(frame[6:12], "big")
        here = next((binding for binding in bindings if in_port in compiler_uplink(binding).members), None)
        sender = next((binding for binding in bindings if probe_mac(binding) == source), None)
        if here is None or sender is None or here is sender:
            return
        keeps, loses = sorted((here, sender), key=lambda binding: binding.interface.name)
        place = managed.bridge.name, loses.interface.name
        for network in here.declared_networks & sender.declared_networks & networks.keys():
            if frame[12:].startswith(_identifier(networks[network])):
                self._last[place, network] = self._clock()
                if network not in loses.closed:
                    news[place].update({**loses.closed, **news[place], network: keeps.interface.name})

    def _close(self, bridge: str, uplink: str, closed: Mapping[str, str]) -> None:
        others = ", ".join(sorted(set(closed.values())))
        text = "bridge %s: %s leads to the same segment as %s; networks are closed on %s"
        LOG.warning(text, bridge, uplink, others, uplink)
        self._local.set_loops(uplink, closed)

    def _probe(self, managed: ManagedBridge, networks: Mapping[str, Network], transmit: Transmit) -> float:
        """Send the probes of this round; returns the seconds after which all probes have been sent."""
        probes = list(_probes(managed.bindings.uplink_bindings.values(), networks))
        start = self._turn * MOST_PROBES % len(probes) if len(probes) > MOST_PROBES else 0
        for out, frame in (probes + probes)[start : start + min(MOST_PROBES, len(probes))]:
            transmit(out, frame)
        return (len(probes) // MOST_PROBES + 1) * PROBE_SECONDS

    def _open(self, managed: ManagedBridge, patience: float) -> None:
        """Open networks for which probes were sent but none was received for `patience` seconds."""
        now = self._clock()
        for binding in list(managed.bindings.uplink_bindings.values()):
            uplink, closed = binding.interface.name, read_loops(binding.interface.loops)
            place = managed.bridge.name, uplink
            last = {network: self._last.setdefault((place, network), now) for network in closed}
            quiet = {network for network, received in last.items() if now - received > patience}
            if quiet:
                LOG.warning("bridge %s: networks are open again on %s", managed.bridge.name, uplink)
                self._local.set_loops(uplink, {each: closed[each] for each in closed if each not in quiet})
                for network in quiet:
                    del self._last[place, network]


def _probes(bindings: Iterable[Binding], networks: Mapping[str, Network]) -> Iterator[tuple[Action, bytes]]:
    """The output and the frame of each probe: for networks with several uplinks, one on each of them."""
    uplinks = list(bindings)
    count = Counter(network for binding in uplinks for network in binding.declared_networks)
    for binding in uplinks:
        source = probe_mac(binding).to_bytes(6, "big")
        for network in sorted(binding.declared_networks):
            if count[network] > 1 and network in networks:
                frame = PROBE_GROUP + source + _identifier(networks[network])
                yield compiler_uplink(binding).out, frame.ljust(_SHORTEST_FRAME, b"\0")


def _identifier(network: Network) -> bytes:
    """The bytes after the MAC addresses in a network's probes, starting with its VLAN tag, if any."""
    vid = network.segmentation_id
    tag = b"" if vid is None else _TAG + vid.to_bytes(2, "big")
    return tag + _ETHERTYPE + hashlib.sha256(network.id.encode()).digest()[:8]
