"""The control loop: one green thread that processes all changes in order and passes them to the sessions.

Only this loop reads the policy database and the switch database. Sessions change their switches in green
threads of their own.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from ovs.poller import POLLIN, Poller

from flows.openflow.flow import Flow, FlowDiff, FlowKey
from sgctl.controller.bridge_settings import BridgeSettings
from sgctl.controller.bridges import unusable, unused
from sgctl.controller.connected import BridgeConnector, ConnectedSwitch, MakeProbe, OpenSession, SwitchProbe
from sgctl.controller.engine import Engine, ManagedBridge, ZoneKey
from sgctl.controller.liveness_answer import SILENT, LivenessAnswer
from sgctl.controller.loops import LoopWatch
from sgctl.controller.status import BindingKey, binding_rows, moved_rows, switch_row
from sgctl.ovsdb.collector import collector_paused
from sgctl.store import BindingStatus, Store, StoreError, SwitchStatus
from sgctl.store.liveness import namesake
from sgctl.switch.zone_limits import ZoneLimits
from sgctl.vswitch.local_switches import LocalSwitches

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 0.3
MAINTENANCE_SECONDS = 0.2
WHOLE_REPORT_SECONDS = 10.0
"""Between complete reports, which repair rows that other clients have changed. Others have only changes."""
LAST_REPORT_SECONDS = 2.0
"""How long `close` may wait for the policy database."""
NO_DATABASE = "the switch database does not answer, and Open vSwitch accepts no changes without it"


class ControlLoop:
    """Reads both databases, drives the engine and the sessions, and reports their state."""

    def __init__(
        self,
        store: Store,
        local: LocalSwitches,
        limits: ZoneLimits,
        maintain: Callable[[], object],
        renew_mastership: Callable[[], None],
        connector: BridgeConnector,
    ) -> None:
        """`maintain` is called every MAINTENANCE_SECONDS, to restart the database server if it has died."""
        self._maintain = maintain
        self._maintenance_due = 0.0
        self._connector = connector
        self._address = connector.address
        self._liveness_answer = LivenessAnswer()
        self._logged: dict[str, str] = {}
        self._renew_mastership = renew_mastership
        self._store = store
        self._local = local
        self._limits = limits
        self._engine = Engine()
        self._engine.change_bridges(local.bridges)
        self.loops = LoopWatch(local)
        """The loop detection; whoever calls `connect` and `disconnect` must call those of `loops` as well."""
        self._in_charge = False
        self._chassis = local.chassis
        self._store.compete(self._chassis)
        self._connections: dict[int, ConnectedSwitch] = {}
        self._settings = BridgeSettings(local, connector.address, self._engine, self._connections)
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._generation = -1
        self._changing: Iterator[None] = iter(())
        self._submitted = False
        self._status_stale = True
        self._moved: dict[BindingKey, BindingStatus | None] = {}
        self._whole_report_due = 0.0

    def connect(self, dpid: int, open_session: OpenSession, make_probe: MakeProbe) -> None:
        """Add a switch that has connected; replaces an older connection of the same switch."""
        self.disconnect(dpid)
        self._connections[dpid] = ConnectedSwitch(dpid, open_session, make_probe(self._receive_probe_result))
        self._limits.forget()
        self._status_stale = True
        self.wake()

    def disconnect(self, dpid: int) -> None:
        """Remove a switch whose connection has ended."""
        connection = self._connections.pop(dpid, None)
        if connection is not None:
            connection.probe.close()
            connection.stand_by()
        self._status_stale = True
        self.wake()

    def _receive_probe_result(self, is_news: bool) -> None:
        self._status_stale |= is_news
        self.wake()

    def wake(self) -> None:
        """Make the loop run its next step soon."""
        try:
            self._wake_in.send(b"!")
        except BlockingIOError:
            return  # the socket is full, so the loop will wake anyway

    def run(self) -> None:
        """Run forever."""
        logged = ""
        while True:
            problem = ""
            try:
                self._maintain_if_due()
                with collector_paused():
                    self.step()
            except StoreError as error:
                problem = str(error)
                if problem != logged:
                    LOG.warning("policy database: %s", problem)
            logged = problem
            self._block()

    def _maintain_if_due(self) -> None:
        if time.monotonic() > self._maintenance_due or not self._store.connected:
            self._maintain()
            self._maintenance_due = time.monotonic() + MAINTENANCE_SECONDS

    def close(self) -> None:
        """End the loop, and report its switches as disconnected: the last report must not remain."""
        if self._in_charge:
            self._connections.clear()
            self._whole_report_due, self._status_stale = 0.0, True
            self._store.timeout = LAST_REPORT_SECONDS
            try:
                self._report()
            except StoreError as error:
                LOG.warning("policy database: %s", error)
        self._wake_in.close()
        self._wake_out.close()

    def step(self) -> None:
        """Process all changes and pass the resulting flow changes to the sessions."""
        if self._in_charge:
            self._answer_question()
        self._engine.change_policy(self._store.run())
        self._engine.change_bound(self._store.bound_changes())
        if self._local.run():
            self._engine.change_bridges(self._local.bridges)
            self._close_sessions_of_lost_bridges()
            self._status_stale = True
        self._update_in_charge()
        if not self._in_charge:
            self._engine.flush()  # keep the expected flows current, for when this controller takes over
            return
        self._connector.reach(
            (managed.bridge for managed in self._engine.bridges.values()), self._connections
        )
        if self._settings.secure_bridges():
            self._status_stale = True
        self._refresh_zones()
        self._settings.settle_uplinks()
        self.loops.maintain(self._engine.bridges, self._engine.policy.networks)
        if not any(probe.silent for probe in self._probes):  # a switch that hangs would block us
            self._limits.apply(self._engine.connection_limits())
        self._changing = self._change_switches()
        for _ in self._changing:
            time.sleep(0)  # under eventlet: let sessions send their part of the change
        self._moved.update(moved_rows(self._chassis, self._engine, self._engine.moved_interfaces()))
        # Changed bindings are reported when the switch confirms, or while it processes a large change.
        if self._status_stale or not self._submitted:
            self._report()

    def _answer_question(self) -> None:
        """Answer a `Store.ask`, after reporting the problems of the switches."""
        number = self._liveness_answer.settled(self._store.asked, self._store.answered, self._probes)
        if number is not None:
            self._report()
            self._store.answer(self._chassis, number)

    @property
    def _probes(self) -> list[SwitchProbe]:
        """The probes of the connected bridges."""
        connected = self._connections.items()
        return [connection.probe for dpid, connection in connected if dpid in self._engine.bridges]

    def _update_in_charge(self) -> None:
        """Take charge when we hold the host's lock in the database; stand by while another controller does.

        Without a connection to the database, the controller that was in charge last stays in charge.
        """
        if self._chassis != self._local.chassis and self._store.connected:
            self._change_name(self._local.chassis)
        if not self._in_charge and self._store.has_lock:
            LOG.info("in charge of the switches of %s", self._chassis)
            self._adopt_former_names()
            self._in_charge = self._status_stale = True
            self._whole_report_due = 0.0
            self._renew_mastership()
        elif self._in_charge and self._store.lock_is_taken:
            LOG.warning("another controller is in charge of the switches of %s", self._chassis)
            self._stand_by()
        if not self._in_charge and self._store.lock_is_taken:
            self._report_namesake()

    def _stand_by(self) -> None:
        self._in_charge = False
        for connection in self._connections.values():
            connection.stand_by()

    def _report_namesake(self) -> None:
        """Log an error if another host with the same name holds the lock: we would wait forever."""
        found = namesake(self._store, self._chassis, self._local.host_id)
        if found and found != self._logged.get(""):
            LOG.error("%s", found)
        self._logged = {"": found}

    def _change_name(self, name: str) -> None:
        """Request the lock of the host's new name; all flows are compared once we hold that lock."""
        LOG.warning("the host %r is now called %r", self._chassis, name)
        self._stand_by()
        self._chassis = name
        self._store.compete(name)

    def _adopt_former_names(self) -> None:
        """Take over the rows that this host wrote under former names, so that its networks keep their zones.

        If the lock of a former name is held, another host has the same id, such as the original of a copied
        disk. Its rows are left alone.
        """
        mine, switches = self._local.host_id, self._store.switches.values()
        former = {each.chassis for each in switches if mine and each.host_id == mine} - {self._chassis}
        for name in self._store.unheld(former):
            LOG.warning("the host %r is now called %r: its rows are renamed", name, self._chassis)
            self._store.rename_host(name, self._chassis)

    def _close_sessions_of_lost_bridges(self) -> None:
        """Close the sessions of bridges that are not in the switch database; all flows are compared later.

        After a restart the switch database has no datapath ids until ovs-vswitchd writes them again.
        """
        for dpid, connection in list(self._connections.items()):  # a copy: other green threads may run
            if dpid not in self._engine.bridges:
                connection.stand_by()

    def _change_switches(self) -> Iterator[None]:
        """Pass the changes to the sessions, a large change in parts.

        Nothing else may change before the iterator has ended.
        """
        begun: dict[int, FlowDiff] = {}
        for dpid, part in self._engine.parts():
            connection = self._connections.get(dpid)
            if connection is not None and connection.session is not None:
                connection.session.begin(part)
                begun[dpid] = FlowDiff([], [])
            yield
        self._submit_changes(begun | self._engine.flush())

    def _submit_changes(self, diffs: Mapping[int, FlowDiff]) -> None:
        """Pass its changes to every session, and open missing sessions."""
        moved = self._store.generation != self._generation
        self._generation = self._store.generation
        # A connected switch confirms the change, and only the confirmation needs a report.
        self._status_stale |= bool(diffs.keys() - self._connections.keys())
        for dpid, connection in self._connections.items():
            if dpid not in self._engine.bridges:
                continue
            if connection.session is None:
                self._open(connection)
            elif moved or dpid in diffs:
                connection.session.submit(diffs.get(dpid), self._generation)
        self._submitted = bool(diffs)

    def _open(self, connection: ConnectedSwitch) -> None:
        dpid = connection.dpid

        def expected() -> Mapping[FlowKey, Flow]:
            for _ in self._changing:  # complete the change first
                pass
            managed = self._engine.bridges.get(dpid)
            return managed.compiler.flows if managed else {}

        def report(generation: int, error: str) -> None:
            news = (max(connection.applied, generation), error)
            if news != (connection.applied, connection.error):
                connection.applied, connection.error = news
                self._status_stale = True
                self.wake()

        connection.session = connection.open_session(self._generation, expected, report)

    def _refresh_zones(self) -> None:
        missing = self._engine.missing_zones()
        here = self._chassis
        if missing:
            self._allocate_zones(here, missing)
        zones = self._store.zones.items()
        self._engine.change_zones({key[1:]: zone for key, zone in zones if key[0] == here})

    def _allocate_zones(self, chassis: str, missing: Iterable[ZoneKey]) -> None:
        """Allocate zones. If the database cannot be written, log it and continue without new zones."""
        try:
            self._store.allocate_zones(chassis, sorted(missing))
        except StoreError as error:
            LOG.warning("policy database: no conntrack zone for %s yet: %s", sorted(missing), error)

    def _report(self) -> None:
        chassis = self._chassis
        if not self._status_stale and not self._moved:
            return
        switches = self._switch_rows()
        whole = time.monotonic() > self._whole_report_due
        moved, self._moved = self._moved, {}
        self._status_stale = False  # from here on other green threads run, and may set it again
        try:
            if whole:
                self._store.report(switches, binding_rows(chassis, self._engine), chassis)
                self._whole_report_due = time.monotonic() + WHOLE_REPORT_SECONDS
            else:
                self._store.report_moved(switches, moved, chassis)
        except StoreError:
            self._status_stale = True
            self._whole_report_due = 0.0
            raise

    def _switch_rows(self) -> list[SwitchStatus]:
        """The state of the host's bridges. Logs new errors."""
        chassis, policy = self._chassis, self._engine.policy
        rows = [
            switch_row(chassis, managed, policy, self._answering(dpid), self._problems(managed))
            for dpid, managed in self._engine.bridges.items()
        ]
        for bridge, why in unusable(self._local, self._address):
            rows.append(SwitchStatus(chassis, bridge.name, f"{bridge.dpid:016x}", error=why))
        logged, self._logged = self._logged, {row.name: row.error for row in rows}
        for name, error in self._logged.items():
            if error and logged.get(name) != error:
                LOG.warning("bridge %s: %s", name, error)
        answered, host_id = self._store.answered, self._local.host_id
        return [replace(row, answered=answered, host_id=host_id) for row in rows]

    def _answering(self, dpid: int) -> ConnectedSwitch | None:
        """The connection of a switch, None if the switch is not connected or hangs."""
        connection = self._connections.get(dpid)
        return None if connection is None or connection.probe.silent else connection

    def _problems(self, managed: ManagedBridge) -> str:
        """All problems of a bridge except those that its session reports; empty if there are none."""
        connection = self._connections.get(managed.bridge.dpid)
        datapath, zones = managed.datapath, managed.compiler.zones.values()
        limits = {why for zone in zones if (why := self._limits.problems.get((datapath, zone)))}
        found = [
            "" if connection else unused(managed.bridge, self._address, bool(managed.bindings.ports)),
            SILENT if connection and connection.probe.silent else "",
            "" if self._local.connected else NO_DATABASE,
            self._settings.refused,
            *(f"a connection limit is not enforced: {why}" for why in sorted(limits)),
        ]
        return "; ".join(filter(None, found))

    def _block(self) -> None:
        poller = Poller()
        self._store.wait(poller)
        self._local.wait(poller)
        poller.fd_wait(self._wake_out, POLLIN)
        poller.timer_wait(int(IDLE_SECONDS * 1000))
        poller.block()
        try:
            self._wake_out.recv(1 << 16)
        except BlockingIOError:
            return
