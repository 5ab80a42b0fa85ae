"""`sgctl flows` and `sgctl verify` on a real switch under a real controller."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from lab.netns import Workload
from lab.policy_cli import SGCTL
from lab.process import LabError, run, wait_until
from lab.site import ALL_OUT, Site, connects, document, group, tcp_in

pytestmark = pytest.mark.switch


@pytest.fixture
def inhabited(site: Site, pair: tuple[Workload, Workload]) -> Site:
    return site


@pytest.fixture
def pair(site: Site) -> tuple[Workload, Workload]:
    site.apply(
        document("AddressGroup", "monitors", addresses=["10.0.0.7", "10.1.0.0/16"]),
        group("client", ALL_OUT),
        group(
            "server",
            {**tcp_in(80, remote_group="client"), "name": "http"},
            tcp_in(22, remote_address_group="monitors"),
        ),
        site.port_document(1, ["client"]),
        site.port_document(2, ["server"]),
    )
    workloads = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    return workloads


def flows(site: Site, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(site.sgctl("flows", "-o", "json", *options))
    return found


def tamper(site: Site, *arguments: str) -> None:
    site.ovs.ofctl(*arguments[:1], "br0", *arguments[1:])


def test_every_flow_is_shown_once_with_its_purpose(inhabited: Site) -> None:
    dump = inhabited.ovs.ofctl("dump-flows", "br0").splitlines()
    installed = [line for line in dump if "cookie=" in line and not line.startswith(" cookie=0x5d")]
    shown = flows(inhabited)
    # Learned flows depend on the current traffic.
    assert len([each for each in shown if not each["cookie"].startswith("0x5d")]) == len(installed)
    assert len({(each["table_id"], each["priority"], each["match"]) for each in shown}) == len(shown)
    purposes = {purpose for each in shown for purpose in each["for"]}
    assert {"port w1", "port w2", "network blue", "every bridge"} <= purposes
    assert any("(http, group server)" in purpose for purpose in purposes)
    assert not purposes & {"not expected", "not ours"}


def test_numbers_have_names(inhabited: Site) -> None:
    shown = {(each["table"], each["match"], each["actions"]) for each in flows(inhabited)}
    assert ("INGRESS_MEMBER", "ip,ZONE=blue,VIEW=1,nw_src=10.0.0.1", "MEMBER={group client}") in shown
    prefixes = {actions for table, _, actions in shown if table == "INGRESS_PREFIX"}
    assert "PREFIX={address group monitors}" in prefixes
    assert any(match == "ip,LOCAL={server}" for table, match, _ in shown if table == "INGRESS_RULES")
    assert any("OUT=w2,DESTINATION={server},resubmit(,RECEIVER)" in actions for _, _, actions in shown)


def test_filters(inhabited: Site) -> None:
    rules = json.loads(inhabited.sgctl("get", "rules", "-o", "json"))
    http = next(str(rule["number"]) for rule in rules if rule["name"] == "http")
    of_rule = flows(inhabited, "--rule", http)
    assert [each["cookie"] for each in of_rule] == [
        each["cookie"] for each in flows(inhabited, "--rule", "http")
    ]
    assert all(any("http" in purpose for purpose in each["for"]) for each in of_rule)
    assert any(each["match"].startswith("tcp,") and each["match"].endswith("tp_dst=80") for each in of_rule)
    of_port = flows(inhabited, "--port", "w1")
    assert {each["table"] for each in of_port} >= {"CLASSIFY", "SPOOF_IP", "FORWARD", "INGRESS_MEMBER"}
    assert not any("w2" in each["match"] for each in of_port)
    of_group = flows(inhabited, "--group", "client", "--table", "egress_any")
    assert [each["match"] for each in of_group] == ["ip,LOCAL={client}"]
    with pytest.raises(LabError, match="there is no security group 'nobody'"):
        flows(inhabited, "--group", "nobody")


def test_counters_equal_those_of_the_switch(pair: tuple[Workload, Workload], inhabited: Site) -> None:
    assert not any(each["packets"] for each in flows(inhabited, "--rule", "http"))
    assert connects(*pair, "10.0.0.2", 80)
    wait_until(lambda: any(each["packets"] for each in flows(inhabited, "--rule", "http")), "counted packets")


def test_verify_names_and_repairs_each_difference(inhabited: Site) -> None:
    inhabited.sgctl("verify")
    rules = json.loads(inhabited.sgctl("get", "rules", "-o", "json"))
    http = next(rule["number"] for rule in rules if rule["name"] == "http")
    tamper(inhabited, "mod-flows", f"table=73,conj_id={http},ip,actions=drop")
    tamper(inhabited, "del-flows", "table=11")
    tamper(inhabited, "add-flow", "cookie=0x5c00000000000001,table=70,priority=60000,ip,actions=output:1")
    tamper(inhabited, "add-flow", "cookie=0x7,table=70,priority=7,ip,actions=drop")
    with pytest.raises(LabError, match="exit 1"):
        inhabited.sgctl("verify")
    found = json.loads(inhabited.sgctl("verify", "--repair", "-o", "json"))
    kinds = {(each["difference"], each["table"]) for each in found}
    assert kinds == {("altered", "INGRESS_RULES"), ("missing", "SPOOF_ARP"), ("foreign", "INGRESS_ANY")}
    (altered,) = (each for each in found if each["difference"] == "altered")
    assert altered["installed"] == "drop"
    assert "(http, group server)" in altered["expected"]
    assert inhabited.sgctl("verify") == "br0: as expected\n"
    assert "cookie=0x7," in inhabited.ovs.ofctl("dump-flows", "br0", "cookie=0x7/-1")


def test_verify_is_quiet_while_policy_changes(inhabited: Site) -> None:
    for port in range(8000, 8005):
        inhabited.sgctl.apply([group("server", tcp_in(port))])
        assert inhabited.sgctl("verify") == "br0: as expected\n"


FOREIGN = {
    "above all of ours": ("CLASSIFY", "table=0,priority=1000,actions=NORMAL"),
    "takes what ours leave": ("CLASSIFY", "table=0,priority=1,arp,actions=FLOOD"),
    "further down": ("DEST_VERDICT", "table=53,priority=400,ip,actions=resubmit(,80)"),
    "by a group": ("OUTPUT", "table=80,priority=500,udp,actions=group:7"),
    "as if it were learned": ("FORWARD", "cookie=0x5d00000000000001,table=36,priority=999,actions=NORMAL"),
    "where the switch learns": ("FDB", "cookie=0x1,table=46,priority=999,actions=NORMAL"),
}
HARMLESS = (
    "table=0,priority=2000,ip,nw_src=192.0.2.9,actions=drop",
    "table=70,priority=7,ip,actions=drop",
    "table=120,priority=1,actions=NORMAL",
)


def record_of(site: Site, command: str) -> Any:
    """The JSON output of `sgctl COMMAND`; any exit status is accepted."""
    arguments = [str(SGCTL), command, "-o", "json"]
    env = site.controller.environment
    return json.loads(subprocess.run(arguments, capture_output=True, text=True, env=env, check=False).stdout)


def problems(site: Site) -> str:
    return "\n".join(record_of(site, "status")["problems"])


def test_flows_of_others_that_bypass_ours_are_found(inhabited: Site) -> None:
    tamper(inhabited, "add-group", "group_id=7,type=all,bucket=actions=FLOOD")
    for flow in HARMLESS:
        tamper(inhabited, "add-flow", flow)
    assert inhabited.sgctl("verify") == "br0: as expected\n"
    for _, flow in FOREIGN.values():
        tamper(inhabited, "add-flow", flow)
    for options in ([], ["--repair"]):
        with pytest.raises(LabError, match="exit 1"):
            inhabited.sgctl("verify", *options)
    found = record_of(inhabited, "verify")
    assert {each["difference"] for each in found} == {"bypass"}
    assert sorted(each["table"] for each in found) == sorted(table for table, _ in FOREIGN.values())
    for each in found:
        run(["sh", "-c", each["removal"].replace("br0", f"unix:{inhabited.ovs.rundir}/br0.mgmt")])
    assert inhabited.sgctl("verify") == "br0: as expected\n"
    left = inhabited.ovs.ofctl("--no-stats", "dump-flows", "br0", "cookie=0/-1").splitlines()
    assert len([line for line in left if "table=254" not in line and "OFPST" not in line]) == len(HARMLESS)


def test_the_controller_reports_flows_that_bypass_ours(inhabited: Site) -> None:
    """It compares flow counts first; flows that look learned are only found by a full comparison."""
    tamper(inhabited, "add-group", "group_id=7,type=all,bucket=actions=FLOOD")
    for flow in HARMLESS:
        tamper(inhabited, "add-flow", flow)
    seen = [(table, flow) for table, flow in FOREIGN.values() if table != "FDB" and "0x5d" not in flow]
    for _, flow in seen:
        tamper(inhabited, "add-flow", flow)
    wait_until(lambda: "4 flows of somebody else do" in problems(inhabited), "all are reported")
    assert "more than drop in CLASSIFY, DEST_VERDICT, OUTPUT" in problems(inhabited)
    inhabited.apply(group("client", ALL_OUT, tcp_in(9)))
    assert "4 flows of somebody else do" in problems(inhabited)
    tamper(inhabited, "del-flows", "cookie=0/-1,table=0")
    wait_until(
        lambda: "2 flows of somebody else do" in problems(inhabited), "the remaining flows are reported"
    )
    tamper(inhabited, "del-flows", "cookie=0/-1")
    wait_until(lambda: not problems(inhabited), "no flow is reported")
