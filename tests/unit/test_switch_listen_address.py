"""Which controller targets point to this controller."""

from __future__ import annotations

import pytest

from sgctl.switch.listen_address import ListenAddress

LOCAL = ListenAddress("tcp", "127.0.0.1", 6653)
EVERYWHERE = ListenAddress("tcp", "0.0.0.0", 6653)
SIXES = ListenAddress("ssl", "::1", 7000)


@pytest.mark.parametrize(
    ("address", "target"),
    [
        (LOCAL, "tcp:127.0.0.1:6653"),
        (LOCAL, "tcp:127.0.0.1"),
        (EVERYWHERE, "tcp:127.0.0.1:6653"),
        (EVERYWHERE, "tcp:127.0.0.9"),
        (ListenAddress("tcp", "::", 6653), "tcp:[::1]:6653"),
        (SIXES, "ssl:[::1]:7000"),
        (SIXES, "ssl:[0:0::1]:7000"),
    ],
)
def test_targets_of_this_controller(address: ListenAddress, target: str) -> None:
    assert address.matches_target(target)


@pytest.mark.parametrize(
    ("address", "target"),
    [
        (LOCAL, "tcp:127.0.0.1:6654"),
        (LOCAL, "tcp:127.0.0.2:6653"),
        (LOCAL, "ssl:127.0.0.1:6653"),
        (LOCAL, "ptcp:6653:127.0.0.1"),
        (LOCAL, "punix:/run/br0.sock"),
        (LOCAL, "unix:/run/6653"),
        (LOCAL, "tcp:localhost:6653"),
        (LOCAL, "tcp:127.0.0.1:many"),
        (LOCAL, "tcp:[::1]:6653"),
        (LOCAL, "tcp:"),
        (LOCAL, ""),
        (EVERYWHERE, "tcp:192.0.2.77:6653"),
        (SIXES, "ssl:[::1]"),
        (ListenAddress("tcp", "controller.example", 6653), "tcp:127.0.0.1:6653"),
    ],
)
def test_targets_of_other_controllers_or_uncertain_ones(address: ListenAddress, target: str) -> None:
    assert not address.matches_target(target)
