"""`sgctl trace --on-switch` and `sgctl reach` on a real switch under a real controller."""

from __future__ import annotations

import json
import subprocess
from typing import Any, NamedTuple

import pytest

from lab.policy_cli import SGCTL
from lab.site import ALL_OUT, Site, group, tcp_in

pytestmark = pytest.mark.switch

ALLOWED, DISAGREES, DENIED = 0, 3, 4
ALL_OUT_6 = {**ALL_OUT, "ethertype": "IPv6"}


class Traced(NamedTuple):
    code: int
    record: dict[str, Any]


@pytest.fixture
def inhabited(site: Site) -> Site:
    site.apply(
        group("client", ALL_OUT, ALL_OUT_6),
        group("server", {**tcp_in(80, remote_group="client"), "name": "http"}, tcp_in(22)),
        group("web", tcp_in(80, remote_group="client", ethertype="IPv6")),
        site.port_document(1, ["client"]),
        site.port_document(2, ["server", "web"]),
        site.port_document(3, ["client"]),
    )
    for number in (1, 2):
        site.plug("br0", number)
    site.ovs.add_port("br0", "up0", "type=internal")
    site.sgctl("uplink", "set", "up0", "--network", "blue")
    site.sgctl.wait()
    return site


def trace(site: Site, *arguments: str) -> Traced:
    command = [str(SGCTL), "trace", *arguments, "--on-switch", "-o", "json"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=site.controller.environment, check=False
    )
    assert done.stdout, done.stderr
    return Traced(done.returncode, json.loads(done.stdout))


QUESTIONS = {
    "w1 w2 --port 80": ALLOWED,
    "w1 w2 --port 81": DENIED,
    "w1 w2 --port 80 --established": ALLOWED,
    "w2 w1 --port 80 --reply": ALLOWED,
    "w2 w1 --port 81 --reply": DENIED,
    "w2 w1 --port 80": DENIED,
    "w1 w2 --port 80 -6": ALLOWED,
    "w1 w2 --port 22 -6": DENIED,
    "w1 w2": DENIED,
    "w1 192.0.2.1 --protocol udp --port 53": ALLOWED,
    "192.0.2.1 w2 --port 22": ALLOWED,
    "192.0.2.1 w2 --port 80": DENIED,
    "w3 w2 --port 80": ALLOWED,
    "w1 w3 --port 80": DENIED,
}


def test_switch_and_policy_agree(inhabited: Site) -> None:
    for question, code in QUESTIONS.items():
        traced = trace(inhabited, *question.split())
        assert [switch["disagreement"] for switch in traced.record["switches"]] == [None], question
        assert traced.code == code, question


def test_the_path_has_names(inhabited: Site) -> None:
    (switch,) = trace(inhabited, "w1", "w2", "--port", "80").record["switches"]
    path = "\n".join(switch["path"])
    assert "INGRESS_RULES: rule=" in path
    assert "(http, group server)" in path
    assert "LOCAL is now {server, web}" in path
    assert switch["outputs"] == ["w2"]


def test_disagreement_is_said_loudly(inhabited: Site) -> None:
    inhabited.ovs.ofctl(
        "add-flow", "br0", "cookie=0x7,table=70,priority=60000,ip,actions=set_field:99->reg12"
    )
    traced = trace(inhabited, "w1", "w2", "--port", "81")
    assert traced.code == DISAGREES
    (switch,) = traced.record["switches"]
    assert switch["disagreement"] == "the policy says: goes nowhere; the switch does: leaves by w2"


def test_reach(inhabited: Site) -> None:
    to = json.loads(inhabited.sgctl("reach", "to", "w2", "--port", "80", "-o", "json"))
    assert [each["port"] for each in to["ports"]] == ["w1", "w3"]
    assert to["outside"] == []
    assert inhabited.sgctl("reach", "from", "w1", "--port", "80", "-o", "name") == "port/w2\n"
    assert (
        json.loads(inhabited.sgctl("reach", "to", "w2", "--port", "22", "-o", "json"))["outside"][0]["remote"]
        == "anywhere"
    )
