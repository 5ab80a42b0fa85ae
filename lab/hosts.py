"""Fault drill with two hosts: a switch and a controller each, joined by a cable, with one clustered database.

Traffic between the hosts never stops; a writer keeps editing the policy; members of the database are killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from typing import NamedTuple

from lab import process
from lab.background_traffic import Datagrams, Stream
from lab.cluster import Cluster, ClusterMember
from lab.controller import Controller
from lab.drilled_policy import (
    ALLOWED,
    CLOSED,
    FOREIGN,
    TOGGLED,
    Writer,
    converge,
    drilled_groups,
    have_generation,
    obeys,
)
from lab.netns import Namespace
from lab.ovs import PrivateOvs
from lab.process import LabError, wait_until
from lab.running import Running
from lab.site import NETWORK, Site, document
from lab.workloads import Workloads
from sgctl.store import Store

BRIDGE, UPLINK = "br0", "uplink"
_PACE_SECONDS = 0.01


class LabHost(Running):
    """A network namespace with a switch and `ryu-manager sgctl`."""

    def __init__(self, name: str, db: str) -> None:
        self.name = name
        self._db = db
        self._stack = ExitStack()

    def start(self) -> None:
        """Start the switch with one bridge, and the controller."""
        self.place = Namespace(self.name)
        self._stack.callback(self.place.remove)
        self.place.silence()
        with self.place.inside():
            self.ovs = self._stack.enter_context(PrivateOvs())
            self.controller = self._stack.enter_context(Controller(self.ovs.remote, self._db))
        workloads = Workloads(self.ovs, self.place)
        self._stack.callback(workloads.close)
        self.site = Site(self.ovs, workloads, self.controller)
        self.site.add_bridge(BRIDGE)

    def restart_controller(self) -> None:
        """Start the controller again after it ended."""
        with self.place.inside():
            self.controller.start()

    def close(self) -> None:
        """Stop switch and controller, and remove the namespace."""
        self._stack.close()


def wire(one: LabHost, other: LabHost) -> None:
    """Join two hosts by a cable; its ends are their uplinks and carry the network untagged."""
    ends = f"{UPLINK} netns {one.name} type veth peer name {UPLINK} netns {other.name}"
    process.run(["ip", "link", "add", *ends.split()])
    for host in (one, other):
        host.place.run("ip", "link", "set", UPLINK, "up")
        host.ovs.add_port(BRIDGE, UPLINK, f"external_ids:sgctl-uplink={NETWORK}")


class HostPair(Running):
    """Two hosts and a database cluster of three. w1–w3 are on the first host, w11–w13 on the second.

    w1 and w11 may send anything. w2 and w12 accept TCP 80 and some UDP from the group of w1 and w11, from
    both hosts. w3 and w13 are in another group.
    """

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.hosts = LabHost("host1", self.cluster.remote), LabHost("host2", self.cluster.remote)
        self._stack = ExitStack()

    def start(self) -> None:
        """Start everything, with its policy and all workloads."""
        self._stack.enter_context(self.cluster)
        for host in self.hosts:
            self._stack.enter_context(host)
        wire(*self.hosts)
        self.hosts[0].site.sgctl.apply(self._policy())
        self.workloads = {
            number: host.site.plug(BRIDGE, number)
            for host, first in zip(self.hosts, (1, 11), strict=True)
            for number in range(first, first + 3)
        }
        self.wait_applied()

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()

    def wait_applied(self) -> None:
        """Wait until both switches have the current policy and bindings."""
        with _connected(self.cluster.remote) as store:
            wait_until(
                lambda: have_generation(store, store.commit(()), len(self.hosts)),
                "both switches have the policy",
                30.0,
            )

    def _policy(self) -> list[dict[str, object]]:
        groups = {1: "client", 2: "server", 3: "other"}
        site = self.hosts[0].site
        return [
            document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]),
            *drilled_groups(),
            *(site.port_document(first + n, [groups[n]]) for first in (0, 10) for n in groups),
        ]


@contextmanager
def _connected(remote: str) -> Iterator[Store]:
    store = Store.connect(remote)
    try:
        yield store
    finally:
        store.close()


class HostFault(NamedTuple):
    """What breaks, and how it is repaired afterwards. The database still works without the broken parts."""

    name: str
    strike: Callable[[HostPair, Random], Callable[[], None]]


def _revive(member: ClusterMember) -> None:
    member.start()
    member.wait_joined()


def _leader(pair: HostPair) -> ClusterMember:
    return next(member for member in pair.cluster.members if member.leads)


def _kill_leader(pair: HostPair, _: Random) -> Callable[[], None]:
    leader = _leader(pair)
    leader.kill()
    return lambda: _revive(leader)


def _kill_follower(pair: HostPair, random: Random) -> Callable[[], None]:
    leader = _leader(pair)
    follower = random.choice([member for member in pair.cluster.members if member is not leader])
    follower.kill()
    return lambda: _revive(follower)


def _kill_majority(pair: HostPair, random: Random) -> Callable[[], None]:
    """For a while nothing can be written; then one member is started again."""
    first, second = random.sample(pair.cluster.members, 2)
    first.kill()
    second.kill()
    time.sleep(random.uniform(0.2, 1.0))
    first.start()
    return lambda: _revive(second)


def _kill_leader_and_controller(pair: HostPair, random: Random) -> Callable[[], None]:
    mend, host = _kill_leader(pair, random), random.choice(pair.hosts)
    host.controller.kill()
    time.sleep(random.uniform(0.0, 0.5))
    host.restart_controller()
    return mend


FAULTS = (
    HostFault("leader killed", _kill_leader),
    HostFault("follower killed", _kill_follower),
    HostFault("majority killed", _kill_majority),
    HostFault("leader and a controller killed", _kill_leader_and_controller),
)


class HostRound(NamedTuple):
    """What one fault cost. `lost` counts allowed datagrams; about 100 are sent each way in a second."""

    fault: str
    converged: float
    lost: int
    delivered: int
    streams_alive: bool
    obeyed: bool

    def __str__(self) -> str:
        streams = "both connections alive" if self.streams_alive else "CONNECTION CUT"
        return (
            f"{self.fault:<32} both switches up to date in {self.converged:5.2f} s  {self.lost} lost  "
            f"denied packets delivered {self.delivered}  {streams}"
        )


class Way(NamedTuple):
    """Traffic from one host to the other."""

    stream: Stream
    allowed: Datagrams
    foreign: Datagrams
    closed: Datagrams
    toggled: Datagrams

    @property
    def delivered(self) -> int:
        """Denied packets that arrived."""
        return self.foreign.arrived + self.closed.arrived


class HostDrill(Running):
    """A pair of hosts under edits and traffic in both directions, on which one fault follows the other."""

    def __init__(self, pair: HostPair, seed: int) -> None:
        self._pair = pair
        self._random = Random(seed)  # noqa: S311 - no secret
        self._stack = ExitStack()

    def start(self) -> None:
        """Start traffic and edits."""
        remote = self._pair.cluster.remote
        self.store = self._stack.enter_context(_connected(remote))
        self.writer = Writer(remote)
        self._stack.callback(self.writer.close)
        self._ways = [self._way(1, 3, 12), self._way(11, 13, 2)]

    def close(self) -> None:
        """Stop traffic and edits."""
        self._stack.close()

    def strike(self, fault: HostFault) -> HostRound:
        """Cause one fault at a random moment; it is repaired when this returns."""
        lost_before = sum(way.allowed.lost() for way in self._ways)
        self.writer.wanted = not self.writer.wanted
        time.sleep(self._random.uniform(0.0, 0.1))
        begin = time.monotonic()
        mend = fault.strike(self._pair, self._random)
        converge(self.store, self.writer, len(self._pair.hosts))
        converged = time.monotonic() - begin
        obeyed = all(obeys(way.toggled, self.writer) for way in self._ways)
        mend()
        lost = sum(way.allowed.lost() for way in self._ways) - lost_before
        return HostRound(
            fault.name,
            converged,
            lost,
            sum(way.delivered for way in self._ways),
            all(way.stream.flows(1.0) for way in self._ways),
            obeyed,
        )

    def lost_writes(self) -> int:
        """How many acknowledged rules are missing in some member's copy; call it after the writer stopped."""
        wanted = self.writer.acknowledged.keys()
        for member in self._pair.cluster.members:
            try:
                wait_until(partial(_has_rules, member, wanted), "the member has everything")
            except LabError:
                return len(wanted - _rules(member))
        return 0

    def _way(self, client: int, stranger: int, server: int) -> Way:
        workloads, address = self._pair.workloads, f"10.0.0.{server}"

        def datagrams(source: int, port: int) -> Datagrams:
            made = Datagrams(workloads[source], workloads[server], address, port, pace=_PACE_SECONDS)
            return self._stack.enter_context(made)

        stream = self._stack.enter_context(Stream(workloads[client], workloads[server], address, 80))
        return Way(
            stream,
            datagrams(client, ALLOWED),
            datagrams(stranger, FOREIGN),
            datagrams(client, CLOSED),
            datagrams(client, TOGGLED),
        )


def _has_rules(member: ClusterMember, wanted: AbstractSet[str]) -> bool:
    return wanted <= _rules(member)


def _rules(member: ClusterMember) -> set[str]:
    """The ids of the rules in a member's own copy."""
    return set(member.dump("Rule", "_uuid"))
