"""Neutron's Open vSwitch firewall as its agent runs it; executed by the Python of .venv-neutron.

Reads one JSON object from standard input (see `bench.neutron`) and writes one with the seconds taken.
The Neutron server's answers are prepared, so only the work of the agent and of the switch is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from neutron.agent import securitygroups_rpc
from neutron.agent.common import ovs_lib
from neutron.conf.agent import common as agent_options
from neutron.conf.agent import securitygroups_rpc as group_options
from neutron.conf.plugins.ml2.drivers import ovs_conf
from neutron.plugins.ml2.drivers.openvswitch.agent.openflow.br_cookie import OVSBridgeCookieMixin
from neutron.privileged import default as privileged
from neutron_lib import context
from oslo_config import cfg

Device = dict[str, Any]


class DriverBridge(OVSBridgeCookieMixin, ovs_lib.OVSBridge):  # type: ignore[misc]  # published without types
    """The agent's bridge. Of its native OpenFlow half only `dump_flows` is needed, for an empty bridge."""

    def dump_flows(self, *_: Any) -> list[str]:
        """No flows yet."""
        return []


class DriverServer:
    """The part of the Neutron server that the agent queries."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.devices: dict[str, Device] = {device["device"]: device for device in task["devices"]}
        self.rules: dict[str, list[dict[str, Any]]] = task["rules"]
        self.members: dict[str, dict[str, list[tuple[str, str]]]] = {
            group: {family: [tuple(pair) for pair in pairs] for family, pairs in families.items()}
            for group, families in task["members"].items()
        }

    def security_group_info_for_devices(self, _context: Any, devices: list[str]) -> dict[str, Any]:
        """Devices, rules and members, as in the server's RPC answer."""
        return {
            "devices": {name: dict(self.devices[name]) for name in devices if name in self.devices},
            "security_groups": self.rules,
            "sg_member_ips": self.members,
        }


def main() -> None:
    """Run the task from standard input."""
    task = json.load(sys.stdin)
    _configure(task["ovsdb"])
    bridge = DriverBridge(task["bridge"])
    for device in task["devices"]:
        bridge.set_db_attribute("Port", device["device"], "other_config", {"tag": "1"})
    server = DriverServer(task)
    agent = securitygroups_rpc.SecurityGroupAgentRpc(
        context.get_admin_context(), server, integration_bridge=bridge
    )
    json.dump(_measure(task, server, agent), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # the agent's threads never end


def _configure(ovsdb: str) -> None:
    agent_options.register_root_helper(cfg.CONF)
    agent_options.register_agent_state_opts_helper(cfg.CONF)
    group_options.register_securitygroups_opts()
    ovs_conf.register_ovs_agent_opts()
    cfg.CONF([])
    cfg.CONF.set_override("root_helper", "env", "AGENT")
    privileged.set_client_mode(False)  # this process is root
    cfg.CONF.set_override("ovsdb_connection", ovsdb, "OVS")
    cfg.CONF.set_override("firewall_driver", "openvswitch", "SECURITYGROUP")


def _measure(task: dict[str, Any], server: DriverServer, agent: Any) -> dict[str, list[float]]:
    new_port, new_rule, new_member = task["new_port"], task["new_rule"], task["new_member"]
    present = [name for name in server.devices if name != new_port]
    result = {"program": [_seconds(agent.prepare_devices_filter, present)], "port_add": [], "port_remove": []}
    for _ in range(3):
        result["port_add"].append(_seconds(agent.prepare_devices_filter, [new_port]))
        result["port_remove"].append(_seconds(agent.remove_devices_filter, [new_port]))
    server.rules["sg"].append(new_rule)
    result["rule_add"] = [_seconds(agent.security_groups_rule_updated, ["sg"])]
    server.members["sg2"]["IPv4"].append(tuple(new_member))
    result["member_add"] = [_seconds(agent.security_groups_member_updated, ["sg2"])]
    return result


def _seconds(call: Callable[[list[str]], Any], names: list[str]) -> float:
    start = time.perf_counter()
    call(names)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
