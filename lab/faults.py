"""Fault drill: processes are killed, one after the other, while traffic runs and the policy changes.

Allowed and denied traffic never stops; a writer keeps editing the policy. Each round breaks something, mostly
with `kill -9`, repairs it and measures the effect.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from lab.background_traffic import Datagrams, Stream
from lab.drilled_policy import ALLOWED, CLOSED, FOREIGN, TOGGLED, Writer, converge, drilled_groups, obeys
from lab.netns import Workload
from lab.process import statistics, wait_until
from lab.site import Site, document
from sgctl.store import Store


class Fault(NamedTuple):
    """Something that breaks.

    `cuts`: it ends the switch, and with it all connections. `halts`: Open vSwitch itself forwards nothing for
    a while, because its userspace datapath stops while its database is down.
    """

    name: str
    strike: Callable[[Site, Random], None]
    cuts: bool = False
    halts: bool = False


@dataclass(frozen=True)
class Round:
    """What one fault cost. `lost` counts allowed datagrams, about 500 of which are sent in a second."""

    fault: str
    lost: int
    outage: float
    converged: float
    delivered: int
    stream_alive: bool
    obeyed: bool

    def __str__(self) -> str:
        stream = "connection alive" if self.stream_alive else "connection cut"
        return (
            f"{self.fault:<34} outage {self.outage * 1000:6.0f} ms ({self.lost:4d} lost)  converged in "
            f"{self.converged:5.2f} s  denied packets delivered {self.delivered}  {stream}"
        )


class Traffic(NamedTuple):
    """The traffic that runs during the whole drill."""

    allowed: Datagrams
    foreign: Datagrams
    closed: Datagrams
    toggled: Datagrams


class Drill:
    """A site under traffic and edits, on which one fault follows the other."""

    def __init__(self, site: Site, seed: int) -> None:
        self._site = site
        self._random = Random(seed)  # noqa: S311 - no secret
        self._workloads = _populate(site)
        site.ovs.let_switch_come_first()
        self._stream: Stream | None = None

    @contextmanager
    def running(self) -> Iterator[Drill]:
        """Traffic and edits run inside the `with` block."""
        client, server, other = self._workloads
        with ExitStack() as stack:
            self.store = Store.connect(self._site.controller.db)
            stack.callback(self.store.close)
            self.writer = Writer(self._site.controller.db)
            stack.callback(self.writer.close)
            self._traffic = Traffic(
                *(
                    stack.enter_context(Datagrams(source, server, "10.0.0.2", port))
                    for source, port in (
                        (client, ALLOWED),
                        (other, FOREIGN),
                        (client, CLOSED),
                        (client, TOGGLED),
                    )
                )
            )
            stack.callback(self._close_stream)
            yield self

    def strike(self, fault: Fault) -> Round:
        """Cause one fault at a random moment; return when everything works again."""
        self._open_stream()
        time.sleep(self._random.uniform(0.0, 0.3))
        lost_before = self._traffic.allowed.lost()
        self.writer.wanted = not self.writer.wanted
        time.sleep(self._random.uniform(0.0, 0.1))
        begin = time.monotonic()
        fault.strike(self._site, self._random)
        converge(self.store, self.writer)
        converged = time.monotonic() - begin
        obeyed = self._obeys()
        lost = self._traffic.allowed.lost() - lost_before
        return Round(
            fault=fault.name,
            lost=lost,
            outage=lost * self._traffic.allowed.seconds_each,
            converged=converged,
            delivered=self._traffic.foreign.arrived + self._traffic.closed.arrived,
            stream_alive=self._stream is not None and self._stream.flows(1.0),
            obeyed=obeyed,
        )

    def _open_stream(self) -> None:
        """Open the connection that lasts over all rounds, until a fault ends the switch."""
        if self._stream is not None and self._stream.flows(1.0):
            return
        self._close_stream()
        client, server, _ = self._workloads
        self._stream = Stream(client, server, "10.0.0.2", 80)

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.__exit__(None, None, None)
            self._stream = None

    def _obeys(self) -> bool:
        """Whether TOGGLED is open or closed as the database says, once allowed traffic flows."""
        arrived = self._traffic.allowed.arrived
        wait_until(lambda: self._traffic.allowed.arrived > arrived, "allowed traffic flows again")
        return obeys(self._traffic.toggled, self.writer)


def _populate(site: Site) -> Sequence[Workload]:
    site.apply(
        *drilled_groups(),
        document("AddressGroup", "unused", addresses=["192.0.2.0/24"]),
        site.port_document(1, ["client"]),
        site.port_document(2, ["server"]),
        site.port_document(3, ["other"]),
    )
    workloads = [site.plug("br0", number) for number in (1, 2, 3)]
    site.sgctl.wait()
    return workloads


def _kill_policy_server(site: Site) -> None:
    pid = int((site.controller.directory / "policy.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), "the policy server ends")


def _is_zombie(pid: int) -> bool:
    try:
        return statistics(pid)[0] == "Z"
    except OSError:
        return True


def _controller(site: Site, random: Random) -> None:
    site.controller.kill()
    time.sleep(random.uniform(0.0, 0.5))
    site.controller.start()


def _policy_database(site: Site, _: Random) -> None:
    _kill_policy_server(site)


def _switch(site: Site, random: Random) -> None:
    site.ovs.kill_switch()
    time.sleep(random.uniform(0.0, 0.3))
    site.ovs.start_switch()


def _switch_database(site: Site, random: Random) -> None:
    site.ovs.kill_database()
    time.sleep(random.uniform(0.0, 0.3))
    site.ovs.start_database()


def _controller_and_database(site: Site, random: Random) -> None:
    first = random.random() < 0.5
    if first:
        _kill_policy_server(site)
    site.controller.kill()
    if not first:
        _kill_policy_server(site)
    time.sleep(random.uniform(0.0, 0.5))
    site.controller.start()


def _controller_and_switch(site: Site, random: Random) -> None:
    site.controller.kill()
    site.ovs.kill_switch()
    returns = [site.controller.start, site.ovs.start_switch]
    random.shuffle(returns)
    for start in returns:
        start()
        time.sleep(random.uniform(0.0, 0.3))


def _openflow_lost(site: Site, random: Random) -> None:
    site.ovs.vsctl("set-controller", "br0", "tcp:127.0.0.1:1")
    time.sleep(random.uniform(0.1, 0.5))
    site.ovs.vsctl("set-controller", "br0", site.controller.target)


def _controller_stalls(site: Site, random: Random) -> None:
    os.kill(site.controller.pid, signal.SIGSTOP)
    time.sleep(random.uniform(0.2, 1.0))
    os.kill(site.controller.pid, signal.SIGCONT)


FAULTS = (
    Fault("controller killed", _controller),
    Fault("policy database killed", _policy_database),
    Fault("switch killed", _switch, cuts=True, halts=True),
    Fault("switch database killed", _switch_database, halts=True),
    Fault("controller and its database killed", _controller_and_database),
    Fault("controller and switch killed", _controller_and_switch, cuts=True, halts=True),
    Fault("OpenFlow connection lost", _openflow_lost),
    Fault("controller stalls", _controller_stalls),
)


def sequence(count: int, seed: int) -> list[Fault]:
    """Faults in random order; the counts of any two kinds differ by at most one."""
    random, found = Random(seed), list[Fault]()  # noqa: S311 - no secret
    while len(found) < count:
        found += random.sample(FAULTS, len(FAULTS))
    return found[:count]
