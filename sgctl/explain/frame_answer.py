"""The reference verdict on a frame that no rule can match, in words: what stopped it, or where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flows.policy.objects import Port
from flows.reference.frame import (
    ADVERTISEMENT,
    REPLY,
    REQUEST,
    Arp,
    Frame,
    FrameRefusal,
    FrameVerdict,
    Neighbour,
    judge_frame,
    receiver_of,
)
from flows.reference.verdict import PolicyText
from sgctl.explain.answer import missing_pair, port_name

_ARP_WORDS = {REQUEST: "ARP request for", REPLY: "ARP reply to"}


@dataclass(frozen=True)
class FrameAnswer:
    """What happens to a frame and why. `changes` lists what would let it pass."""

    frame: Frame
    verdict: FrameVerdict
    reasons: tuple[str, ...]
    changes: tuple[str, ...]


def answer_frame(text: PolicyText, frame: Frame) -> FrameAnswer:
    """What the policy says about the frame."""
    verdict = judge_frame(text.networks, text.ports, frame)
    reason = _where(text, verdict) if verdict.refusal is None else f"dropped: {verdict.refusal.value}"
    return FrameAnswer(frame, verdict, (reason,), tuple(_changes(text, frame, verdict.refusal)))


def describe_frame(text: PolicyText, frame: Frame) -> str:
    """`ARP request for 10.0.0.2 of 10.0.0.1 from w1 (02:00:00:00:00:01) to ff:ff:ff:ff:ff:ff`."""
    sender = port_name(text.ports[frame.sender])
    tagged = "tagged " if frame.tagged else ""
    return f"{tagged}{_what(frame)} from {sender} ({frame.source_mac}) to {frame.destination_mac}"


def _what(frame: Frame) -> str:
    said = frame.message
    if isinstance(said, Arp):
        words = _ARP_WORDS.get(said.operation)
        return f"{words} {said.target} of {said.mac} {said.address}" if words else "unreadable ARP"
    if isinstance(said, Neighbour):
        kind = "advertisement" if said.kind == ADVERTISEMENT else "solicitation"
        if said.target is None:
            return f"unreadable neighbour {kind} of {said.source}"
        link = f" with MAC {said.link_address}" if said.link_address else ""
        return f"neighbour {kind} for {said.target}{link} of {said.source}"
    return f"frame of type {frame.ethertype:#06x}"


def _where(text: PolicyText, verdict: FrameVerdict) -> str:
    places = sorted(port_name(text.ports[port]) for port in verdict.ports)
    if verdict.outside:
        places.append("the outside")
    return f"may pass, to {', '.join(places)}" if places else "may pass, but no port receives it"


def _changes(text: PolicyText, frame: Frame, refusal: FrameRefusal | None) -> Iterator[str]:
    sender, said = text.ports[frame.sender], frame.message
    if refusal is FrameRefusal.ADMIN_DOWN:
        yield "admin_state_up: true on that port would enable it"
    elif refusal is FrameRefusal.ETHERTYPE and said is None:
        kind = f"{frame.ethertype:#06x}, from one of its MACs"
        yield f"permitted_ethertypes of port {port_name(sender)} with {kind}"
    elif refusal is FrameRefusal.RECEIVER:
        receiver = receiver_of(_others(text, sender), frame.destination_mac)
        if receiver is not None:
            yield f"permitted_ethertypes of port {port_name(receiver)} with {frame.ethertype:#06x}"
    elif refusal is FrameRefusal.ARP_SPOOF and isinstance(said, Arp) and said.mac == frame.source_mac:
        yield missing_pair(sender, said.mac, said.address)
    elif refusal is FrameRefusal.SPOOFED_SOURCE and isinstance(said, Neighbour):
        yield missing_pair(sender, frame.source_mac, said.source)
    elif refusal is FrameRefusal.ND_SPOOF and isinstance(said, Neighbour):
        yield from _discovery_change(sender, frame, said)


def _discovery_change(sender: Port, frame: Frame, said: Neighbour) -> Iterator[str]:
    detection = said.source.value == 0 and said.link_address is None
    fitting_mac = said.link_address in (None, frame.source_mac)
    if said.target is not None and fitting_mac and (said.kind == ADVERTISEMENT or detection):
        yield missing_pair(sender, frame.source_mac, said.target)


def _others(text: PolicyText, sender: Port) -> list[Port]:
    ports = text.ports.values()
    return [port for port in ports if port.network_id == sender.network_id and port.id != sender.id]
