"""The control loop: one green thread that sees every change in order and hands out the work.

Policy and switch databases are read here and nowhere else; sessions push on their own.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from ovs.poller import POLLIN, Poller

from flows.flow import Flow, FlowDiff, FlowKey
from flows.pipeline import tracked_prefixes
from sgctl.controller.bridges import insecure, unusable, unused
from sgctl.controller.connected import Connection, Lines, OpenSession, Pulse, TakePulse
from sgctl.controller.engine import Engine, ManagedBridge, ZoneKey
from sgctl.controller.inquiry import SILENT, Inquiry
from sgctl.controller.loops import LoopWatch
from sgctl.controller.status import BindingKey, binding_rows, moved_rows, switch_row
from sgctl.store import BindingStatus, Store, StoreError, SwitchStatus
from sgctl.store.garbage import much_may_stay
from sgctl.store.liveness import namesake
from sgctl.store.local import LocalSwitches
from sgctl.switch.zone_limits import ZoneLimits

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 0.3
TEND_SECONDS = 0.2
WHOLE_REPORT_SECONDS = 10.0
"""A report of everything repairs what somebody else may have done to the rows; others tell what is news."""
FAREWELL_SECONDS = 2.0
"""So long the end may wait for the policy database."""
NO_DATABASE = "the switch database does not answer, and Open vSwitch takes no change without it"


class ControlLoop:
    """Reads both databases, keeps the engine and the sessions going, and reports back."""

    def __init__(
        self,
        store: Store,
        local: LocalSwitches,
        limits: ZoneLimits,
        tend: Callable[[], object],
        renew_mastership: Callable[[], None],
        lines: Lines,
    ) -> None:
        """`tend` is called now and then, for what must be kept alive."""
        self._tend = tend
        self._tend_due = 0.0
        self._lines = lines
        self._listener = lines.listener
        self._inquiry = Inquiry()
        self._told: dict[str, str] = {}
        self._refused = ""
        self._renew_mastership = renew_mastership
        self._store = store
        self._local = local
        self._limits = limits
        self._engine = Engine()
        self._engine.change_bridges(local.bridges)
        self.loops = LoopWatch(local)
        """Is told of connections and frames by whoever tells us of connections."""
        self._in_charge = False
        self._chassis = local.chassis
        self._store.compete(self._chassis)
        self._connections: dict[int, Connection] = {}
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._generation = -1
        self._changing: Iterator[None] = iter(())
        self._handed_out = False
        self._status_stale = True
        self._moved: dict[BindingKey, BindingStatus | None] = {}
        self._whole_report_due = 0.0

    def connect(self, dpid: int, open_session: OpenSession, take_pulse: TakePulse) -> None:
        """A switch has connected; an older connection of the same switch is forgotten."""
        self.disconnect(dpid)
        self._connections[dpid] = Connection(dpid, open_session, take_pulse(self._hear_pulse))
        self._limits.forget()
        self._status_stale = True
        self.wake()

    def disconnect(self, dpid: int) -> None:
        """A switch's connection is gone."""
        connection = self._connections.pop(dpid, None)
        if connection is not None:
            connection.pulse.close()
            connection.stand_by()
        self._status_stale = True
        self.wake()

    def _hear_pulse(self, is_news: bool) -> None:
        self._status_stale |= is_news
        self.wake()

    def wake(self) -> None:
        """Look soon whether there is something to do or to report."""
        try:
            self._wake_in.send(b"!")
        except BlockingIOError:
            return  # it is full, so the loop will wake anyway

    def run(self) -> None:
        """Go on for ever."""
        told = ""
        while True:
            trouble = ""
            try:
                self._tend_sometimes()
                with much_may_stay():
                    self.step()
            except StoreError as error:
                trouble = str(error)
                if trouble != told:
                    LOG.warning("policy database: %s", trouble)
            told = trouble
            self._block()

    def _tend_sometimes(self) -> None:
        if time.monotonic() > self._tend_due or not self._store.connected:
            self._tend()
            self._tend_due = time.monotonic() + TEND_SECONDS

    def close(self) -> None:
        """Nobody will wake the loop any more; what is said of its switches must not outlive it."""
        if self._in_charge:
            self._connections.clear()
            self._whole_report_due, self._status_stale = 0.0, True
            self._store.timeout = FAREWELL_SECONDS
            try:
                self._report()
            except StoreError as error:
                LOG.warning("policy database: %s", error)
        self._wake_in.close()
        self._wake_out.close()

    def step(self) -> None:
        """Take in everything that has changed and hand out what follows from it."""
        if self._in_charge:
            self._answer()
        self._engine.change_policy(self._store.run())
        self._engine.change_bound(self._store.bound_changes())
        if self._local.run():
            self._engine.change_bridges(self._local.bridges)
            self._close_sessions_of_lost_bridges()
            self._status_stale = True
        self._take_turns()
        if not self._in_charge:
            self._engine.flush()  # stay ready: what is expected is known when it is our turn
            return
        self._lines.reach((managed.bridge for managed in self._engine.bridges.values()), self._connections)
        self._secure_bridges()
        self._refresh_zones()
        self._settle_uplinks()
        self.loops.tend(self._engine.bridges, self._engine.policy.networks)
        if not any(pulse.silent for pulse in self._pulses):  # it would keep us waiting
            self._limits.apply(self._engine.connection_limits())
        self._changing = self._change_switches()
        for _ in self._changing:
            time.sleep(0)  # under eventlet: let sessions send what there is
        self._moved.update(moved_rows(self._chassis, self._engine, self._engine.moved_interfaces()))
        # What interfaces are now is told with the switch's answer, or while it is at work on a large change.
        if self._status_stale or not self._handed_out:
            self._report()

    def _answer(self) -> None:
        """Say that we are at work, if somebody asks; what is wrong with the switches has been told then."""
        number = self._inquiry.settled(self._store.asked, self._store.answered, self._pulses)
        if number is not None:
            self._report()
            self._store.answer(self._chassis, number)

    @property
    def _pulses(self) -> list[Pulse]:
        """Those of the bridges that are connected."""
        connected = self._connections.items()
        return [connection.pulse for dpid, connection in connected if dpid in self._engine.bridges]

    def _take_turns(self) -> None:
        """Of the controllers of one host, the holder of the database's lock works and the others stand by.

        Without the database nobody knows better than who was in charge last.
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
            self._tell_of_namesake()

    def _stand_by(self) -> None:
        self._in_charge = False
        for connection in self._connections.values():
            connection.stand_by()

    def _tell_of_namesake(self) -> None:
        """Who waits for its turn because another host has its name would wait for ever."""
        found = namesake(self._store, self._chassis, self._local.host_id)
        if found and found != self._told.get(""):
            LOG.error("%s", found)
        self._told = {"": found}

    def _change_name(self, name: str) -> None:
        """Another name is another lock; the switches are compared as a whole once that is ours."""
        LOG.warning("the host %r is called %r now", self._chassis, name)
        self._stand_by()
        self._chassis = name
        self._store.compete(name)

    def _adopt_former_names(self) -> None:
        """What this host wrote when it had another name is its own: its networks keep their zones.

        A host whose lock is held is another one that is alike, such as the original of a copied disk.
        """
        mine, switches = self._local.host_id, self._store.switches.values()
        former = {each.chassis for each in switches if mine and each.host_id == mine} - {self._chassis}
        for name in self._store.unheld(former):
            LOG.warning("the host %r is called %r now: its rows go with it", name, self._chassis)
            self._store.rename_host(name, self._chassis)

    def _close_sessions_of_lost_bridges(self) -> None:
        """A bridge that nothing is known of is left as it is, and compared as a whole when it is back.

        The switch database forgets datapath ids when it restarts, until ovs-vswitchd writes them again.
        """
        for dpid, connection in list(self._connections.items()):  # closing lets others run
            if dpid not in self._engine.bridges:
                connection.stand_by()

    def _change_switches(self) -> Iterator[None]:
        """Give the sessions what is new, a large change in parts. Nothing else may change in between."""
        begun: dict[int, FlowDiff] = {}
        for dpid, part in self._engine.parts():
            connection = self._connections.get(dpid)
            if connection is not None and connection.session is not None:
                connection.session.begin(part)
                begun[dpid] = FlowDiff([], [])
            yield
        self._hand_out(begun | self._engine.flush())

    def _hand_out(self, diffs: Mapping[int, FlowDiff]) -> None:
        """Give every session what is new for it."""
        moved = self._store.generation != self._generation
        self._generation = self._store.generation
        # A switch that takes the change confirms it, and only that is news.
        self._status_stale |= bool(diffs.keys() - self._connections.keys())
        for dpid, connection in self._connections.items():
            if dpid not in self._engine.bridges:
                continue
            if connection.session is None:
                self._open(connection)
            elif moved or dpid in diffs:
                connection.session.submit(diffs.get(dpid), self._generation)
        self._handed_out = bool(diffs)

    def _open(self, connection: Connection) -> None:
        dpid = connection.dpid

        def expected() -> Mapping[FlowKey, Flow]:
            for _ in self._changing:  # half a change is nothing to expect
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

    def _settle_uplinks(self) -> None:
        """Let the declarations of uplinks name networks by id, and by the names that they have today."""
        for interface, declared in self._engine.unsettled_uplinks():
            before = interface.declaration
            assert before is not None
            try:
                self._local.settle_uplink(interface.name, before, declared)
            except StoreError as error:
                LOG.warning("interface %s: sgctl-uplink stays as it is: %s", interface.name, error)
                continue
            LOG.info("interface %s: is an uplink of %s (%s)", interface.name, declared.names, declared.ids)

    def _allocate_zones(self, chassis: str, missing: Iterable[ZoneKey]) -> None:
        """Without the database there are no new zones, but everything else goes on."""
        try:
            self._store.allocate_zones(chassis, sorted(missing))
        except StoreError as error:
            LOG.warning("policy database: no conntrack zone for %s yet: %s", sorted(missing), error)

    def _secure_bridges(self) -> None:
        """A bridge that falls back to plain switching without its controller would be a hole.

        What the switch database refuses is told, and everything else goes on.
        """
        before, self._refused = self._refused, ""
        try:
            if self._local.connected:
                self._write_settings()
        except StoreError as error:
            self._refused = str(error)
        if self._refused != before:
            self._status_stale = True

    def _write_settings(self) -> None:
        bridges = (*self._local.bridges.values(), *self._local.unusable)
        for name in insecure(bridges, self._listener, self._connections):
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
            if bridge.controllers != connection.tuned and connection.applied >= 0:  # that is more urgent
                self._local.reconnect_soon(bridge.name)
                connection.tuned = bridge.controllers

    def _report(self) -> None:
        chassis = self._chassis
        if not self._status_stale and not self._moved:
            return
        switches = self._switch_rows()
        whole = time.monotonic() > self._whole_report_due
        moved, self._moved = self._moved, {}
        self._status_stale = False  # from here on others run, and may have news again
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
        """What holds of the host's bridges; what is wrong with one is logged when it is new."""
        chassis, policy = self._chassis, self._engine.policy
        rows = [
            switch_row(chassis, managed, policy, self._answering(dpid), self._trouble(managed))
            for dpid, managed in self._engine.bridges.items()
        ]
        for bridge, why in unusable(self._local, self._listener):
            rows.append(SwitchStatus(chassis, bridge.name, f"{bridge.dpid:016x}", error=why))
        told, self._told = self._told, {row.name: row.error for row in rows}
        for name, error in self._told.items():
            if error and told.get(name) != error:
                LOG.warning("bridge %s: %s", name, error)
        answered, host_id = self._store.answered, self._local.host_id
        return [replace(row, answered=answered, host_id=host_id) for row in rows]

    def _answering(self, dpid: int) -> Connection | None:
        """The connection of a switch, if there is somebody at its other end."""
        connection = self._connections.get(dpid)
        return None if connection is None or connection.pulse.silent else connection

    def _trouble(self, managed: ManagedBridge) -> str:
        """What keeps a bridge from being enforced as it should be, apart from what its session tells."""
        connection = self._connections.get(managed.bridge.dpid)
        datapath, zones = managed.datapath, managed.compiler.zones.values()
        limits = {why for zone in zones if (why := self._limits.problems.get((datapath, zone)))}
        found = [
            "" if connection else unused(managed.bridge, self._listener, bool(managed.roles.ports)),
            SILENT if connection and connection.pulse.silent else "",
            "" if self._local.connected else NO_DATABASE,
            self._refused,
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
