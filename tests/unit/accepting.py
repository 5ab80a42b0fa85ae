"""A program in which each listener accepts a crowd while another green thread runs.

Prints for each listener how often the other thread had run when a connection was accepted, once each time.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, cast

from sgctl.ryu import repair

repair.prepare()
repair.repair_imports()

from sgctl import runtime  # noqa: E402
from sgctl.ryu.api_stand_in import StandIn  # noqa: E402
from sgctl.ryu.http_listener import HttpListener  # noqa: E402
from sgctl.switch.admission import Admission  # noqa: E402
from sgctl.switch.listen_address import ListenAddress  # noqa: E402
from sgctl.switch.openflow_listener import OpenFlowListener  # noqa: E402

CROWD = int(sys.argv[1])


class Ticker:
    """The other thread. As an Admission it refuses everybody."""

    def __init__(self) -> None:
        self._count = 0
        self._seen: list[int] = []
        runtime.spawn(self._run)

    def _run(self) -> None:
        while True:
            self._count += 1
            runtime.sleep(0)

    def note(self, *_: object) -> bool:
        """A connection was accepted."""
        self._seen.append(self._count)
        return False

    trusts = note

    def report(self) -> None:
        """Wait for all of the crowd."""
        while len(self._seen) < CROWD:
            runtime.sleep(0.001)
        print(*self._seen)


def crowd(port: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(CROWD)]


def switches(ticker: Ticker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    address = ListenAddress("tcp", "127.0.0.1", port)
    runtime.spawn(OpenFlowListener(address, cast("Admission", ticker), None, lambda _: None).run)
    runtime.sleep(0)
    strangers = crowd(port)
    ticker.report()
    assert strangers


def clients(ticker: Ticker) -> None:
    listener = HttpListener(runtime.listen("127.0.0.1", 0))
    accepted = []

    def accept() -> None:
        while True:
            accepted.append(listener.accept())
            ticker.note()

    strangers = crowd(listener.getsockname()[1])
    runtime.spawn(accept)
    ticker.report()
    assert strangers


class Noting:
    """A listening socket that tells a ticker of each connection."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self.socket = runtime.listen("127.0.0.1", 0)

    def accept(self) -> Any:
        """The next connection, with its address."""
        accepted = self.socket.accept()
        self._ticker.note()
        return accepted


def clients_without_an_api(ticker: Ticker) -> None:
    listening = Noting(ticker)
    strangers = crowd(listening.socket.getsockname()[1])
    runtime.spawn(StandIn(tls=False).serve, listening, 60.0, "")
    ticker.report()
    assert strangers


switches(Ticker())
clients(Ticker())
clients_without_an_api(Ticker())
