"""Every attack of the table on a complete installation: the honest frame arrives, the attack does not."""

from __future__ import annotations

from collections import Counter

import pytest

from flows.openflow.reasons import Reason
from lab.attack import EVERYBODY, Attack, Send
from lab.attack_bench import AttackBench
from lab.datapath import DATAPATH
from tests.attacks.table import ATTACKS

pytestmark = pytest.mark.switch


def _identifier(attack: Attack) -> str:
    return f"{attack.family}: {attack.name}"


@pytest.mark.parametrize("attack", ATTACKS, ids=_identifier)
def test_attack(bench: AttackBench, attack: Attack) -> None:
    """Cold: the datapath has only the flows of the frames sent `before`."""
    bench.forget_connections()
    assert not bench.achieve(attack.control), "the control"
    bench.forget_connections()
    assert not bench.achieve(attack.before), "the frames before the attack"
    drops = bench.drops()
    _attack(bench, attack, drops)
    for send in attack.after:
        assert not bench.achieve([send]), "the frames after the attack"
        assert not bench.strays(send, set(EVERYBODY) - set(send.to))


@pytest.mark.parametrize("attack", ATTACKS, ids=_identifier)
def test_attack_with_a_warm_datapath(bench: AttackBench, attack: Attack) -> None:
    """Warm: the datapath still holds the flows of the control, which was sent twice."""
    bench.forget_connections()
    drops = bench.drops()
    for _ in range(2):
        assert not bench.achieve(attack.control), "the control"
    bench.forget_connections()
    assert not bench.achieve(attack.before), "the frames before the attack"
    _attack(bench, attack, drops)


def _attack(bench: AttackBench, attack: Attack, drops: Counter[Reason]) -> None:
    """The attack reaches no host, and the switch counts more drops than `drops`, the counts before it."""
    reason, passes = attack.fate(DATAPATH)
    assert not bench.strays(Send(attack.sender, attack.frames), attack.spared, passes)
    dropped = bench.drops() - drops
    if reason is not None:
        assert dropped[reason] >= len(attack.frames), dropped
