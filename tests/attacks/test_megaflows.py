"""How many megaflows a workload makes that varies one field: each needs ovs-vswitchd, and slows others down.

A megaflow of Open vSwitch holds all bits that were looked at, so what is dropped has to be found out by few.
"""

from __future__ import annotations

import pytest

from lab.attack import ATTACKER
from lab.attack_bench import AttackBench
from lab.varied import FIELDS, to_unknown_macs, varied

pytestmark = pytest.mark.switch

FRAMES, MOST = 300, 50


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_varies_makes_few_megaflows(bench: AttackBench, name: str) -> None:
    frames = varied(name, FRAMES)
    assert len(set(frames)) > MOST, "they differ"
    assert bench.megaflows(ATTACKER, frames) <= MOST


def test_megaflows_are_counted(bench: AttackBench) -> None:
    assert bench.megaflows(ATTACKER, to_unknown_macs(FRAMES)) > FRAMES / 2
