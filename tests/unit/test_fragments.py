"""The lab's own reassembly, tested with scapy's fragmentation."""

from __future__ import annotations

from random import Random

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from lab.fragments import whole

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
DATAGRAM = UDP(sport=1, dport=2) / (bytes(range(256)) * 12)
WHOLE4 = ETHER / IP(src="10.0.0.1", dst="10.0.0.2", id=7) / DATAGRAM
WHOLE6 = ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2") / DATAGRAM


def cut4(size: int) -> list[bytes]:
    return [bytes(each) for each in fragment(WHOLE4, fragsize=size)]


def cut6(size: int, identification: int = 9) -> list[bytes]:
    head = ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=identification)
    return [bytes(each) for each in fragment6(head / DATAGRAM, size)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("frames", "packet"), [(cut4(400), WHOLE4), (cut6(500), WHOLE6)])
def test_fragments_in_any_order_are_the_packet(frames: list[bytes], packet: Packet, seed: int) -> None:
    assert len(frames) > 3
    Random(seed).shuffle(frames)
    assert whole(frames) == [bytes(packet)]


def test_packets_are_equal_however_they_were_fragmented() -> None:
    assert whole(cut6(500, 9)) == whole(cut6(1200, 10))


def test_incomplete_packets_stay_unchanged() -> None:
    first, *rest = cut4(400)
    assert whole(rest) == rest
    assert whole([first, *rest, first]) == [bytes(WHOLE4), first]


def test_other_frames_are_left_alone() -> None:
    frames = [bytes(WHOLE4), bytes(ETHER / b"short"), bytes(WHOLE6) + bytes(8)]
    assert whole(frames) == frames
