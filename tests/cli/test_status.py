from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from sgctl.store import BindingState, BindingStatus, Store, SwitchStatus
from sgctl.store.server import PolicyServer
from tests.cli.conftest import Cli, Enforcer

NETWORK = "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: blue}\nspec: {subnets: [10.0.0.0/24]}\n"
PORT = "---\napiVersion: sgctl/v1\nkind: Port\nmetadata: {name: p}\nspec: {network: blue}\n"


def _switch(generation: int, connected: bool = True, error: str = "") -> SwitchStatus:
    return SwitchStatus("host", "br0", "0000000000000001", connected, generation, 7, error)


def test_all_is_well(cli: Cli, enforce: Callable[..., Enforcer]) -> None:
    cli("apply", "-f", "-", stdin=NETWORK)
    enforce(switches=[_switch(1)], bindings=[BindingStatus("host/br0", "eth0", 1, BindingState.UPLINK)])
    shown = (
        "policy: generation 1: 1 network, 0 address groups, 0 security groups, 0 rules, 0 ports\n"
        "\n"
        "NAME      DPID              CONNECTED  CURRENT  FLOWS  ERROR\n"
        "host/br0  0000000000000001  yes        yes      7\n"
        "\n"
        "interfaces: 1 uplink\n"
        "no problems\n"
    )
    assert cli("status") == (0, shown, "")


def test_everything_that_is_wrong_is_listed(
    cli: Cli, enforce: Callable[..., Enforcer], server: PolicyServer
) -> None:
    cli("apply", "-f", "-", stdin=NETWORK + PORT)
    row = {"op": "update", "table": "Port", "where": [], "row": {"mac": "nonsense"}}
    transaction = json.dumps(["sgctl", row])
    subprocess.run(["ovsdb-client", "transact", server.remote, transaction], check=True, capture_output=True)
    quarantined = BindingStatus("host/br0", "tap2", 2, BindingState.QUARANTINED, "", "no port\x1b[2J")
    off = SwitchStatus("host", "br1", "0000000000000002", connected=False)
    enforce(switches=[_switch(0, error="table full"), off], bindings=[quarantined])
    result = cli("status")
    assert result.code == 1
    problems = [
        line.removeprefix("problem: ") for line in result.out.splitlines() if line.startswith("problem")
    ]
    assert problems[:4] == [
        "switch host/br0 has not applied the policy yet",
        "switch host/br0: table full",
        "switch host/br1 is not connected",
        "interface tap2 of switch host/br0 is quarantined: no port\\x1b[2J",
    ]
    assert len(problems) == 5
    assert problems[4].startswith("database row ")
    assert json.loads(cli("status", "-o", "json").out)["problems"][1] == "switch host/br0: table full"
    assert yaml.safe_load(cli("status", "-o", "yaml").out)["switches"][0]["connected"] is True


def test_ports_without_an_interface_are_shown_but_are_no_problem(
    cli: Cli, enforce: Callable[..., Enforcer]
) -> None:
    cli("apply", "-f", "-", stdin=NETWORK + PORT)
    enforce(switches=[_switch(1)])
    result = cli("status")
    assert result.code == 0
    assert "ports without an interface: p\n" in result.out


@pytest.mark.parametrize("command", ["status", "wait"])
def test_a_missing_switch_is_reported(cli: Cli, command: str) -> None:
    result = cli(command, *(["--timeout", "0.1"] if command == "wait" else []))
    assert result.code == 1
    assert "no switch is connected" in result.out + result.err


def test_wait_waits_for_every_connected_switch(cli: Cli, enforce: Callable[..., Enforcer]) -> None:
    enforcer = enforce()
    cli("apply", "-f", "-", stdin=NETWORK)
    assert cli("wait", "--timeout", "10") == (0, "", "")
    enforcer.close()
    late = enforce(switches=[_switch(2)])
    assert cli("wait", "--timeout", "0.1").errors == [
        "switch host/br0 has not applied the policy after 0.1 s"
    ]
    late.close()
    off = SwitchStatus("host", "br1", "0000000000000002", connected=False)
    stranger = enforce(switches=[_switch(99), off])
    assert cli("wait", "--timeout", "0.1").code == 0
    stranger.close()
    enforce(switches=[_switch(99), replace(off, error="does not speak OpenFlow 1.4")])
    assert cli("wait", "--timeout", "0.1").errors == ["switch host/br1: does not speak OpenFlow 1.4"]


def test_wait_covers_earlier_bindings(cli: Cli, fresh: Callable[[], Store], enforcer: Enforcer) -> None:
    """Bindings are not part of the policy, so the command waits for a new generation."""
    before = fresh().generation
    assert cli("wait", "--timeout", "10").code == 0
    assert fresh().generation == before + 1
