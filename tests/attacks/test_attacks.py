"""Every attack of the table against the whole product: the honest frame arrives, the attack does not."""

from __future__ import annotations

import pytest

from lab.attack import EVERYBODY, Attack, Send
from lab.attack_bench import AttackBench
from tests.attacks.table import ATTACKS

pytestmark = pytest.mark.switch


def _identifier(attack: Attack) -> str:
    return f"{attack.family}: {attack.name}"


@pytest.mark.parametrize("attack", ATTACKS, ids=_identifier)
def test_attack(bench: AttackBench, attack: Attack) -> None:
    bench.forget()
    bench.forget_connections()
    assert not bench.achieve(attack.control), "the control"
    bench.forget_connections()
    bench.forget()
    assert not bench.achieve(attack.before), "what comes before"
    drops = bench.drops()
    assert not bench.strays(Send(attack.sender, attack.frames), attack.spared)
    dropped = bench.drops() - drops
    if attack.reason is not None:
        assert dropped[attack.reason] >= len(attack.frames), dropped
    for send in attack.after:
        assert not bench.achieve([send]), "what comes after"
        assert not bench.strays(send, set(EVERYBODY) - set(send.to))
