"""`sgctl plan`, compared with the effect of the change on a real switch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab.background_traffic import Stream
from lab.controller import Controller
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.process import LabError
from lab.scenario.model import Document
from lab.site import ALL_OUT, NETWORK, Site, document, group, tcp_in
from lab.workloads import Workloads

pytestmark = pytest.mark.switch


@pytest.fixture
def site(ovs: PrivateOvs, workloads: Workloads) -> Iterator[Site]:
    with Controller(ovs.remote) as controller:
        site = Site(ovs, workloads, controller)
        site.add_bridge("br0")
        site.apply(
            document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]),
            group("client", ALL_OUT),
            group("server", tcp_in(80), tcp_in(81)),
            site.port_document(1, ["client"]),
            site.port_document(2, ["server"]),
        )
        yield site


@pytest.fixture
def pair(site: Site) -> tuple[Workload, Workload]:
    workloads = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    return workloads


def plan(site: Site, *documents: Document, options: tuple[str, ...] = ("-o", "json")) -> Any:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump_all(documents, file, sort_keys=False)
        file.flush()
        text = site.sgctl("plan", "-f", file.name, *options)
    return json.loads(text) if "json" in options else text


def spots(site: Site) -> set[tuple[object, ...]]:
    """The flows' tables, priorities and matches, without actions."""
    flows = json.loads(site.sgctl("flows", "-o", "json"))
    return {
        (each["table_id"], each["priority"], each["flow"].partition(" actions=")[0])
        for each in flows
        if not each["for"][0].startswith("learned")
    }


CHANGE = group("server", tcp_in(81), tcp_in(8080, remote_group="client"), tcp_in(443))


def test_the_forecast_equals_the_real_change(site: Site, pair: tuple[Workload, Workload]) -> None:
    client, server = pair
    with (
        Stream(client, server, "10.0.0.2", 80) as first,
        Stream(client, server, "10.0.0.2", 81) as second,
    ):
        before, generation = spots(site), json.loads(site.sgctl("status", "-o", "json"))["generation"]
        foreseen = plan(site, CHANGE)
        assert spots(site) == before
        assert json.loads(site.sgctl("status", "-o", "json"))["generation"] == generation
        (cut,) = foreseen["connections_cut"]
        assert (cut["network"], cut["source"], cut["destination"]) == (NETWORK, "w1", "w2")
        assert cut["connection"].endswith(" (w1) to 10.0.0.2:80 (w2)")
        assert cut["reason"] == "no rule of the receiver's groups allows it"

        site.apply(CHANGE)
        assert not first.flows()
        assert second.flows()
    after = spots(site)
    (switch,) = foreseen["switches"]
    assert (switch["before"], switch["after"]) == (len(before), len(after))
    assert switch["added"] - switch["removed"] == len(after) - len(before)
    assert min(switch["added"], switch["removed"]) > 0
    assert {(each["change"], each["sentence"]) for each in foreseen["rules"]} == {
        ("removed", "ingress IPv4 tcp 80 from anywhere"),
        ("added", "ingress IPv4 tcp 8080 from group client"),
        ("added", "ingress IPv4 tcp 443 from anywhere"),
    }
    costs = {each["sentence"]: each["flows"] for each in foreseen["rules"]}
    described = json.loads(site.sgctl("describe", "sg/server", "-o", "json"))
    assert [member["bound_to"] for member in described["members"]] == [[f"{switch['switch']}:w2"]]
    for rule in described["rules"]:
        if rule["permits"] in costs:
            shown = json.loads(site.sgctl("flows", "--rule", str(rule["number"]), "-o", "json"))
            assert costs[rule["permits"]] == rule["flows"] == len(shown) > 0


def test_the_flows_of_a_change_can_be_listed(site: Site, pair: tuple[Workload, Workload]) -> None:
    text = plan(site, CHANGE, options=("--flows",))
    assert any("br0: + table=" in line and "tp_dst=443" in line for line in text.splitlines())
    assert any("br0: - table=" in line and "tp_dst=80," in line for line in text.splitlines())
    assert "connections: no open connection of this machine would be cut" in text
    assert "SecurityGroup server updated (2 rules added, 1 removed)" in text
    with pytest.raises(LabError, match="exit"):
        plan(site, CHANGE, options=("--exit-code",))


def test_the_forecast_includes_interfaces_that_wait_for_a_port(
    site: Site, pair: tuple[Workload, Workload]
) -> None:
    site.plug("br0", 3)
    foreseen = plan(site, site.port_document(3, ["server"]))
    site.apply(site.port_document(3, ["server"]))
    (switch,) = foreseen["switches"]
    assert switch["added"] > 5
    assert switch["after"] == len(spots(site))
