"""The API beside the command line, with a switch that connects and disconnects, and a dying database."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.controller import Controller
from lab.process import wait_until
from lab.site import Site, document, group
from tests.api.client import Client


@pytest.mark.switch
def test_status_of_a_port(site: Site) -> None:
    api = Client(9696)
    network = api.make("network", name="blue")
    port = api.make("port", network_id=network["id"])
    assert (port["status"], port["binding:vif_type"]) == ("DOWN", "unbound")
    site.plug("br0", 1)
    site.ovs.vsctl("set", "Interface", "w1", f"external_ids:iface-id={port['id']}")

    def shown() -> Any:
        return api.show("port", port["id"])

    wait_until(lambda: shown()["status"] == "ACTIVE", "the port is active")
    assert shown()["binding:vif_type"] == "ovs"
    assert shown()["binding:host_id"]
    api.make("security_group", name="anything")
    wait_until(lambda: shown()["status"] == "ACTIVE", "the port is active again after a change")
    api("PUT", f"/v2.0/ports/{port['id']}", {"port": {"admin_state_up": False}})
    assert shown()["status"] == "DOWN"
    api("PUT", f"/v2.0/ports/{port['id']}", {"port": {"admin_state_up": True}})
    site.unplug(1)
    wait_until(lambda: shown()["binding:vif_type"] == "unbound", "the port is unbound")
    assert shown()["status"] == "DOWN"


@pytest.mark.switch
def test_objects_made_by_the_command_line_are_shown_at_once(site: Site) -> None:
    api = Client(9696)
    site.apply(document("Network", "red", subnets=["10.0.0.0/24"]), group("by-manifest"))
    (network,) = api.list("networks", "name=red")
    (subnet,) = api.list("subnets", f"network_id={network['id']}")
    assert (subnet["cidr"], subnet["gateway_ip"], network["subnets"]) == (
        "10.0.0.0/24",
        "10.0.0.1",
        [subnet["id"]],
    )
    (made,) = api.list("security-groups", "name=by-manifest")
    api.make("security_group_rule", security_group_id=made["id"], direction="ingress", protocol="sctp")
    site.apply(group("by-manifest"))
    assert api.show("security_group", made["id"])["security_group_rules"] == []
    renamed = api("PUT", f"/v2.0/subnets/{subnet['id']}", {"subnet": {"name": "named"}})
    assert renamed.status == 200
    site.apply(document("Network", "red", subnets=["10.0.0.0/24", "10.0.1.0/24"]))
    names = {each["cidr"]: each["name"] for each in api.list("subnets", f"network_id={network['id']}")}
    assert names == {"10.0.0.0/24": "named", "10.0.1.0/24": ""}


def test_the_database_dies(alone: Controller) -> None:
    api = Client(alone.wsapi_port)
    made = api.make("security_group", name="before")
    (pidfile,) = Path(alone.directory).glob("*.pid")
    os.kill(int(pidfile.read_text()), signal.SIGKILL)
    assert api.show("security_group", made["id"]) == made
    after = api("POST", "/v2.0/security-groups", {"security_group": {"name": "after"}})
    assert after.status == 201
    names = {each["name"] for each in api.list("security-groups")}
    assert names == {"default", "before", "after"}


def test_many_writers_at_once(alone: Controller) -> None:
    """Each edit is applied to the result of earlier ones: none is lost, and no address is given twice."""
    api = Client(alone.wsapi_port)
    network = api.make("network", name="n")
    api.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    group_id = api.make("security_group", name="g")["id"]
    rule = {"security_group_id": group_id, "direction": "ingress", "protocol": "tcp"}

    def write(number: int) -> tuple[int, int]:
        ports = {"port_range_min": number % 10, "port_range_max": number % 10}
        made = api("POST", "/v2.0/ports", {"port": {"network_id": network["id"]}})
        ruled = api("POST", "/v2.0/security-group-rules", {"security_group_rule": {**rule, **ports}})
        return made.status, ruled.status

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(40)))
    assert [status for status, _ in answers] == [201] * 40
    assert sorted(status for _, status in answers) == [201] * 10 + [409] * 30
    ports = api.list("ports")
    assert len({port["fixed_ips"][0]["ip_address"] for port in ports}) == 40
    assert len({port["mac_address"] for port in ports}) == 40
    assert len(api.show("security_group", group_id)["security_group_rules"]) == 12
