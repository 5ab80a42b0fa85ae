"""Uplinks: the flows by which frames enter a bridge from the unmanaged side and leave to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from flows.compiler.bitwise_checks import subnet_flows
from flows.compiler.fragment_budget import network_fragment_flow
from flows.compiler.link_messages import DHCP_FROM_SERVER
from flows.compiler.routed import routed_flows
from flows.compiler.services import IPV4_TERM, IPV6_TERM, prefix_term
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
"""How many bytes of a probe that has gone round a loop are sent to the controller."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """A link to the unmanaged side: one OpenFlow port, or the members of a bond.

    With `lacp`, the other side treats the members as one link (IEEE 802.1AX), and a frame may use any member.
    Without it, broadcasts come in by all members, so only the first member that works is used, in both
    directions. `other_probes` are the source MACs of other uplinks' probes: if one comes in here, it has gone
    round a loop. `probe` is the MAC of this uplink's own probes: if one is sent back, it must not pass
    to the segment of another uplink.
    """

    members: tuple[int, ...]
    lacp: bool = False
    other_probes: frozenset[int] = frozenset()
    probe: int | None = None

    @property
    def has_standby(self) -> bool:
        """Whether some members are used only if the first one fails."""
        return len(self.members) > 1 and not self.lacp

    @property
    def out(self) -> Action:
        """The action that sends a frame out of the uplink."""
        if len(self.members) == 1:
            return Output(self.members[0])
        return Bundle(self.members, spread=self.lacp)


@dataclass(frozen=True)
class Segment:
    """A network on this bridge: its zone and the uplinks that carry it.

    `trusted`: a port of the network on this bridge has no port security. `has_off_subnet_ports`: a port of it
    may have an address in none of its subnets.
    """

    network: Network
    zone: int
    uplinks: tuple[Uplink, ...]
    trusted: bool
    has_off_subnet_ports: bool


def segment_flows(segment: Segment) -> list[Flow]:
    """The flows by which a network enters and leaves the bridge."""
    parts = (_enter_flows(segment), _link_flows(segment), _exit_flows(segment))
    routed = routed_flows(segment.network, segment.zone)
    return [*chain.from_iterable(parts), *routed, network_fragment_flow(segment.zone)]


def _link_flows(segment: Segment) -> Iterator[Flow]:
    """The flows for a network's subnets: ARP targets, neighbour discovery, answers of DHCP servers."""
    zone = r.ZONE(segment.zone)
    if not segment.has_off_subnet_ports:
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
    several = segment.trusted or len(segment.uplinks) > 1  # otherwise there is no choice
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
    """Learn that the sender's MAC is behind this OpenFlow port. There may be many MACs behind it."""
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
    """A frame that came in by one member of a bond does not leave by another member."""
    if len(uplink.members) == 1:
        return
    zone, others = r.ZONE(segment.zone), [other for other in segment.uplinks if other != uplink]
    for member in uplink.members:
        nowhere = Output(member)  # Open vSwitch does not output to the input port
        flood = (*tag, *(other.out for other in others)) if others else (nowhere,)
        came = f.IN_PORT(member)
        yield Flow(p.UPLINK_OUT, Priority.HIGH, (zone, r.OUT(0), came), flood)
        for other_member in uplink.members:
            yield Flow(p.UPLINK_OUT, Priority.HIGH, (zone, r.OUT(other_member), came), (nowhere,))


def uplink_flows(uplink: Uplink) -> list[Flow]:
    """Frames of undeclared VLANs, copies on standby members, probes, and frames with a source MAC of zero."""
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
        for mac in uplink.other_probes
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
