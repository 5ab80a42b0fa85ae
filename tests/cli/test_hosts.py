"""Hosts whose controller is dead or does not answer: their last reports are not shown as current."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from sgctl.store import BindingState, BindingStatus, Store, SwitchStatus
from sgctl.store.server import PolicyServer
from tests.cli.conftest import Cli, Enforcer

Enforce = Callable[..., Enforcer]

NETWORK = "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: blue}\nspec: {subnets: [10.0.0.0/24]}\n"
UPLINK = BindingStatus("far/br0", "eth0", 1, BindingState.UPLINK)
DEAD = "host far: no controller runs there"
HUNG = "host far: its controller does not answer"
STORED = "; the policy is stored, and not enforced there"


class Sleeper:
    """A controller that hangs: it holds its lock and no longer answers."""

    def __init__(self, remote: str) -> None:
        self.store = Store.connect(remote)
        self.store.compete("far")
        while not self.store.has_lock:
            self.store.block(0.1)
            self.store.run()


@pytest.fixture
def near(enforce: Enforce) -> Enforcer:
    """A host without problems."""
    return enforce()


@pytest.fixture
def dead(enforce: Enforce, near: Enforcer) -> None:
    """Another host, whose controller died after it reported no problem."""
    far = enforce("far", bindings=[UPLINK])
    far.close()


@pytest.fixture
def hung(dead: None, server: PolicyServer) -> Iterator[None]:
    """Another host, whose controller hangs."""
    sleeper = Sleeper(server.remote)
    yield
    sleeper.store.close()


@pytest.mark.usefixtures("dead")
def test_reports_of_a_dead_controller_are_shown_as_unknown(cli: Cli) -> None:
    result = cli("status")
    assert result.code == 1
    assert f"problem: {DEAD}\n" in result.out
    assert "far/br0   0000000000000000  unknown    unknown  0\n" in result.out
    assert "host/br0  0000000000000000  yes        yes      0\n" in result.out
    assert "interfaces: 1 unknown\n" in result.out
    report = json.loads(cli("status", "-o", "json").out)
    assert report["hosts"] == [
        {"name": "far", "controller": "no controller runs there", "switches": ["br0"]},
        {"name": "host", "controller": "at work", "switches": ["br0"]},
    ]
    assert [(each["connected"], each["current"]) for each in report["switches"]] == [
        (None, None),
        (True, True),
    ]
    assert report["problems"] == [DEAD]
    assert [each["state"] for each in json.loads(cli("get", "bindings", "-o", "json").out)] == ["unknown"]
    assert "far   no controller runs there  br0\n" in cli("get", "hosts").out


def test_the_binding_of_a_port_is_shown_as_unknown_too(cli: Cli, enforce: Enforce) -> None:
    port = "{kind: Port, apiVersion: sgctl/v1, metadata: {name: w1}, spec: {network: blue}}"
    enforce()
    assert cli("apply", "-f", "-", stdin=f"{NETWORK}---\n{port}\n").code == 0
    (identifier,) = (each["id"] for each in json.loads(cli("get", "ports", "-o", "json").out))
    far = enforce("far", bindings=[BindingStatus("far/br0", "tap1", 1, BindingState.BOUND, identifier)])
    for suffix in ("", " (unknown)"):
        for command in (["get", "port", "w1"], ["port", "show", "w1"], ["describe", "port", "w1"]):
            shown = cli(*command, "-o", "json").out
            assert json.loads(shown)["bound_to"] == [f"far/br0:tap1{suffix}"]
        far.close()


@pytest.mark.parametrize(("fixture", "told"), [("dead", DEAD), ("hung", HUNG)])
def test_a_command_reports_a_dead_controller_within_a_second(
    cli: Cli, request: pytest.FixtureRequest, fixture: str, told: str
) -> None:
    request.getfixturevalue(fixture)
    for command in (["apply", "-f", "-"], ["wait"], ["apply", "-f", "-", "--wait"]):
        begin = time.monotonic()
        result = cli(*command, stdin=NETWORK)
        assert (result.code, result.errors) == (1, [told + STORED])
        assert time.monotonic() - begin < 5, "it waited for the switches, not for the controller"
    assert json.loads(cli("status", "-o", "json").out)["problems"] == [told]
    assert cli("get", "networks", "-o", "name").out == "network/blue\n", "the policy is stored nevertheless"


@pytest.mark.usefixtures("dead")
def test_a_controller_that_comes_back_is_waited_for(cli: Cli, enforce: Enforce) -> None:
    enforce("far")
    assert cli("wait", "--timeout", "10").code == 0
    assert cli("status").code == 0


@pytest.mark.usefixtures("dead")
def test_a_host_with_a_dead_controller_can_be_deleted(cli: Cli, fresh: Callable[[], Store]) -> None:
    assert cli("delete", "host", "far") == (0, "Host far deleted\n", "")
    assert fresh().hosts == {"host"}
    assert cli("status").code == 0
    assert cli("wait", "--timeout", "10").code == 0
    assert cli("delete", "host", "far").errors == ["there is no host 'far'"]
    assert cli("delete", "host", "far", "--ignore-missing").code == 0


@pytest.mark.usefixtures("hung")
def test_a_host_with_a_running_controller_cannot_be_deleted(cli: Cli, fresh: Callable[[], Store]) -> None:
    result = cli("delete", "host", "far", "host")
    assert (result.code, result.errors) == (
        1,
        [f"host {name}: a controller runs there; stop it first" for name in ("far", "host")],
    )
    assert fresh().hosts == {"far", "host"}
    assert cli("delete", "host/far", "network/blue").code == 2


def test_checking_liveness_leaves_no_lock(cli: Cli, enforce: Enforce, dead: None) -> None:
    for _ in range(3):
        assert cli("status").code == 1
    enforce("far")
    assert cli("status").code == 0


def test_a_switch_is_reported_once_its_controller_answers(cli: Cli, enforce: Enforce) -> None:
    enforce(switches=[SwitchStatus("host", "br0", "0" * 16, connected=False)])
    assert json.loads(cli("status", "-o", "json").out)["problems"] == ["switch host/br0 is not connected"]
