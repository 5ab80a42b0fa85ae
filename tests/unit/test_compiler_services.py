from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.compiler.services import MAX_PORT, port_masks, service_matches
from flows.openflow import fields as f
from flows.openflow.fields import Match
from flows.policy.objects import Direction, Ethertype, Rule

EDGES = [0, 1, 2, 3, 255, 256, 1023, 1024, 32767, 32768, 65533, 65534, 65535]
PORT = st.one_of(st.sampled_from(EDGES), st.integers(0, MAX_PORT))


def covered(low: int, high: int) -> set[int]:
    """Every port that the masks of the range match, each once."""
    ports: list[int] = []
    for value, mask in port_masks(low, high):
        assert value & ~mask == 0
        free = MAX_PORT & ~mask
        assert free & (free + 1) == 0, "only low bits are free"
        ports += range(value, value + free + 1)
    assert len(ports) == len(set(ports))
    return set(ports)


def test_masks_cover_every_small_range_exactly() -> None:
    for low in range(65):
        for high in range(low, 65):
            assert covered(low, high) == set(range(low, high + 1))


def test_masks_cover_every_range_between_edges_exactly() -> None:
    for low in EDGES:
        for high in EDGES:
            assert covered(low, high) == set(range(low, high + 1))


@given(PORT, PORT)
def test_masks_cover_any_range_exactly_and_are_few(low: int, high: int) -> None:
    masks = list(port_masks(low, high))
    assert covered(low, high) == set(range(low, high + 1))
    assert len(masks) <= 30


def test_masks_are_the_fewest() -> None:
    """Against brute force over aligned blocks, in the last 6 bits of the port."""

    def fewest(low: int, high: int) -> int:
        best = [0] + [10**6] * (high - low + 1)
        for end in range(1, high - low + 2):
            for bits in range(7):
                start = end - (1 << bits)
                if start >= 0 and (low + start) % (1 << bits) == 0:
                    best[end] = min(best[end], best[start] + 1)
        return best[-1]

    ranges = random.Random(1).sample([(low, high) for low in range(64) for high in range(low, 64)], 200)
    for low, high in ranges:
        assert len(list(port_masks(low, high))) == fewest(low, high)


def test_full_range_is_one_mask_and_an_empty_one_is_none() -> None:
    assert list(port_masks(0, MAX_PORT)) == [(0, 0)]
    assert list(port_masks(5, 4)) == []


def service(
    protocol: int, low: int | None, high: int | None, family: Ethertype = Ethertype.IPV4
) -> list[Match]:
    rule = Rule("r", 16, "g", Direction.INGRESS, family, protocol, low, high)
    return list(service_matches(rule))


@pytest.mark.parametrize("protocol", [6, 17])
def test_ports_are_matched_in_the_header_and_in_the_connection(protocol: int) -> None:
    fields = [{term.field for term in match} for match in service(protocol, 22, 22)]
    of_header = {6: f.TCP_DST, 17: f.UDP_DST}[protocol]
    assert sum(of_header in each for each in fields) == 1
    assert sum(f.CT_TP_DST in each for each in fields) == 1
    assert sum(f.IP_FRAG in each for each in fields) == 2


def test_sctp_ports_are_matched_in_the_header_only() -> None:
    """The connection tracker does not record them: in a reply, the port is the source port."""
    matches = service(132, 22, 22)
    assert not any(term.field is f.CT_TP_DST for match in matches for term in match)
    by_reply = {
        str(term): {each.field for each in match} & {f.SCTP_SRC, f.SCTP_DST}
        for match in matches
        for term in match
        if term.field is f.CT_STATE and f.IP_FRAG not in {each.field for each in match}
    }
    assert by_reply == {
        "ct_state=-new-rel-rpl-inv+trk": {f.SCTP_DST},
        "ct_state=-new-rel+rpl-inv+trk": {f.SCTP_SRC},
    }


def test_ports_that_open_vswitch_cannot_see_admit_nothing() -> None:
    """Neither a crash nor a broader permit."""
    for protocol in (33, 136):
        assert service(protocol, 22, 22) == []
        assert service(protocol, None, None) != []


@pytest.mark.parametrize(("family", "protocol"), [(Ethertype.IPV4, 1), (Ethertype.IPV6, 58)])
def test_icmp_code_is_matched_only_if_the_rule_has_one(family: Ethertype, protocol: int) -> None:
    codes = {f.ICMPV4_CODE, f.ICMPV6_CODE}
    with_code, without = service(protocol, 8, 0, family), service(protocol, 8, None, family)
    assert any(term.field in codes for match in with_code for term in match)
    assert not any(term.field in codes for match in without for term in match)
