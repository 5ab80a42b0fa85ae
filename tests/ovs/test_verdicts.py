"""The reference verdict compared with Open vSwitch, for random policies and random packets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flows.policy import validate
from flows.policy.objects import Network, PolicyObject
from flows.reference.verdict import Packet, judge
from lab.ovs import PrivateOvs
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.judging import disagreements, load, send
from tests.ovs.packets import PacketMaker
from tests.ovs.tally import TALLY
from tests.shrinking import Unshown, brief, plainer_object, shrink, with_one_plainer, without_one
from tests.unit.strategies import PORTS, policies

pytestmark = pytest.mark.switch

PAIRS = int(os.environ.get("PAIRS", "10000"))
PACKETS_PER_POLICY = 50


@pytest.fixture(scope="module")
def bridge(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "verdicts", wiring.INTERFACES) as made:
        yield made


@settings(
    max_examples=max(1, PAIRS // PACKETS_PER_POLICY),
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    objects=policies().map(Unshown),
    unbound=st.frozensets(st.sampled_from(PORTS), max_size=2),
    seed=st.integers(0, 2**32),
)
def test_switch_agrees_with_the_reference(
    bridge: BareBridge, objects: Unshown[list[PolicyObject]], unbound: frozenset[str], seed: int
) -> None:
    text = load(bridge, objects.value, unbound=unbound)
    maker = PacketMaker(text, Random(seed))
    for packet in [maker.packet() for _ in range(PACKETS_PER_POLICY)]:
        TALLY.pairs += 1
        if disagreements(bridge, text, packet):
            TALLY.disagreements += 1
            pytest.fail(counterexample(bridge, objects.value, unbound, packet), pytrace=False)


def counterexample(
    bridge: BareBridge, objects: list[PolicyObject], unbound: frozenset[str], packet: Packet
) -> str:
    """The smallest policy found by which switch and reference still disagree on the packet."""

    def still_disagree(fewer: list[PolicyObject]) -> bool:
        try:
            return bool(disagreements(bridge, load(bridge, fewer, unbound=unbound), packet))
        except KeyError:  # the packet's port or network was taken away
            return False

    least = shrink(objects, _smaller, still_disagree)
    text = load(bridge, least, unbound=unbound)
    verdict, trace = judge(text, packet), send(bridge, text, packet)
    policy = "\n".join(map(brief, least))
    differences = "; ".join(disagreements(bridge, text, packet))
    return f"{differences}\n{brief(packet)}\n{brief(verdict)}\n{policy}\n{trace.text}"


def _smaller(objects: list[PolicyObject]) -> Iterator[list[PolicyObject]]:
    networks = [each for each in objects if isinstance(each, Network)]
    others = [each for each in objects if not isinstance(each, Network)]
    yield from (networks + fewer for fewer in without_one(others))
    for plainer in with_one_plainer(objects, plainer_object):
        if not any(map(validate.check, plainer)):
            yield plainer
