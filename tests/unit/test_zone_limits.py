"""How the connection tracker's capacity is divided among networks."""

from __future__ import annotations

import pytest

from sgctl.switch.zone_limits import LEAST_SHARE, ZoneLimits, share

SIZE = 3_000_000


@pytest.mark.parametrize("networks", range(2, LEAST_SHARE))
def test_all_networks_together_leave_free_capacity(networks: int) -> None:
    assert networks * share(SIZE, networks) < SIZE


def test_each_of_many_networks_gets_the_minimum_share() -> None:
    assert share(SIZE, 1000) == share(SIZE, LEAST_SHARE) == SIZE // LEAST_SHARE


def test_a_limit_that_nobody_asked_for_is_no_problem_of_a_bridge() -> None:
    """A switch database elsewhere has no control socket here."""
    limits = ZoneLimits("tcp:127.0.0.1:1", connections=10)
    limits.apply({("netdev@ovs-netdev", 1): None, ("netdev@ovs-netdev", 2): 5})
    assert limits.problems.keys() == {("netdev@ovs-netdev", 2)}
    limits.apply({("netdev@ovs-netdev", 1): None})
    assert not limits.problems
