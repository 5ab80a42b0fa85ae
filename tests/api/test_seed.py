"""The commands of a provider's page as printed there, with this repository's clouds.yaml, and packets."""

from __future__ import annotations

import subprocess

import pytest

from lab import site as lab_site
from lab.netns import Workload
from lab.site import Site, connects
from tests.api.client import ROOT, client_environment, rows, table

pytestmark = pytest.mark.switch

CREATE = "openstack security group create taylor"
ALLOW_SSH = (
    "openstack security group rule create --ingress --protocol tcp --dst-port 22 --ethertype IPv4 taylor"
)
LIST = "openstack security group rule list taylor "
ADD = "openstack server add security group infomaniak-vm-1 taylor"
SHOW = "openstack server show infomaniak-vm-1"


def run(command: str) -> str:
    environment = client_environment(OS_CLOUD="sgctl", OS_CLIENT_CONFIG_FILE=str(ROOT / "clouds.yaml"))
    done = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def make_port(name: str, number: int, options: str) -> str:
    made = run(
        f"openstack port create --network blue --fixed-ip ip-address=10.0.0.{number}"
        f" --mac-address {lab_site.mac(number)} {options} -f value -c id {name}"
    )
    return made.strip()


def plug(site: Site, number: int, port: str) -> Workload:
    """As Nova does it: the interface names the port by its id."""
    workload = site.plug("br0", number)
    site.ovs.vsctl("set", "Interface", f"w{number}", f"external_ids:iface-id={port}")
    return workload


@pytest.fixture
def machines(site: Site) -> tuple[Workload, Workload]:
    """The page's server, in the default group, and a host that is not in that group."""
    run("openstack network create blue")
    run("openstack subnet create --network blue --subnet-range 10.0.0.0/24 blue-v4")
    run("openstack security group create outside")
    server = plug(site, 2, make_port("eth0", 2, "--device infomaniak-vm-1"))
    client = plug(site, 3, make_port("outsider", 3, "--security-group outside"))
    site.sgctl.wait()
    return client, server


def test_the_page_from_top_to_bottom(site: Site, machines: tuple[Workload, Workload]) -> None:
    group = table(run(CREATE))
    rule = table(run(ALLOW_SSH))
    check_group(group)
    check_rule(group, rule)
    check_list(rows(run(LIST)), rule["id"])

    assert reachable(site, machines) == []
    assert run(ADD) == ""
    assert reachable(site, machines) == [22]
    check_server(table(run(SHOW)))

    run("openstack server remove security group infomaniak-vm-1 taylor")
    assert reachable(site, machines) == []


def reachable(site: Site, machines: tuple[Workload, Workload]) -> list[int]:
    """The ports of the server that the other host reaches, once the switch has the policy."""
    site.sgctl.wait()
    client, server = machines
    return [port for port in (22, 23) if connects(client, server, "10.0.0.2", port)]


def check_group(group: dict[str, str]) -> None:
    assert group["name"] == group["description"] == "taylor"
    assert group["stateful"] == "True"
    assert group["tags"] == "[]"
    assert group["created_at"].endswith("Z")
    rules = group["rules"].split("\n")
    assert len(rules) == 2
    for line, ethertype in zip(rules, ("IPv4", "IPv6"), strict=True):
        assert "direction='egress'" in line
        assert f"ethertype='{ethertype}'" in line


def check_rule(group: dict[str, str], rule: dict[str, str]) -> None:
    shown = {"direction": "ingress", "ether_type": "IPv4", "protocol": "tcp", "remote_ip_prefix": "0.0.0.0/0"}
    shown |= {"port_range_min": "22", "port_range_max": "22", "remote_group_id": "None", "description": ""}
    shown |= {"security_group_id": group["id"], "revision_number": "0"}
    assert shown.items() <= rule.items()


def check_list(listed: list[list[str]], rule_id: str) -> None:
    head, *body = listed
    assert ", ".join(head[:7]) == (
        "ID, IP Protocol, Ethertype, IP Range, Port Range, Direction, Remote Security Group"
    )
    assert [row[1:7] for row in body] == [
        ["None", "IPv4", "0.0.0.0/0", "", "egress", "None"],
        ["None", "IPv6", "::/0", "", "egress", "None"],
        ["tcp", "IPv4", "0.0.0.0/0", "22:22", "ingress", "None"],
    ]
    assert body[2][0] == rule_id


def check_server(server: dict[str, str]) -> None:
    assert server["name"] == server["id"] == "infomaniak-vm-1"
    assert server["addresses"] == "blue=10.0.0.2"
    assert server["security_groups"] == "name='default'\nname='taylor'"
    assert server["status"] == "ACTIVE"
