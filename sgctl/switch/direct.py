"""Connecting to a bridge of this host instead of waiting for it: by Open vSwitch's management socket.

After an interruption a bridge looks for its controller when it pleases, up to 8 seconds later. Its
management socket (ovs-vswitchd(8), `BRIDGE.mgmt`) takes connections at any time.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

from ryu.controller.controller import datapath_connection_factory
from ryu.lib import hub

from sgctl.store.local import Bridge
from sgctl.switch.listener import Listener

LOG = logging.getLogger(__name__)

LINE_SECONDS = 30.0
"""So long a bridge may be served this way; one that has not come by itself until then does not mean us."""

_UNIX = "unix:"


class DirectLines:
    """The connections that this controller makes by itself; `ovsdb` is the remote of the switch's database.

    They are for bridges that have this controller among theirs, and end when the bridge's own connection
    is there.
    """

    def __init__(self, ovsdb: str, listener: Listener) -> None:
        self._directory = Path(ovsdb.removeprefix(_UNIX)).parent if ovsdb.startswith(_UNIX) else None
        self._listener = listener
        self._of_bridge: dict[int, Any] = {}

    def open(self, bridge: Bridge) -> None:
        """Connect to a bridge if it is ours; where that is not possible it will come by itself."""
        if self._directory is None or not any(map(self._listener.is_meant_by, bridge.targets)):
            return
        path = str(self._directory / f"{bridge.name}.mgmt")
        line: Any = socket.socket(socket.AF_UNIX)
        try:
            line.connect(path)
        except OSError as error:
            line.close()
            LOG.info("bridge %s is not reached by %s: %s", bridge.name, path, error)
            return
        line.setsockopt = _ignore  # Ryu sets an option of TCP
        hub.spawn(datapath_connection_factory, line, path)

    def accept(self, datapath: Any, connected: bool) -> bool:
        """Whether a connection that is ready is to be used; `connected` tells whether there is one already.

        A bridge's own connection ends the line to it.
        """
        if is_direct(datapath):
            if connected:
                datapath.close()
                return False
            self._of_bridge[datapath.id] = datapath
            hub.spawn_after(LINE_SECONDS, datapath.close)
        elif datapath.id in self._of_bridge:
            self._of_bridge.pop(datapath.id).close()
        return True


def is_direct(datapath: Any) -> bool:
    """Whether we made the connection: then its address is a path."""
    return isinstance(datapath.address, str) and bool(datapath.address)


def _ignore(*_: Any) -> None:
    """Do nothing."""
