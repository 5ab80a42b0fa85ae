"""What the controller writes into the switch database: settings of bridges, and declarations of uplinks."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flows.openflow.pipeline import tracked_prefixes
from sgctl.controller.bridges import insecure
from sgctl.controller.connected import ConnectedSwitch
from sgctl.controller.engine import Engine
from sgctl.ovsdb.errors import StoreError
from sgctl.switch.listen_address import ListenAddress
from sgctl.vswitch.local_switches import LocalSwitches

LOG = logging.getLogger(__name__)


class BridgeSettings:
    """Writes the settings without which the policy would not be enforced, or not at once."""

    def __init__(
        self,
        local: LocalSwitches,
        address: ListenAddress,
        engine: Engine,
        connections: Mapping[int, ConnectedSwitch],
    ) -> None:
        self._local = local
        self._address = address
        self._engine = engine
        self._connections = connections
        self.refused = ""
        """Why the switch database refused the last write; empty if it did not."""

    def secure_bridges(self) -> bool:
        """Configure the bridges so that they never forward without the controller's flows.

        Returns whether `refused` changed.
        """
        before, self.refused = self.refused, ""
        try:
            if self._local.connected:
                self._write()
        except StoreError as error:
            self.refused = str(error)
        return self.refused != before

    def _write(self) -> None:
        bridges = (*self._local.bridges.values(), *self._local.unusable)
        for name in insecure(bridges, self._address, self._connections):
            LOG.warning("bridge %s: setting fail_mode to secure", name)
            self._local.secure(name)
        for dpid, connection in list(self._connections.items()):
            managed = self._engine.bridges.get(dpid)
            if managed is None:
                continue
            bridge = managed.bridge
            if bridge.controllers != connection.out_of_band:
                self._local.disable_in_band(bridge.name)
                connection.out_of_band = bridge.controllers
            if not connection.tracks_prefixes:
                self._local.track_prefixes(bridge.name, tracked_prefixes())
                connection.tracks_prefixes = True
            if bridge.controllers != connection.tuned and connection.applied >= 0:  # flows come first
                self._local.reconnect_soon(bridge.name)
                connection.tuned = bridge.controllers

    def settle_uplinks(self) -> None:
        """Write the ids and the current names of networks into the declarations of uplinks."""
        for interface, declared in self._engine.outdated_declarations():
            before = interface.declaration
            assert before is not None
            try:
                self._local.settle_uplink(interface.name, before, declared)
            except StoreError as error:
                LOG.warning("interface %s: cannot update sgctl-uplink: %s", interface.name, error)
                continue
            LOG.info("interface %s: is an uplink of %s (%s)", interface.name, declared.names, declared.ids)
