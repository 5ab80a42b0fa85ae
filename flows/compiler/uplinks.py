"""Uplinks: how the frames of a network enter a bridge from the unmanaged side, and leave it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from flows.compiler.control import DHCP_FROM_SERVER
from flows.compiler.fragment_budget import network_fragment_flow
from flows.compiler.routed import routed_flows
from flows.compiler.services import IPV4_TERM, IPV6_TERM, prefix_term
from flows.compiler.sieve import subnet_flows
from flows.compiler.static import (
    ANSWERS,
    COMMIT,
    COMMIT_WHOLE,
    FIND_UPLINK,
    NEW,
    NO_FRAGMENT,
    UNTAGGED,
    call,
    drop,
    exempt,
    on_link,
)
from flows.openflow import fields as f
from flows.openflow import numbers
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action, Bundle, Learn, Output, PopVlan, PushVlan, SetField, ToController
from flows.openflow.flow import Flow
from flows.openflow.numbers import Priority
from flows.openflow.reasons import Reason
from flows.policy.objects import Network

PROBE_BYTES = 64
"""Of a probe that came round a loop, the controller gets so many."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """A way to the unmanaged side: one OpenFlow port, or several, which are a bond.

    With `lacp` the other side knows that they are one link (IEEE 802.1AX), and every frame may go by any of
    them. Without, what is for everybody comes in by all of them: the first that works is used, both ways.
    `strangers` are the MACs of probes of other uplinks: one that comes in here has gone round a loop. `probe`
    is the MAC of its own: who sends one back must not get it through to where another uplink leads.
    """

    members: tuple[int, ...]
    lacp: bool = False
    strangers: frozenset[int] = frozenset()
    probe: int | None = None

    @property
    def has_standby(self) -> bool:
        """Whether some members are only there in case that the first fails."""
        return len(self.members) > 1 and not self.lacp

    @property
    def out(self) -> Action:
        """Sends a frame out of it."""
        if len(self.members) == 1:
            return Output(self.members[0])
        return Bundle(self.members, spread=self.lacp)


@dataclass(frozen=True)
class Segment:
    """A network on this bridge: its zone and the uplinks that carry it.

    `trusted`: one of its ports here has no port security. `straying`: one may have an address in no subnet.
    """

    network: Network
    zone: int
    uplinks: tuple[Uplink, ...]
    trusted: bool
    straying: bool


def segment_flows(segment: Segment) -> list[Flow]:
    """How a network enters and leaves the bridge."""
    parts = (_enter_flows(segment), _link_flows(segment), _exit_flows(segment))
    routed = routed_flows(segment.network, segment.zone)
    return [*chain.from_iterable(parts), *routed, network_fragment_flow(segment.zone)]


def _link_flows(segment: Segment) -> Iterator[Flow]:
    """What belongs to the link of the network: its subnets."""
    zone = r.ZONE(segment.zone)
    if not segment.straying:
        yield from subnet_flows(zone, segment.network.subnets)
    for subnet in segment.network.subnets:
        if subnet.version == 6:
            yield on_link(zone, subnet)
            continue
        answer = (zone, *DHCP_FROM_SERVER, *prefix_term(f.IPV4_SRC, subnet))
        yield Flow(p.UPLINK_DELIVER, Priority.HIGH, answer, exempt(p.FORWARD))
        trusted = (r.SOURCE(r.UNRESTRICTED), *answer)
        yield Flow(p.ADMIT, ANSWERS, trusted, exempt(p.FORWARD))


def _enter_flows(segment: Segment) -> Iterator[Flow]:
    zone, vid = SetField(r.ZONE, segment.zone), segment.network.segmentation_id
    tag = UNTAGGED if vid is None else f.VLAN_VID(0x1000 | vid)
    untag: tuple[Action, ...] = () if vid is None else (PopVlan(),)
    several = segment.trusted or len(segment.uplinks) > 1  # else there is nothing to choose
    for uplink in segment.uplinks:
        which: tuple[Action, ...] = (Bundle(uplink.members, into=r.OUT),) if uplink.has_standby else ()
        forget: tuple[Action, ...] = (SetField(r.OUT, 0),) if uplink.has_standby else ()
        for member in uplink.members:
            in_port = f.IN_PORT(member)
            enter = (*untag, zone, *which, call(p.UPLINK))
            yield Flow(p.CLASSIFY, Priority.GUARD + 100, (in_port, tag), enter)
            match = (r.ZONE(segment.zone), in_port)
            learned = (learn(segment.zone, member),) if several else ()
            pass_on = (*forget, *learned, call(p.SIGHTED), call(p.UPLINK_DELIVER))
            yield Flow(p.UPLINK, Priority.DEFAULT, match, pass_on)


def learn(zone: int, ofport: int) -> Learn:
    """Remember that the sender is behind this OpenFlow port, behind which there may be many."""
    return Learn(
        table=p.FDB.id,
        priority=Priority.NORMAL,
        cookie=numbers.LEARNED_COOKIE_TAG << 56 | zone << 32 | ofport,
        idle_timeout=numbers.FDB_IDLE_SECONDS,
        limit=numbers.FDB_LIMIT,
        matches=((r.ZONE, r.ZONE), (f.ETH_SRC, f.ETH_DST)),
        loads=((f.IN_PORT, r.OUT),),
        bound=True,
    )


def _exit_flows(segment: Segment) -> Iterator[Flow]:
    if not segment.uplinks and not segment.trusted:
        return
    zone = r.ZONE(segment.zone)
    unknown = SetField(r.OUT, 0)
    for family in (IPV4_TERM, IPV6_TERM):
        new = (zone, NEW, family)
        yield Flow(p.EXIT, Priority.GUARD, (*new, NO_FRAGMENT), (COMMIT, unknown, *FIND_UPLINK))
        yield Flow(p.EXIT, Priority.HIGH, new, (unknown, COMMIT_WHOLE))
    yield Flow(p.EXIT, Priority.NORMAL, (zone,), (unknown, *FIND_UPLINK))
    vid = segment.network.segmentation_id
    tag: tuple[Action, ...] = () if vid is None else (PushVlan(vid),)
    for uplink in segment.uplinks:
        for member in uplink.members:
            yield Flow(p.UPLINK_OUT, Priority.NORMAL, (zone, r.OUT(member)), (*tag, uplink.out))
        yield from _not_back(segment, uplink, tag)
    if segment.uplinks:
        flood = tuple(uplink.out for uplink in segment.uplinks)
        yield Flow(p.UPLINK_OUT, Priority.NORMAL, (zone, r.OUT(0)), (*tag, *flood))


def _not_back(segment: Segment, uplink: Uplink, tag: tuple[Action, ...]) -> Iterator[Flow]:
    """What came in by one member of a bond does not leave by another one."""
    if len(uplink.members) == 1:
        return
    zone, others = r.ZONE(segment.zone), [other for other in segment.uplinks if other != uplink]
    for member in uplink.members:
        nowhere = Output(member)  # where it came from
        flood = (*tag, *(other.out for other in others)) if others else (nowhere,)
        came = f.IN_PORT(member)
        yield Flow(p.UPLINK_OUT, Priority.HIGH, (zone, r.OUT(0), came), flood)
        for other_member in uplink.members:
            yield Flow(p.UPLINK_OUT, Priority.HIGH, (zone, r.OUT(other_member), came), (nowhere,))


def uplink_flows(uplink: Uplink) -> list[Flow]:
    """What an uplink brings that no declared network matches, copies on standby members, and probes."""
    undeclared = [
        Flow(p.CLASSIFY, Priority.GUARD + 50, (f.IN_PORT(member),), drop(Reason.UNDECLARED_VLAN))
        for member in uplink.members
    ]
    standby = [
        Flow(p.UPLINK, Priority.GUARD + 100, (f.IN_PORT(member), r.OUT(active)), drop(Reason.STANDBY))
        for member in uplink.members
        for active in uplink.members
        if uplink.has_standby and active != member
    ]
    told = (ToController(PROBE_BYTES),)
    probes = [
        Flow(p.CLASSIFY, Priority.GUARD + 150, (f.IN_PORT(member), f.ETH_SRC(mac)), told)
        for member in uplink.members
        for mac in uplink.strangers
    ]
    no_mac = [
        Flow(
            p.CLASSIFY,
            Priority.GUARD + 200,
            (f.IN_PORT(member), f.ETH_SRC(0)),
            drop(Reason.BAD_SOURCE_MAC),
        )
        for member in uplink.members
    ]
    own = [] if uplink.probe is None else [f.ETH_SRC(uplink.probe)]
    returned = [
        Flow(p.CLASSIFY, Priority.GUARD + 150, (f.IN_PORT(member), mac), drop(Reason.RETURNED_PROBE))
        for member in uplink.members
        for mac in own
    ]
    return undeclared + standby + probes + no_mac + returned
