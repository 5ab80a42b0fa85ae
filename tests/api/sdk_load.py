"""Creates 1,000 ports and 100 groups by openstacksdk, in .venv-openstack, and prints the result."""

from __future__ import annotations

import json
import sys
import time

import openstack  # type: ignore[import-not-found]  # not in this environment

PORTS, GROUPS, CHUNK = 1000, 100, 100


def main(url: str) -> None:
    """Create all objects in a separate network, list them, and delete them."""
    connection = openstack.connect(
        auth_type="none", network_endpoint_override=url, load_envvars=False, load_yaml_config=False
    )
    api = connection.network
    start = time.monotonic()
    network = api.create_network(name="sdk")
    api.create_subnet(network_id=network.id, ip_version=4, cidr="10.64.0.0/16", name="sdk")
    groups = [api.create_security_group(name=f"sdk{number}") for number in range(GROUPS)]
    api.create_security_group_rules(
        [
            {
                "security_group_id": group.id,
                "direction": "ingress",
                "ethertype": "IPv4",
                "protocol": "tcp",
                "port_range_min": 22,
                "port_range_max": 22,
                "remote_group_id": groups[number - 1].id,
            }
            for number, group in enumerate(groups)
        ]
    )
    for first in range(0, PORTS, CHUNK):
        api.create_ports(
            [
                {
                    "network_id": network.id,
                    "name": f"sdk{number}",
                    "security_groups": [groups[number % GROUPS].id],
                }
                for number in range(first, first + CHUNK)
            ]
        )
    made = time.monotonic() - start
    listed = list(api.ports(network_id=network.id, limit=300))
    one = api.find_port("sdk500")
    api.update_port(one, description="found")
    start = time.monotonic()
    for port in listed:
        api.delete_port(port)
    for group in groups:
        rules = api.security_group_rules(security_group_id=group.id, direction="ingress")
        for rule in rules:
            api.delete_security_group_rule(rule)
    for group in groups:
        api.delete_security_group(group)
    api.delete_network(network)
    report = {
        "ports": len({port.id for port in listed}),
        "addresses": len({port.fixed_ips[0]["ip_address"] for port in listed}),
        "macs": len({port.mac_address for port in listed}),
        "groups": len({group_id for port in listed for group_id in port.security_group_ids}),
        "revision": api.find_port("sdk500") is None,
        "seconds": [round(made, 1), round(time.monotonic() - start, 1)],
    }
    print(json.dumps(report))


main(sys.argv[1])
