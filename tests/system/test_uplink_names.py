"""An uplink declared by the name of a network carries that network, also when networks are renamed."""

from __future__ import annotations

import json
import urllib.request

import pytest

from lab.netns import Workload
from lab.process import wait_until
from lab.site import ALL_OUT, NETWORK, Site, document, group
from lab.workloads import Workloads
from tests.system.honest import plug_router

pytestmark = pytest.mark.switch

ROUTER = "10.0.0.254"


def declared(site: Site, key: str) -> str:
    command = ["--if-exists", "get", "Interface", "router", f"external_ids:{key}"]
    return site.ovs.vsctl(*command).strip().strip('"')


def network_id(site: Site, name: str) -> str:
    return str(json.loads(site.sgctl("get", "network", name, "-o", "json"))["id"])


def rename_by_api(site: Site, identifier: str, name: str) -> None:
    url = f"http://127.0.0.1:{site.controller.wsapi_port}/v2.0/networks/{identifier}"
    body = json.dumps({"network": {"name": name}}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PUT"), timeout=10).close()


def reaches(workload: Workload) -> bool:
    workload.forget_unanswered()
    return workload.succeeds("ping", "-c", "1", "-W", "1", ROUTER)


def test_an_uplink_survives_renamed_networks(site: Site, workloads: Workloads) -> None:
    site.apply(group("client", ALL_OUT), site.port_document(1, ["client"]))
    workload = site.plug("br0", 1)
    plug_router(site, workloads)
    blue = network_id(site, NETWORK)
    wait_until(lambda: declared(site, "sgctl-uplink-ids") == f"{NETWORK}={blue}", "the name is resolved")
    site.sgctl.wait()
    assert reaches(workload)

    site.sgctl("network", "set", NETWORK, "--name", "sky", "--wait")
    assert reaches(workload)
    wait_until(lambda: declared(site, "sgctl-uplink") == "sky", "the declaration has the current name")
    rename_by_api(site, blue, "production")
    site.sgctl.wait()
    assert reaches(workload)

    site.controller.stop()
    site.controller.start()
    site.apply(document("Network", "sky"), document("Network", NETWORK))
    site.sgctl("network", "set", "sky", "--name", "production", "--wait")
    assert reaches(workload)
    assert declared(site, "sgctl-uplink-ids") == f"production={blue}"
    uplinks = json.loads(site.sgctl("uplink", "list", "-o", "json"))
    assert uplinks == [{"interface": "router", "networks": ["production"], "network_ids": [blue]}]
    assert "no problems" in site.sgctl("status")
