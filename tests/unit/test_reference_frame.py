"""The reference verdict on frames that rules do not concern, in cases that need no bridge."""

from __future__ import annotations

from dataclasses import replace

from flows.policy.objects import AddressPair, Network, Port, Prefix
from flows.reference.frame import Frame, FrameRefusal, judge_frame

LLDP, SHARED = 0x88CC, "02:00:00:00:00:0f"
NETWORK = Network("net", "blue")


def holder(name: str, number: int, *ethertypes: int) -> Port:
    """A port that may use the shared MAC besides its own."""
    pair = AddressPair(SHARED, Prefix.parse(f"10.0.0.{number}"))
    port = Port(name, name, "net", f"02:00:00:00:00:0{number}", name, allowed_address_pairs=(pair,))
    return replace(port, permitted_ethertypes=frozenset(ethertypes))


def test_a_sender_does_not_take_its_own_frame() -> None:
    """The sender may have the MAC, as another port may, which does not accept such frames."""
    ports = {"a": holder("a", 1, LLDP), "b": holder("b", 2)}
    frame = Frame("a", ports["a"].mac, SHARED, LLDP)
    assert judge_frame({"net": NETWORK}, ports, frame).refusal is FrameRefusal.RECEIVER
    ports["b"] = holder("b", 2, LLDP)
    assert judge_frame({"net": NETWORK}, ports, frame).ports == {"b"}
