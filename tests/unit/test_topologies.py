"""Scenario files: parsing, and errors that name the field."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from lab.scenario import TOPOLOGIES, Cell, ExpectedVerdict, ScenarioError, drop_rule, find, list_rules, load
from lab.scenario.load import SCHEMA
from lab.scenario.services import ATTACKS

REPOSITORY = TOPOLOGIES.parent
OURS = (
    "cloudstack-basic-zone",
    "evroc-tiers",
    "exoscale-frontend-backend",
    "infomaniak-taylor",
    "private-network",
)

Data = dict[str, Any]


def document(kind: str, name: str, **spec: object) -> Data:
    return {"apiVersion": "sgctl/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def example() -> Data:
    return {
        "name": "example",
        "networks": {"blue": {"subnets": ["10.0.0.0/24", "2001:db8::/64"]}},
        "switches": {"s1": None, "fabric": {"managed": False}},
        "links": [{"between": ["s1", "fabric"]}],
        "hosts": {
            "web": {
                "switch": "s1",
                "interfaces": {
                    "eth0": {"network": "blue", "addresses": ["10.0.0.1", "2001:db8::1"], "groups": ["web"]}
                },
            },
            "db": {
                "switch": "s1",
                "interfaces": {"eth0": {"network": "blue", "addresses": ["10.0.0.2"], "groups": ["db"]}},
            },
            "out": {
                "switch": "fabric",
                "external": True,
                "interfaces": {"eth0": {"network": "blue", "addresses": ["192.0.2.7", "8.8.8.8"]}},
            },
        },
        "policy": [
            document("SecurityGroup", "web", rules=[{"name": "http", "direction": "ingress", "ports": 80}]),
            document("SecurityGroup", "db", rules=[{"name": "sql", "direction": "ingress"}]),
        ],
        "grid": {"services": ["tcp/80", "icmp", "icmp6"]},
        "expect": [{"allow": "tcp/80", "from": "all", "to": "web", "why": "it is a web server"}],
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Data], Path]:
    def write(data: Data) -> Path:
        path = tmp_path / "scenario.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    return write


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_every_field_of_the_schema_is_documented() -> None:
    page = (REPOSITORY / "docs" / "topologies.md").read_text()
    schema = json.loads(SCHEMA.read_text())
    definitions = [
        schema,
        *(schema["$defs"][name] for name in ("host", "interface", "grid", "expect", "step")),
    ]
    fields = {field for each in definitions for field in each.get("properties", {})}
    assert not {field for field in fields if field not in page}
    assert not {attack for attack in ATTACKS if f"`{attack}`" not in page}


def test_the_page_shows_a_scenario_that_loads(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "topologies.md").read_text()
    first, steps = (block.split("```")[0] for block in page.split("```yaml\n")[1:3])
    path = tmp_path / "page.yaml"
    path.write_text(first + steps)
    scenario = load(path)
    assert len(scenario.steps) == 2
    assert f"{len(scenario.steps[0].cells)} of {len(scenario.steps[0].cells)} probes as expected" in page


@pytest.mark.parametrize("name", OURS)
def test_scenarios_state_both_verdicts_with_reasons(name: str) -> None:
    scenario = load(find(name))
    assert scenario.name == name
    for step in scenario.steps:
        verdicts = {expectation.verdict for expectation in step.cells.values()}
        assert verdicts == {ExpectedVerdict.ALLOW, ExpectedVerdict.DENY}
        assert all(expectation.why for expectation in step.cells.values())


def test_all_scenarios_are_tested() -> None:
    assert {path.stem for path in TOPOLOGIES.glob("*.yaml")} == set(OURS)


def test_a_folder_named_mininet_does_not_hide_debians(debian_mininet: None) -> None:
    assert not (REPOSITORY / "mininet" / "__init__.py").exists()
    script = "import mininet.net; print(mininet.net.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert not Path(found.stdout.strip()).is_relative_to(REPOSITORY / "mininet")


def test_the_default_verdict_applies_to_unmentioned_cells(write: Callable[[Data], Path]) -> None:
    cells = load(write(example())).steps[0].cells
    assert cells[Cell("out", "web", "tcp/80")].verdict is ExpectedVerdict.ALLOW
    assert cells[Cell("web", "out", "tcp/80")].verdict is ExpectedVerdict.DENY
    assert Cell("web", "web", "tcp/80") not in cells, "a host and itself"
    assert Cell("web", "db", "icmp6") not in cells, "db has no IPv6 address"
    assert len(cells) == 6 * 2


def test_the_last_sentence_decides_and_steps_keep_unmentioned_cells(
    write: Callable[[Data], Path],
) -> None:
    data = example()
    data["expect"].append({"deny": "all", "from": "8.8.8.8", "to": "web"})
    data["expect"].append({"deny": "tcp/80", "from": "out", "to": "web"})
    data["steps"] = [{"name": "open", "expect": [{"allow": "icmp", "from": "out", "to": "db"}]}]
    first, second = load(write(data)).steps
    assert first.cells[Cell("out", "web", "tcp/80")].verdict is ExpectedVerdict.DENY
    assert first.cells[Cell("8.8.8.8", "web", "icmp")].verdict is ExpectedVerdict.DENY
    assert second.cells[Cell("out", "db", "icmp")].verdict is ExpectedVerdict.ALLOW
    changed = {cell for cell in first.cells if first.cells[cell] != second.cells[cell]}
    assert changed == {Cell("out", "db", "icmp")}


def test_networks_and_ports_are_made_from_the_wiring(write: Callable[[Data], Path]) -> None:
    documents = {
        (each["kind"], each["metadata"]["name"]): each for each in load(write(example())).steps[0].edit.apply
    }
    port = documents["Port", "web"]["spec"]
    assert documents["Network", "blue"]["spec"]["subnets"] == ["10.0.0.0/24", "2001:db8::/64"]
    assert port["fixed_ips"] == ["10.0.0.1", "2001:db8::1"]
    assert port["security_groups"] == ["web"]
    assert ("Port", "out") not in documents, "the outside world has no policy"


def test_a_port_of_the_policy_is_taken_as_it_is(write: Callable[[Data], Path]) -> None:
    data = example()
    mac = "02:00:00:00:00:2a"
    data["policy"].append(document("Port", "db", network="blue", mac_address=mac, fixed_ips=["10.0.0.2"]))
    scenario = load(write(data))
    ports = [
        each
        for each in scenario.steps[0].edit.apply
        if each["metadata"]["name"] == "db" and "network" in each["spec"]
    ]
    assert ports == [data["policy"][-1]]
    assert scenario.topology.hosts["db"].interfaces[0].mac == mac


def test_steps_edit_the_documents_of_the_step_before(write: Callable[[Data], Path]) -> None:
    data = example()
    data["steps"] = [
        {"name": "add", "add_rules": {"web": [{"name": "ping", "direction": "ingress"}]}},
        {"name": "remove", "remove_rules": {"web": ["http"]}, "groups": {"db": ["web"]}},
        {"name": "delete", "delete": ["SecurityGroup/db"]},
    ]
    _, added, removed, deleted = load(write(data)).steps
    assert [rule["name"] for rule in added.edit.apply[0]["spec"]["rules"]] == ["http", "ping"]
    assert [rule["name"] for rule in removed.edit.apply[0]["spec"]["rules"]] == ["ping"]
    assert removed.edit.apply[1]["spec"]["security_groups"] == ["web"]
    assert deleted.edit.delete == ("SecurityGroup/db",)


def break_switch(data: Data) -> None:
    data["hosts"]["web"]["switch"] = "s9"


def break_unmanaged(data: Data) -> None:
    data["hosts"]["web"]["switch"] = "fabric"


def break_network(data: Data) -> None:
    data["hosts"]["web"]["interfaces"]["eth0"]["network"] = "red"


def break_address(data: Data) -> None:
    data["hosts"]["web"]["interfaces"]["eth0"]["addresses"] = ["10.0.0.256"]


def break_unique_address(data: Data) -> None:
    data["hosts"]["db"]["interfaces"]["eth0"]["addresses"] = ["10.0.0.1"]


def break_tagged_external(data: Data) -> None:
    data["networks"]["blue"]["segmentation_id"] = 5
    data["hosts"]["out"]["switch"] = "s1"


def break_on_link(data: Data) -> None:
    data["networks"]["blue"]["subnets"] = ["2001:db8:1::/64"]
    data["hosts"]["out"]["interfaces"]["eth0"]["addresses"] = ["2001:db8:2::1"]


def break_untagged_pair(data: Data) -> None:
    data["networks"]["red"] = {}


def break_link(data: Data) -> None:
    data["links"][0]["between"] = ["s1", "s7"]


def break_endpoint(data: Data) -> None:
    data["expect"][0]["to"] = ["web", "wbe"]


def break_service(data: Data) -> None:
    data["expect"][0]["allow"] = "tcp/99999"


def break_meeting(data: Data) -> None:
    data["expect"][0] = {"allow": "icmp6", "from": "web", "to": "db"}


def break_sentence(data: Data) -> None:
    data["expect"][0]["deny"] = "icmp"


def break_field(data: Data) -> None:
    data["hosts"]["web"]["adress"] = "10.0.0.1"


def break_policy(data: Data) -> None:
    data["policy"].append(data["policy"][0])


def break_policy_file(data: Data) -> None:
    data["policy_files"] = ["missing.yaml"]


def break_step(data: Data) -> None:
    data["steps"] = [{"name": "x", "remove_rules": {"web": ["https"]}}]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_switch, "hosts.web.switch: no switch 's9'; there is s1, fabric"),
        (break_unmanaged, "hosts.web.switch: fabric is not managed"),
        (break_network, "hosts.web.interfaces.eth0.network: no network 'red'"),
        (break_address, "hosts.web.interfaces.eth0.addresses: '10.0.0.256'"),
        (break_unique_address, "hosts.db.interfaces.eth0: 10.0.0.1 is also on hosts.web"),
        (break_tagged_external, "hosts.out.switch: blue is VLAN-tagged"),
        (break_on_link, "hosts.out.interfaces.eth0.addresses: 2001:db8:2::1 is in no subnet of blue"),
        (break_untagged_pair, "links[0].networks: blue, red: only one"),
        (break_link, "links[0].between: no switch 's7'"),
        (break_endpoint, "expect[0].to: 'wbe' is no host"),
        (break_service, "expect[0].allow: 'tcp/99999': a port is 1 to 65535"),
        (break_meeting, "expect[0]: nothing to probe: db has no IPv6 address"),
        (break_sentence, "expect[0]:"),
        (break_field, "hosts.web: Additional properties are not allowed ('adress'"),
        (break_policy, "policy: SecurityGroup/web is in the policy twice"),
        (break_policy_file, "policy_files[0]: "),
        (break_step, "steps[0]: remove_rules: web has no rule named https"),
    ],
)
def test_errors_are_refused_with_file_and_field(
    write: Callable[[Data], Path], damage: Callable[[Data], None], message: str
) -> None:
    data = example()
    damage(data)
    path = write(data)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert any(problem.startswith(f"{path}: {message}") for problem in caught.value.problems), caught.value


def test_all_errors_are_reported_at_once(write: Callable[[Data], Path]) -> None:
    data = example()
    break_switch(data)
    break_endpoint(data)
    with pytest.raises(ScenarioError) as caught:
        load(write(data))
    assert len(caught.value.problems) == 2


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("name: a\nname: b\n")
    with pytest.raises(ScenarioError, match="'name' is given twice"):
        load(path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="evroc-tiers"):
        find("evrok-tiers")


@pytest.mark.parametrize("name", ["sql", "db/sql", "db/#1", "2"])
def test_a_rule_is_dropped_by_any_of_its_names(write: Callable[[Data], Path], name: str) -> None:
    edits = [step.edit for step in load(write(example())).steps]
    assert str(drop_rule(edits, name)) == "db/sql"
    assert [str(rule) for rule in list_rules(edits)] == ["web/http"]


def test_a_dropped_rule_is_missing_from_later_steps_too(write: Callable[[Data], Path]) -> None:
    data = example()
    data["steps"] = [{"name": "add", "add_rules": {"web": [{"name": "ping", "direction": "ingress"}]}}]
    edits = [step.edit for step in load(write(data)).steps]
    drop_rule(edits, "http")
    assert [rule["name"] for rule in edits[1].apply[0]["spec"]["rules"]] == ["ping"]


@pytest.mark.parametrize("name", ["0", "3", "x", "web/#9"])
def test_an_unknown_rule_lists_the_known_ones(write: Callable[[Data], Path], name: str) -> None:
    edits = [step.edit for step in load(write(example())).steps]
    with pytest.raises(ValueError, match=r"(?s)names 0 rules.*1 web/http.*2 db/sql"):
        drop_rule(edits, name)


def test_an_ambiguous_rule_name_is_refused() -> None:
    edits = [step.edit for step in load(find("evroc-tiers")).steps]
    with pytest.raises(ValueError, match="names 2 rules"):
        drop_rule(edits, "allowSSHInbound")
