"""The Ryu application: builds the parts of the controller and connects them."""

from __future__ import annotations

import logging
import os
import signal
from functools import partial
from typing import Any

from ryu.base.app_manager import RyuApp

from flows.openflow.wire import Budget, Budgets, MeterUnit
from sgctl import runtime
from sgctl.controller.connected import Expected, Report
from sgctl.controller.loop import ControlLoop
from sgctl.rest.credentials import AccessError
from sgctl.ryu.api_process import Northbound
from sgctl.settings import ApiSettings, Settings
from sgctl.store import Store, StoreError
from sgctl.store.server import PolicyServer, prepare_remote
from sgctl.switch.admission import Admission, Certificates
from sgctl.switch.channel import Channel, by_number
from sgctl.switch.connections import SwitchConnections
from sgctl.switch.echo_probe import EchoProbe
from sgctl.switch.listen_address import ListenAddress
from sgctl.switch.main_thread import MainThread
from sgctl.switch.management import ManagementConnections
from sgctl.switch.mastership import Mastership
from sgctl.switch.messages import PacketIn
from sgctl.switch.openflow_listener import OpenFlowListener
from sgctl.switch.session import SwitchSession
from sgctl.switch.zone_limits import ZoneLimits
from sgctl.vswitch.local_switches import LocalSwitches

LOG = logging.getLogger(__name__)

CONNECT_SECONDS = 30.0


class SecurityGroups(RyuApp):
    """Makes every switch that connects enforce the security groups of the policy database.

    `sgctl.switch.openflow_listener` accepts the switches' connections. Ryu's own listener is not started: see
    docs/decisions/openflow-listener.md.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = Settings.from_values(self.CONF)
        self._server: PolicyServer | None = None
        self._mastership = Mastership()
        try:
            fragments = Budget(*self._settings.fragment_budget, MeterUnit.PACKETS)
            budgets = Budgets(Budget(*self._settings.control_budget), fragments)
            events = self._connected, self._disconnected, self._wake
            self._connections = SwitchConnections(*events, self._name_of, self._take_in, budgets)
            self._connector = ManagementConnections(
                self._settings.ovsdb, self._address(), self._connections.attend
            )
            self._check_seconds = self._settings.check_seconds
            self._main_thread = MainThread(self._settings.ovsdb)
            self._loop = self._prepare()
            self._listener = self._make_listener()
            self._northbound = Northbound(
                ApiSettings.from_values(self.CONF),
                self._settings.policy_remote,
                self.CONF.wsapi_host,
                self.CONF.wsapi_port,
            )
        except (StoreError, AccessError, ValueError, OSError) as error:
            raise SystemExit(f"ryu-manager: {error}") from error

    def start(self) -> Any:
        """Ryu's hook: start the control loop, the API and the listener for switches.

        Ryu's main loop waits for the returned thread, and ends it.
        """
        super().start()
        self._loop_thread = runtime.spawn(self._run_loop)
        self._northbound.start()
        return runtime.spawn(self._listener.run)

    def _run_loop(self) -> None:
        """Run the control loop. If it fails, end the process: it must not look as if it still worked."""
        try:
            self._loop.run()
        except Exception:
            LOG.critical("the control loop failed; the switches keep the flows they have", exc_info=True)
            os.kill(os.getpid(), signal.SIGTERM)

    def _prepare(self) -> ControlLoop:
        """Connect to the databases first: no switch is changed before the whole policy has been read."""
        settings = self._settings
        if settings.db:
            prepare_remote(settings.db, patience=CONNECT_SECONDS)
        else:
            self._server = PolicyServer(settings.policy_file, settings.policy_socket)
            self._server.start()
        store = Store.connect(settings.policy_remote, CONNECT_SECONDS)
        self._local = local = LocalSwitches.connect(settings.ovsdb, CONNECT_SECONDS)
        limits = ZoneLimits(settings.ovsdb, settings.connections_of_network)
        return ControlLoop(store, local, limits, self._maintain, self._mastership.renew, self._connector)

    def _address(self) -> ListenAddress:
        """The address for switches: TLS when a certificate is configured, plain TCP otherwise."""
        conf = self.CONF
        if conf.ctl_privkey is not None and conf.ctl_cert is not None:
            return ListenAddress("ssl", conf.ofp_listen_host, conf.ofp_ssl_listen_port)
        return ListenAddress("tcp", conf.ofp_listen_host, conf.ofp_tcp_listen_port)

    def _make_listener(self) -> OpenFlowListener:
        """The listener for switches. Raises ValueError for settings that cannot be used."""
        settings, conf, address = self._settings, self.CONF, self._address()
        names = settings.openflow_names
        admission = Admission(settings.ovsdb, settings.openflow_peers, lambda: names or {self._local.chassis})
        tls = address.scheme == "ssl"
        certificates = Certificates(conf.ctl_privkey, conf.ctl_cert, conf.ca_certs) if tls else None
        return OpenFlowListener(address, admission, certificates, self._connections.attend)

    def _name_of(self, dpid: int) -> str:
        """A switch as the log shows it: bridge name and datapath id, or only the id on another host."""
        bridge = self._local.bridges.get(dpid)
        return f"{bridge.name} ({by_number(dpid)})" if bridge is not None else by_number(dpid)

    def _wake(self) -> None:
        self._loop.wake()

    def _maintain(self) -> None:
        if self._server is not None and self._server.ensure():
            LOG.warning("the policy database's server had died and was started again")

    def stop(self) -> None:
        """Ryu's hook at the end: stop our own database server; the switches keep their flows."""
        self._northbound.stop()
        self._loop_thread.kill()
        super().stop()
        self._loop.close()
        if self._server is not None:
            self._server.stop()

    def _connected(self, channel: Channel) -> None:
        make_probe = partial(EchoProbe, channel.answers, self._main_thread, runtime.spawn)
        self._loop.connect(channel.dpid, partial(self._open_session, channel), make_probe)
        self._loop.loops.connect(channel.dpid, channel.transmit)

    def _disconnected(self, channel: Channel) -> None:
        self._loop.disconnect(channel.dpid)
        self._loop.loops.disconnect(channel.dpid)

    def _take_in(self, dpid: int, received: PacketIn) -> None:
        self._loop.loops.receive_probe(dpid, *received)
        self._loop.wake()

    def _open_session(
        self, channel: Channel, generation: int, expected: Expected, report: Report
    ) -> SwitchSession:
        claim = partial(self._mastership.claim, channel)
        return SwitchSession(channel, generation, expected, report, self._check_seconds, claim)
