"""Networks of members are on no uplink, and take no uplink away from the networks of admins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.controller import Controller
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.policy_cli import PolicyCli
from lab.workloads import Workloads
from tests.api.client import Client

pytestmark = pytest.mark.switch

ADMIN, MEMBER, OTHER = "admin-token-0123456789", "member-token-0123456789", "other-token-0123456789"
TOKENS = f"""
- {{token: {ADMIN}, project: ops, role: admin}}
- {{token: {MEMBER}, project: red, role: member}}
- {{token: {OTHER}, project: blue, role: member}}
"""
HOST_MAC = "02:00:00:00:00:fe"


@pytest.fixture
def controller(ovs: PrivateOvs, tmp_path: Path) -> Iterator[Controller]:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    with Controller(ovs.remote, options=[f"--sgctl-api-tokens={tokens}"]) as running:
        ovs.add_bridge("br0", "fail_mode=secure")
        ovs.vsctl("set-controller", "br0", running.target)
        yield running


def make(controller: Controller, token: str, kind: str, **body: Any) -> dict[str, Any]:
    answer = Client(controller.wsapi_port, token)("POST", f"/v2.0/{kind}s", {kind: body})
    assert answer.status == 201, answer.document
    made: dict[str, Any] = answer.one
    return made


def plug_outside(ovs: PrivateOvs, workloads: Workloads, address: str, declared: str) -> None:
    workloads.by_name["lan0"] = Workload("lan0", HOST_MAC, [f"{address}/24"])
    ovs.add_port("br0", "lan0", f'external_ids:sgctl-uplink="{declared}"')


def pings(workload: Workload, address: str) -> bool:
    workload.forget_unanswered()
    return workload.succeeds("ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", address)


@pytest.mark.parametrize("declared", ["lan", "*"])
def test_a_members_network_does_not_displace_another_on_an_uplink(
    ovs: PrivateOvs, workloads: Workloads, controller: Controller, declared: str
) -> None:
    """The member makes a network with the shared network's name, and another that is untagged like it."""
    shared = make(controller, ADMIN, "network", name="lan", project_id="")
    make(controller, ADMIN, "subnet", network_id=shared["id"], cidr="10.9.0.0/24", ip_version=4)
    port = make(controller, MEMBER, "port", network_id=shared["id"], name="victim")
    address = port["fixed_ips"][0]["ip_address"]
    victim = workloads.by_name["victim"] = Workload("victim", port["mac_address"], [f"{address}/24"])
    ovs.add_port("br0", "victim", f"external_ids:iface-id={port['id']}")
    plug_outside(ovs, workloads, "10.9.0.254", declared)
    sgctl = PolicyCli(controller.environment)
    sgctl.wait()
    assert pings(victim, "10.9.0.254")
    for name in ("lan", "harmless"):
        make(controller, OTHER, "network", name=name)
        sgctl.wait()
        assert pings(victim, "10.9.0.254")
        assert "no problems" in sgctl("status")
    make(controller, ADMIN, "network", name="lan", project_id="")  # too late to take the uplink
    sgctl("wait")
    assert pings(victim, "10.9.0.254")


def test_a_members_network_is_not_on_the_native_vlan(
    ovs: PrivateOvs, workloads: Workloads, controller: Controller
) -> None:
    tag = {"provider:network_type": "vlan", "provider:segmentation_id": 10}
    make(controller, ADMIN, "network", name="prov10", project_id="", **tag)
    plug_outside(ovs, workloads, "192.168.1.1", "*")
    mine = make(controller, MEMBER, "network", name="mine")
    make(controller, MEMBER, "subnet", network_id=mine["id"], cidr="192.168.1.0/24", ip_version=4)
    port = make(
        controller,
        MEMBER,
        "port",
        network_id=mine["id"],
        port_security_enabled=False,
        mac_address="02:00:00:00:00:66",
        fixed_ips=[{"ip_address": "192.168.1.66"}],
    )
    machine = workloads.by_name["evil"] = Workload("evil", "02:00:00:00:00:66", ["192.168.1.66/24"])
    ovs.add_port("br0", "evil", f"external_ids:iface-id={port['id']}")
    sgctl = PolicyCli(controller.environment)
    sgctl.wait()
    assert not pings(machine, "192.168.1.1")
    ovs.vsctl("set", "interface", "lan0", 'external_ids:sgctl-uplink="mine"')
    sgctl.wait()
    assert not pings(machine, "192.168.1.1")
    sgctl("uplink", "set", "lan0", "--network", mine["id"], "--wait")  # an admin allows it
    assert pings(machine, "192.168.1.1")
