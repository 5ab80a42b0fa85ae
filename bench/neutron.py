"""OpenStack Neutron's Open vSwitch firewall as a peer, in a separate virtual environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench.installation import add_interfaces
from bench.record import Record
from bench.workload import OPEN_PORTS, BenchWorkload, interface, local_port, remote_member
from flows.policy.objects import Port
from lab.ovs import PrivateOvs
from lab.process import LabError
from sgctl.store.server import allocator

_ROOT = Path(__file__).parent.parent
_PYTHON = _ROOT / ".venv-neutron/bin/python"
_BRIDGE = "br-int"
_NEW_PORT = 1_000_000
_SECONDS = 800


def measure(record: Record) -> None:
    """W(400, 1000): the agent's work after the server notifies it of a change."""
    workload = BenchWorkload(400, 1000)
    if not _PYTHON.exists():
        raise LabError("Neutron is not installed: make peers")
    with PrivateOvs(dummy=True, env=allocator()) as ovs:
        ovs.add_bridge(_BRIDGE, "fail_mode=secure")
        ports = [local_port(number) for number in [*range(1, workload.ports + 1), _NEW_PORT]]
        add_interfaces(ovs, [port.name for port in ports], _BRIDGE)
        for port in ports:
            ovs.vsctl("--no-wait", "set", "Interface", port.name, f'external_ids:attached-mac="{port.mac}"')
        took = _run(ovs, _task(ovs, workload, ports))
        record.put("flows_400", _flow_count(ovs), "neutron")
    record.median_s("program_400", took["program"], "neutron")
    for name in ("rule_add", "member_add", "port_add", "port_remove"):
        record.median_ms(f"{name}_400", took[name], "neutron")
    record.note(
        "Neutron's flows include the rule and the member that were added; its server is not part of it"
    )


def _run(ovs: PrivateOvs, task: dict[str, Any]) -> dict[str, list[float]]:
    """Run the driver. Option `-P`, because this folder has a module called like Neutron's."""
    done = subprocess.run(
        [str(_PYTHON), "-P", str(_ROOT / "bench/neutron_driver.py")],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env=ovs.env,
        check=False,
    )
    if done.returncode:
        raise LabError(f"Neutron's driver failed: {done.stderr.strip()[-1500:]}")
    result: dict[str, list[float]] = json.loads(done.stdout)
    return result


def _task(ovs: PrivateOvs, workload: BenchWorkload, ports: list[Port]) -> dict[str, Any]:
    """The input of `bench/neutron_driver.py`."""
    members = [remote_member(number) for number in range(1, workload.members + 2)]
    return {
        "ovsdb": ovs.remote,
        "bridge": _BRIDGE,
        "devices": [_device(port) for port in ports],
        "rules": {"sg": _rules(), "sg2": []},
        "members": {
            "sg": {"IPv4": [_pair(port) for port in ports], "IPv6": []},
            "sg2": {"IPv4": [_pair(port) for port in members[:-1]], "IPv6": []},
        },
        "new_port": interface(_NEW_PORT),
        "new_rule": _tcp(20000),
        "new_member": _pair(members[-1]),
    }


def _pair(port: Port) -> tuple[str, str]:
    return f"{port.fixed_ips[0]}/32", port.mac


def _device(port: Port) -> dict[str, Any]:
    return {
        "device": port.name,
        "id": port.id,
        "mac_address": port.mac,
        "fixed_ips": [str(port.fixed_ips[0])],
        "security_groups": ["sg"],
        "security_group_source_groups": ["sg", "sg2"],
        "security_group_rules": [],
        "allowed_address_pairs": [],
        "port_security_enabled": True,
        "network_id": port.network_id,
        "device_owner": "compute:nova",
    }


def _rules() -> list[dict[str, Any]]:
    egress = [{"direction": "egress", "ethertype": family} for family in ("IPv4", "IPv6")]
    own = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "remote_group_id": "sg"}
    return [*map(_tcp, OPEN_PORTS), own, {**_tcp(3306), "remote_group_id": "sg2"}, *egress]


def _tcp(port: int) -> dict[str, Any]:
    return {
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "port_range_min": port,
        "port_range_max": port,
    }


def _flow_count(ovs: PrivateOvs) -> int:
    return int(ovs.ofctl("dump-aggregate", _BRIDGE).rpartition("flow_count=")[2].split()[0])
