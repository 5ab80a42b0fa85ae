"""Commands that write the Open_vSwitch database, on a real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing

import pytest

from lab.ovs import PrivateOvs
from sgctl.vswitch.local_switches import LocalSwitches
from tests.cli.conftest import Cli, Enforcer

pytestmark = pytest.mark.switch

POLICY = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
---
apiVersion: sgctl/v1
kind: Network
metadata: {name: "red, white"}
spec: {segmentation_id: 7}
---
apiVersion: sgctl/v1
kind: Network
metadata: {name: green}
spec: {segmentation_id: 7}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: web1}
spec: {network: blue, iface_id: instance-7}
"""


@pytest.fixture
def host(
    cli: Cli, dummy_ovs: PrivateOvs, monkeypatch: pytest.MonkeyPatch, enforce: Callable[..., Enforcer]
) -> PrivateOvs:
    """A host with a controller, a bridge of two interfaces, and a policy."""
    with closing(LocalSwitches.connect(dummy_ovs.remote)) as local:
        enforce(local.chassis)
    monkeypatch.setenv("SGCTL_OVSDB", dummy_ovs.remote)
    dummy_ovs.add_bridge("br0")
    for name in ("tap1", "tap2"):
        dummy_ovs.add_port("br0", name, "type=dummy")
    assert cli("apply", "-f", "-", stdin=POLICY).code == 0
    return dummy_ovs


def _ids(host: PrivateOvs, interface: str) -> str:
    return host.vsctl("get", "Interface", interface, "external_ids").strip()


def test_a_port_is_bound_to_one_interface_and_unbound(cli: Cli, host: PrivateOvs) -> None:
    assert cli("port", "bind", "web1", "tap1") == (0, "port web1 is bound to interface tap1\n", "")
    assert _ids(host, "tap1") == "{iface-id=instance-7}"
    assert cli("port", "bind", "web1", "tap1").code == 0
    assert cli("port", "bind", "web1", "tap2").errors == [
        "port web1 is already bound to interface tap1; unbind it first"
    ]
    assert cli("port", "unbind", "web1").out == "interface tap1 is unbound\n"
    assert _ids(host, "tap1") == "{}"
    assert cli("port", "unbind", "web1").errors == ["web1 is not bound to an interface of this machine"]
    cli("port", "bind", "web1", "tap2")
    assert cli("port", "unbind", "tap2").out == "interface tap2 is unbound\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["port", "bind", "web9", "tap1"], "there is no port 'web9'"),
        (["port", "bind", "web1", "tap9"], "there is no interface tap9 in the switch database"),
        (["port", "unbind", "tap1"], "tap1 is not bound to an interface of this machine"),
        (["uplink", "set", "tap1", "--network", "black"], "there is no network 'black'"),
        (["uplink", "set", "tap9", "--network", "blue"], "there is no interface tap9 in the switch database"),
        (
            ["uplink", "set", "tap1", "--network", "green", "--network", "red, white"],
            "networks green and red, white cannot share an uplink: all have the segmentation_id 7",
        ),
        (
            ["uplink", "set", "tap1", "--all"],
            "networks green and red, white cannot share an uplink: all have the segmentation_id 7",
        ),
    ],
)
def test_a_refused_command_changes_nothing(
    cli: Cli, host: PrivateOvs, arguments: list[str], error: str
) -> None:
    result = cli(*arguments)
    assert (result.code, result.out, result.errors) == (1, "", [error])
    assert (_ids(host, "tap1"), _ids(host, "tap2")) == ("{}", "{}")


def test_uplinks(cli: Cli, host: PrivateOvs) -> None:
    assert cli("uplink", "set", "tap1", "--network", "blue", "--network", "green").out == (
        "interface tap1 is an uplink of blue, green\n"
    )
    ids = [json.loads(cli("get", "network", name, "-o", "json").out)["id"] for name in ("blue", "green")]
    pairs = f"blue={ids[0]},green={ids[1]}"
    assert _ids(host, "tap1") == f'{{sgctl-uplink="blue,green", sgctl-uplink-ids="{pairs}"}}'
    assert cli("uplink", "list").out == "INTERFACE  NETWORKS\ntap1       blue, green\n"
    assert json.loads(cli("uplink", "list", "-o", "json").out) == [
        {"interface": "tap1", "networks": ["blue", "green"], "network_ids": ids}
    ]
    cli("delete", "network", "green")
    assert cli("uplink", "set", "tap1", "--all").code == 0
    assert _ids(host, "tap1") == '{sgctl-uplink="*"}'
    assert cli("uplink", "unset", "tap1").code == 0
    assert cli("uplink", "list", "-o", "name") == (0, "", "")
    assert _ids(host, "tap1") == "{}"
    assert cli("uplink", "set", "tap1").code == 2
    assert cli("uplink", "set", "tap1", "--all", "--network", "blue").code == 2


def test_an_interface_is_an_uplink_or_bound_but_not_both(cli: Cli, host: PrivateOvs) -> None:
    cli("uplink", "set", "tap1", "--network", "blue")
    assert cli("port", "bind", "web1", "tap1").errors == ["interface tap1 is an uplink; unset that first"]
    cli("port", "bind", "web1", "tap2")
    assert cli("uplink", "set", "tap2", "--network", "blue").errors == [
        "interface tap2 is bound to a port; unbind it first"
    ]
    assert _ids(host, "tap1").startswith("{sgctl-uplink=blue, sgctl-uplink-ids=")
    assert _ids(host, "tap2") == "{iface-id=instance-7}"


def test_an_ambiguous_network_name_is_written_as_its_id(cli: Cli, host: PrivateOvs) -> None:
    assert cli("uplink", "set", "tap1", "--network", "red, white").code == 0
    identifier = cli("get", "network", "red, white", "-o", "json").out.split('"id": "')[1][:36]
    assert _ids(host, "tap1") == f'{{sgctl-uplink="{identifier}"}}'
