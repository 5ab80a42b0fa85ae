"""The flows that compare the target of neighbour discovery, against arithmetic on addresses."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from flows.compiler.link_messages import NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, icmpv6
from flows.compiler.nd_targets import MOST_TARGETS, advertised_flow, solicited_flows, target_flows
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Resubmit, SetField
from flows.openflow.fields import Field
from flows.openflow.flow import Flow
from flows.policy.objects import Prefix

ZONE, IN_PORT = r.ZONE(10), f.IN_PORT(1)
COMPARED = (
    "2001:db8::2",
    "2001:db8::1:2",
    "fe80::ff:fe00:2",
    "fd00::1",
    "2001:db8::1:0/112",
    "2000::/3",
    "c000::/2",
)
KINDS = (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT)


def flows_for(*prefixes: Prefix) -> list[Flow]:
    """The flows that compare a target with these."""
    return [*target_flows(), *solicited_flows(ZONE, prefixes)]


def result(flows: list[Flow], kind: int, prefix: Prefix, target: int) -> int:
    """What the comparison of a target with an address or range writes into MEMBER."""
    packet: dict[Field, int] = {term.field: term.value for term in icmpv6(kind)}
    packet |= {f.ND_TARGET: target, r.LOCAL: prefix.value >> 64, r.PREFIX: prefix.value & (1 << 64) - 1}
    packet[r.VERDICT] = 0 if prefix.is_host else prefix.length
    matching = [flow for flow in flows if flow.key.table == p.SAME_TARGET.id and _matches(flow, packet)]
    ranked = sorted(matching, key=lambda flow: -flow.key.priority)
    best = [flow for flow in ranked if flow.key.priority == ranked[0].key.priority]
    assert len({flow.actions for flow in best}) == 1, "no ambiguity"
    written = [action.value for action in best[0].actions if isinstance(action, SetField)]
    return written[0] if written else 0


def _matches(flow: Flow, packet: dict[Field, int]) -> bool:
    return all(
        (packet[term.field] ^ term.value) & (term.field.full if term.mask is None else term.mask) == 0
        for term in flow.key.match
    )


def targets(prefix: Prefix) -> Iterator[int]:
    """The address itself, each that differs in one bit, and others that begin like it."""
    chance = Random(str(prefix))
    yield prefix.value
    for bit in range(128):
        yield prefix.value ^ 1 << bit
        yield prefix.value ^ chance.randrange(1 << bit, 2 << bit)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", COMPARED)
def test_a_target_is_the_same_if_no_bit_of_the_prefix_differs(text: str, kind: int) -> None:
    prefix = Prefix.parse(text)
    flows = flows_for(prefix)
    for target in targets(prefix):
        same = prefix.covers(Prefix(6, target, 128))
        found = r.KNOWN_TARGET if prefix.is_host else r.TARGET_IN_RANGE
        assert result(flows, kind, prefix, target) == (found if same else 0), hex(target)


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_of_zero_is_empty(kind: int) -> None:
    zero, flows = Prefix(6, 0, 128), flows_for()
    assert result(flows, kind, zero, 0) == r.EMPTY_TARGET
    assert not any(result(flows, kind, zero, 1 << bit) for bit in range(128))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["4000::1", "8000::1", "4000::/2", "8000::/16", "::/1", "8000::/1"])
def test_no_target_is_missed_for_addresses_that_are_not_in_use(text: str, kind: int) -> None:
    """Too many count as the same: then the whole target is looked up."""
    prefix = Prefix.parse(text)
    flows = flows_for(prefix)
    for target in targets(prefix):
        if prefix.covers(Prefix(6, target, 128)):
            assert result(flows, kind, prefix, target)


def test_masks_are_readable_for_ovs_ofctl() -> None:
    """It takes a mask that begins with a digit for a prefix length."""
    for flow in target_flows():
        for term in flow.key.match:
            if term.field is f.ND_TARGET:
                mask = str(term).partition("/")[2]
                assert mask.isdecimal() or not mask[0].isdecimal(), str(term)


def test_addresses_of_one_group_are_compared_one_after_the_other() -> None:
    prefixes = list(map(Prefix.parse, ("2001:db8::2", "fe80::ff:fe00:2", "2001:db8::3", "10.0.0.2", "::/0")))
    made = list(solicited_flows(ZONE, prefixes))
    compared = [[each.table for each in flow.actions if isinstance(each, Resubmit)] for flow in made]
    assert compared == [[p.SAME_TARGET.id] * 2, [p.SAME_TARGET.id]]


def test_more_addresses_than_are_compared_are_looked_up() -> None:
    addresses = [Prefix(6, 0x2001 << 112 | number, 128) for number in range(MOST_TARGETS + 1)]
    known = SetField(r.MEMBER, r.KNOWN_TARGET)
    assert known not in advertised_flow(IN_PORT, addresses[1:]).actions
    assert known in advertised_flow(IN_PORT, addresses).actions


def test_a_group_ends_with_the_last_24_bits_of_its_addresses() -> None:
    (flow,) = solicited_flows(ZONE, [Prefix.parse("2001:db8::1234:5678")])
    assert f.IPV6_DST(Prefix.parse("ff02::1:ff34:5678").value) in flow.key.match


def test_single_addresses_are_compared_after_ranges() -> None:
    """A range may belong to another MAC of the port than a single address in it."""
    flow = advertised_flow(IN_PORT, list(map(Prefix.parse, ("2001:db8::2", "2001:db8::/64"))))
    lengths = [each.value for each in flow.actions if isinstance(each, SetField) and each.field is r.VERDICT]
    assert lengths == [64, 0, 0], "the last is zero, for messages that could not be parsed"
