"""Uplinks: how the frames of a network enter a bridge from the unmanaged side, and leave it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flows import fields as f
from flows import pipeline as p
from flows.actions import Action, Learn, Output, PopVlan, PushVlan, SetField
from flows.flow import Flow
from flows.model import Network
from flows.pipeline import Priority
from flows.reasons import Reason
from flows.services import IPV4_TERM, IPV6_TERM
from flows.static import (
    ARP_TERM,
    COMMIT,
    COMMIT_WHOLE,
    FIND_UPLINK,
    GROUP_MAC,
    NEW,
    NO_FRAGMENT,
    TELL_ALL,
    UNTAGGED,
    call,
    drop,
)


@dataclass(frozen=True)
class Segment:
    """A network on this bridge: its zone and the OpenFlow ports of the uplinks that carry it."""

    network: Network
    zone: int
    uplinks: tuple[int, ...]


def segment_flows(segment: Segment) -> list[Flow]:
    """How a network enters and leaves the bridge."""
    return [*_enter_flows(segment), *_exit_flows(segment)]


def _enter_flows(segment: Segment) -> Iterator[Flow]:
    yield from _gateway_announcements(segment)
    zone, vid = SetField(p.ZONE, segment.zone), segment.network.segmentation_id
    for uplink in segment.uplinks:
        in_port = f.IN_PORT(uplink)
        tag = UNTAGGED if vid is None else f.VLAN_VID(0x1000 | vid)
        untag: tuple[Action, ...] = () if vid is None else (PopVlan(),)
        yield Flow(p.CLASSIFY, Priority.GUARD + 100, (in_port, tag), (*untag, zone, call(p.UPLINK)))
        yield Flow(
            p.UPLINK,
            Priority.DEFAULT,
            (p.ZONE(segment.zone), in_port),
            (*_learn(segment, uplink), call(p.UPLINK_DELIVER)),
        )


def _gateway_announcements(segment: Segment) -> Iterator[Flow]:
    """When a gateway moves, everybody has to learn it at once; other requests go to the owner only."""
    zone = p.ZONE(segment.zone)
    for detail in segment.network.subnet_details:
        if detail.gateway is not None and detail.gateway.version == 4:
            address = detail.gateway.value
            match = (GROUP_MAC, ARP_TERM, f.ARP_SPA(address), f.ARP_TPA(address))
            yield Flow(p.UPLINK_DELIVER, Priority.GUARD, (zone, *match), TELL_ALL)
            trusted = (p.SOURCE(p.UNRESTRICTED), zone)
            yield Flow(p.ADMIT, Priority.GUARD + 50, (*trusted, *match), TELL_ALL)


def _learn(segment: Segment, uplink: int) -> tuple[Action, ...]:
    """With one uplink there is nothing to choose, hence nothing to learn."""
    if len(segment.uplinks) < 2:
        return ()
    return (
        Learn(
            table=p.FDB.id,
            priority=Priority.NORMAL,
            cookie=p.LEARNED_COOKIE_TAG << 56 | segment.zone << 32 | uplink,
            idle_timeout=p.FDB_IDLE_SECONDS,
            limit=p.FDB_LIMIT,
            matches=((p.ZONE, p.ZONE), (f.ETH_SRC, f.ETH_DST)),
            loads=((f.IN_PORT, p.OUT),),
            bound=True,
        ),
    )


def _exit_flows(segment: Segment) -> Iterator[Flow]:
    if not segment.uplinks:
        return
    zone = p.ZONE(segment.zone)
    unknown = SetField(p.OUT, 0)
    for family in (IPV4_TERM, IPV6_TERM):
        new = (zone, NEW, family)
        yield Flow(p.EXIT, Priority.GUARD, (*new, NO_FRAGMENT), (COMMIT, unknown, *FIND_UPLINK))
        yield Flow(p.EXIT, Priority.HIGH, new, (unknown, COMMIT_WHOLE))
    yield Flow(p.EXIT, Priority.NORMAL, (zone,), (unknown, *FIND_UPLINK))
    vid = segment.network.segmentation_id
    tag: tuple[Action, ...] = () if vid is None else (PushVlan(vid),)
    for uplink in segment.uplinks:
        yield Flow(p.UPLINK_OUT, Priority.NORMAL, (zone, p.OUT(uplink)), (*tag, Output(uplink)))
    flood = tuple(Output(uplink) for uplink in segment.uplinks)
    yield Flow(p.UPLINK_OUT, Priority.NORMAL, (zone, p.OUT(0)), (*tag, *flood))


def uplink_flows(ofport: int) -> list[Flow]:
    """What an uplink brings that no declared network matches."""
    match = (f.IN_PORT(ofport),)
    return [Flow(p.CLASSIFY, Priority.GUARD + 50, match, drop(Reason.UNDECLARED_VLAN))]
