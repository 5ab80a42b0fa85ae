"""The Ryu application: decodes events and hands them on; everything else is in plain modules."""

from __future__ import annotations

import logging
import os
import signal
from functools import partial
from typing import Any

from ryu.base.app_manager import RyuApp
from ryu.controller import ofp_event
from ryu.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from ryu.lib import hub
from ryu.ofproto import ofproto_v1_4

from sgctl.controller.loop import ControlLoop, Expected, Report
from sgctl.rest.access import AccessError
from sgctl.rest.server import Northbound
from sgctl.settings import ApiSettings, Settings
from sgctl.store import Store, StoreError
from sgctl.store.local import LocalSwitches
from sgctl.store.server import PolicyServer, prepare_remote
from sgctl.switch import raw_stats
from sgctl.switch.channel import Channel
from sgctl.switch.direct import DirectLines
from sgctl.switch.listener import Listener
from sgctl.switch.mastership import Mastership
from sgctl.switch.session import Session
from sgctl.switch.zone_limits import ZoneLimits

LOG = logging.getLogger(__name__)

CONNECT_SECONDS = 30.0


class SecurityGroups(RyuApp):
    """Makes every switch that connects enforce the security groups of the policy database."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        raw_stats.install()
        self._settings = Settings.from_values(self.CONF)
        self._server: PolicyServer | None = None
        self._mastership = Mastership()
        self._channels: dict[int, Channel] = {}
        self._lines = DirectLines(self._settings.ovsdb, self._listener())
        try:
            self._check_seconds = self._settings.check_seconds
            self._loop = self._prepare()
            self._northbound = Northbound(
                ApiSettings.from_values(self.CONF),
                self._settings.policy_remote,
                self.CONF.wsapi_host,
                self.CONF.wsapi_port,
            )
        except (StoreError, AccessError, ValueError) as error:
            raise SystemExit(f"ryu-manager: {error}") from error

    def start(self) -> None:
        """Ryu's hook: events, and beside them the control loop and the API."""
        super().start()
        self._loop_thread = hub.spawn(self._run_loop)
        self._northbound.start()

    def _run_loop(self) -> None:
        """A controller that can no longer follow the policy must not look as if it did: it ends."""
        try:
            self._loop.run()
        except Exception:
            LOG.critical("the control loop failed; the switches keep the flows they have", exc_info=True)
            os.kill(os.getpid(), signal.SIGTERM)

    def _prepare(self) -> ControlLoop:
        """Databases come first: a switch that connects is only touched once the policy is known whole."""
        settings = self._settings
        if settings.db:
            prepare_remote(settings.db, patience=CONNECT_SECONDS)
        else:
            self._server = PolicyServer(settings.policy_file, settings.policy_socket)
            self._server.start()
        store = Store.connect(settings.policy_remote, CONNECT_SECONDS)
        local = LocalSwitches.connect(settings.ovsdb, CONNECT_SECONDS)
        limits = ZoneLimits(settings.ovsdb)
        return ControlLoop(store, local, limits, self._tend, self._mastership.renew, self._lines.open)

    def _listener(self) -> Listener:
        """Where Ryu listens, which depends on whether it has a certificate."""
        conf = self.CONF
        if conf.ctl_privkey is not None and conf.ctl_cert is not None:
            return Listener("ssl", conf.ofp_listen_host, conf.ofp_ssl_listen_port)
        return Listener("tcp", conf.ofp_listen_host, conf.ofp_tcp_listen_port)

    def _tend(self) -> None:
        if self._server is not None and self._server.ensure():
            LOG.warning("the policy database's server had died and was started again")

    def stop(self) -> None:
        """Ryu's hook at the end: the switches keep their flows, our database server ends with us."""
        self._northbound.stop()
        hub.kill(self._loop_thread)
        super().stop()
        self._loop.close()
        if self._server is not None:
            self._server.stop()

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def connection_changed(self, event: Any) -> None:
        """A switch is ready to talk, or gone."""
        datapath = event.datapath
        if event.state == MAIN_DISPATCHER:
            if not self._lines.accept(datapath, connected=datapath.id in self._channels):
                return
            self._channels[datapath.id] = channel = Channel(datapath, self._loop.wake)
            LOG.info("switch %016x connected", datapath.id)
            self._loop.connect(datapath.id, partial(self._open_session, channel))
        elif datapath.id in self._channels and self._channels[datapath.id].serves(datapath):
            del self._channels[datapath.id]
            LOG.warning("switch %016x disconnected", datapath.id)
            self._loop.disconnect(datapath.id)

    @set_ev_cls(
        [
            ofp_event.EventOFPBarrierReply,
            ofp_event.EventOFPErrorMsg,
            ofp_event.EventOFPFlowStatsReply,
            ofp_event.EventOFPRoleReply,
        ],
        MAIN_DISPATCHER,
    )
    def answered(self, event: Any) -> None:
        """A switch replies."""
        channel = self._channels.get(event.msg.datapath.id)
        if channel is not None:
            channel.receive(event.msg)

    def _open_session(self, channel: Channel, generation: int, expected: Expected, report: Report) -> Session:
        claim = partial(self._mastership.claim, channel)
        return Session(channel, generation, expected, report, self._check_seconds, claim)
