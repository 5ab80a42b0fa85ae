"""How many megaflows a workload makes by varying one field: each needs ovs-vswitchd and slows others down.

A megaflow matches all bits that the flows looked at, so drops must be decided by few bits.
"""

from __future__ import annotations

import pytest

from lab.attack_bench import AttackBench
from lab.varied import COMPARED_WHOLE, FIELDS, sender_of, varied

pytestmark = pytest.mark.switch

FRAMES, MOST = 300, 50


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_varies_makes_few_megaflows(bench: AttackBench, name: str) -> None:
    frames = varied(name, FRAMES)
    assert len(set(frames)) > MOST, "the frames differ"
    assert 0 < bench.megaflows(sender_of(name), frames) <= MOST


@pytest.mark.parametrize("name", COMPARED_WHOLE)
def test_a_field_that_is_compared_whole_makes_a_megaflow_for_each_value(
    bench: AttackBench, name: str
) -> None:
    """Also shows that megaflows are counted."""
    frames = varied(name, FRAMES)
    assert bench.megaflows(sender_of(name), frames) >= len(set(frames))
