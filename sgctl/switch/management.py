"""Connects to bridges of this host through Open vSwitch's management sockets, instead of waiting for them.

After an interruption a bridge may wait up to 8 seconds before it reconnects to its controller. Its management
socket (ovs-vswitchd(8), `BRIDGE.mgmt`) accepts connections at any time, and only from its owner.

Gain: up to 8 s after a long interruption; nothing after a short one, where the bridge tries again at once
(`python -m bench --only optimizations`). Switch it off with `SGCTL_WITHOUT=management`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from sgctl import runtime
from sgctl.optimizations import is_on
from sgctl.switch.connection import Connection
from sgctl.switch.listen_address import ListenAddress
from sgctl.switch.rate_limited_log import RateLimitedLog
from sgctl.vswitch.local_switches import Bridge
from sgctl.vswitch.remote import run_directory

LOG = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""Between two attempts to connect, and between two checks that a bridge still has this controller."""


class ManagementConnections:
    """The connections that this controller makes to bridges; `ovsdb` is the remote of the switch database.

    It connects to bridges that have this controller configured. Such a connection ends when the bridge itself
    connects, or when this controller is removed from the bridge.
    """

    def __init__(self, ovsdb: str, address: ListenAddress, attend: Callable[[Connection], None]) -> None:
        """`attend` serves a connection until it ends."""
        self._directory = run_directory(ovsdb) if is_on("management") else None
        self.address = address
        self._attend = attend
        self._bridges: tuple[Bridge, ...] = ()
        self._due: dict[str, float] = {}
        self._rate_limited = RateLimitedLog(LOG)

    def reach(self, bridges: Iterable[Bridge], connected: Container[int]) -> None:
        """Connect to our bridges that are not in `connected` (datapath ids).

        Bridges that cannot be reached will connect by themselves.
        """
        self._bridges = tuple(bridges)
        if self._directory is None:
            return
        now = time.monotonic()
        for bridge in self._bridges:
            if bridge.dpid not in connected and now >= self._due.get(bridge.name, 0.0):
                self._due[bridge.name] = now + AGAIN_SECONDS
                if self._is_ours(bridge):
                    runtime.spawn(self._connect, bridge.name, self._directory / f"{bridge.name}.mgmt")

    def _is_ours(self, bridge: Bridge) -> bool:
        return any(map(self.address.matches_target, bridge.targets))

    def _connect(self, name: str, path: Path) -> None:
        try:
            line = runtime.connect_unix(path)
        except OSError as error:
            self._rate_limited.warn(name, f"cannot connect to bridge {name} at {path}: {error}")
            return
        connection = Connection(line, str(path), direct=True)
        watcher = runtime.spawn(self._watch, name, connection)
        self._attend(connection)
        watcher.kill()

    def _watch(self, name: str, connection: Connection) -> None:
        while any(bridge.name == name and self._is_ours(bridge) for bridge in self._bridges):
            runtime.sleep(AGAIN_SECONDS)
        connection.close()
