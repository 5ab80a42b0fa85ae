"""Members of one project against the operator and each other: their choices do not affect others."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab.controller import Controller
from lab.policy_cli import PolicyCli
from lab.process import LabError
from lab.scenario.model import Document
from lab.site import document, group, tcp_in
from tests.api.client import Answer, Client, controller_with

ADMIN, RED, BLUE = "admin-token-0123456789", "red-token-0123456789ab", "blue-token-0123456789"
TOKENS = f"""
- {{token: {ADMIN}, project: ops, role: admin}}
- {{token: {RED}, project: red, role: member}}
- {{token: {BLUE}, project: blue, role: member}}
"""


@pytest.fixture(scope="module")
def guarded(private_network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    path = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    path.write_text(TOKENS)
    path.chmod(0o600)
    options = [f"--sgctl-api-tokens={path}", "--sgctl-api-rate=100000"]
    with controller_with(*options) as running:
        yield running


@pytest.fixture
def admin(guarded: Controller) -> Client:
    return Client(guarded.wsapi_port, ADMIN)


@pytest.fixture
def red(guarded: Controller) -> Client:
    return Client(guarded.wsapi_port, RED)


@pytest.fixture
def blue(guarded: Controller) -> Client:
    return Client(guarded.wsapi_port, BLUE)


@pytest.fixture
def shared(admin: Client) -> Iterator[Any]:
    """A network of the operator that all projects use."""
    network = admin.make("network", name="lan", project_id="")
    subnet = {"network_id": network["id"], "cidr": "10.9.0.0/24", "gateway_ip": "10.9.0.254"}
    yield {**network, "subnet": admin.make("subnet", **subnet)}
    for port in admin.list("ports", f"network_id={network['id']}"):
        assert admin("DELETE", f"/v2.0/ports/{port['id']}").status == 204
    assert admin("DELETE", f"/v2.0/networks/{network['id']}").status == 204


def action(client: Client, server: str, name: str, group: str) -> Answer:
    return client("POST", f"/compute/v2.1/servers/{server}/action", {name: {"name": group}})


def groups_of(client: Client, port: Any) -> list[str]:
    found: list[str] = client.show("port", port["id"])["security_groups"]
    return found


def test_a_port_of_another_project_with_the_same_device_id_gets_no_group(
    admin: Client, blue: Client, shared: Any
) -> None:
    """The operator adds a group to a server; a member's port with its device_id does not get the group."""
    group = admin.make("security_group", name="db-clients")
    mine = admin.make("port", network_id=shared["id"], device_id="web-1")
    evil = blue.make("port", network_id=shared["id"], device_id="web-1")
    assert action(admin, "web-1", "addSecurityGroup", "db-clients").status == 202
    assert group["id"] in groups_of(admin, mine)
    assert group["id"] not in groups_of(admin, evil)
    own = blue("GET", "/compute/v2.1/servers/web-1").one
    assert own["tenant_id"] == "blue"
    attach = {"interfaceAttachment": {"port_id": mine["id"]}}
    assert blue("POST", "/compute/v2.1/servers/web-1/os-interface", attach).status == 404
    assert blue("DELETE", f"/compute/v2.1/servers/web-1/os-interface/{mine['id']}").status == 404
    assert action(admin, "web-1", "removeSecurityGroup", "db-clients").status == 202


def test_a_server_with_ports_of_several_projects_belongs_to_none(
    admin: Client, red: Client, blue: Client, shared: Any
) -> None:
    ports = [each.make("port", network_id=shared["id"], device_id="db-7") for each in (red, blue)]
    answer = action(admin, "db-7", "addSecurityGroup", "default")
    assert answer.status == 409
    assert answer.one["message"].startswith("Several projects have an instance db-7")
    blue("PUT", f"/v2.0/ports/{ports[1]['id']}", {"port": {"device_id": ""}})
    red.make("security_group", name="mine")
    blue.make("security_group", name="mine")
    assert action(admin, "db-7", "addSecurityGroup", "mine").status == 202
    (found,) = red.list("security-groups", "name=mine")
    assert found["id"] in groups_of(admin, ports[0]), "a name means a group of the server's project"


@pytest.mark.parametrize("address", ["10.9.0.254", "10.9.0.77"])
def test_members_do_not_choose_addresses_on_others_networks(
    admin: Client, blue: Client, shared: Any, address: str
) -> None:
    wanted = {"network_id": shared["id"], "fixed_ips": [{"ip_address": address}]}
    answer = blue("POST", "/v2.0/ports", {"port": wanted})
    assert (answer.status, answer.kind) == (403, "PolicyNotAuthorized")
    subnet = {"subnet_id": shared["subnet"]["id"]}
    port = blue.make("port", network_id=shared["id"], fixed_ips=[subnet])
    path = f"/v2.0/ports/{port['id']}"
    assert blue("PUT", path, {"port": {"fixed_ips": wanted["fixed_ips"]}}).status == 403
    same = [{"ip_address": port["fixed_ips"][0]["ip_address"]}]
    assert blue("PUT", path, {"port": {"fixed_ips": same}}).status == 200, "it may keep its addresses"
    assert admin("PUT", path, {"port": {"fixed_ips": [{"ip_address": "10.9.0.78"}]}}).status == 200


def test_a_server_name_gives_no_access_to_the_operators_groups(
    admin: Client, blue: Client, shared: Any
) -> None:
    """The operator has no server of that name."""
    group = admin.make("security_group", name="billing")
    evil = blue.make("port", network_id=shared["id"], device_id="web-9")
    assert action(admin, "web-9", "addSecurityGroup", "billing").status == 404
    assert action(admin, "web-9", "addSecurityGroup", group["id"]).status == 404
    assert group["id"] not in groups_of(admin, evil)


def test_a_device_id_does_not_hide_a_port_with_that_id(admin: Client, blue: Client, shared: Any) -> None:
    """A port without a device_id is a server by its own id, which a member can write into a device_id."""
    group = admin.make("security_group", name="metering", project_id="")
    mine = admin.make("port", network_id=shared["id"], project_id="", security_groups=[])
    blue.make("port", network_id=shared["id"], device_id=mine["id"])
    assert action(admin, mine["id"], "addSecurityGroup", "metering").status == 202
    assert groups_of(admin, mine) == [group["id"]]


def test_a_port_without_groups_does_not_join_the_operators_default_group(
    admin: Client, blue: Client, shared: Any
) -> None:
    group = admin.make("security_group", name="everybody", project_id="")
    path = f"/v2.0/networks/{shared['id']}"
    before = blue.make("port", network_id=shared["id"], security_groups=[])
    assert admin("PUT", path, {"network": {"default_group": group["id"]}}).status == 200
    port = blue.make("port", network_id=shared["id"])
    (default,) = blue.list("security-groups", "name=default")
    assert port["security_groups"] == [default["id"]], "an object of the member's project"
    none = {"network_id": shared["id"], "security_groups": []}
    assert blue("POST", "/v2.0/ports", {"port": none}).status == 403
    assert blue("PUT", f"/v2.0/ports/{port['id']}", {"port": {"security_groups": []}}).status == 403
    server = blue.make("port", network_id=shared["id"], device_id="bare")
    assert action(blue, "bare", "removeSecurityGroup", "default").status == 403
    assert groups_of(blue, server) == [default["id"]]
    assert blue("PUT", f"/v2.0/ports/{before['id']}", {"port": {"name": "kept"}}).status == 200
    assert admin("PUT", path, {"network": {"default_group": None}}).status == 200


def test_refusals_do_not_name_objects_of_other_projects(admin: Client, blue: Client) -> None:
    group = blue.make("security_group", name="open-to-all")
    network = blue.make("network", name="theirs")
    subnet = blue.make("subnet", network_id=network["id"], cidr="10.6.0.0/24")
    secret = admin.make("security_group", name="secret-group")
    rule = {"security_group_id": secret["id"], "direction": "ingress", "remote_group_id": group["id"]}
    rule = admin.make("security_group_rule", **rule)
    port = admin.make("port", network_id=network["id"], name="secret-port")
    address = port["fixed_ips"][0]["ip_address"]
    taken = {"network_id": network["id"], "fixed_ips": [{"ip_address": address}]}
    twin = {"network_id": network["id"], "mac_address": port["mac_address"]}
    loose = {"security_groups": [secret["id"]], "network_id": network["id"]}
    loose = admin.make("port", name="both", project_id="blue", **loose)
    loose_group = blue.make("security_group", name="loose", stateful=False)
    mixed = blue(
        "PUT",
        f"/v2.0/ports/{loose['id']}",
        {"port": {"security_groups": [secret["id"], loose_group["id"]]}},
    )
    assert (mixed.status, "secret" in mixed.message) == (400, False), mixed
    refused = [
        blue("DELETE", f"/v2.0/security-groups/{group['id']}"),
        blue("DELETE", f"/v2.0/networks/{network['id']}"),
        blue("DELETE", f"/v2.0/subnets/{subnet['id']}"),
        blue("PUT", f"/v2.0/subnets/{subnet['id']}", {"subnet": {"gateway_ip": address}}),
        blue("POST", "/v2.0/ports", {"port": taken}),
        blue("POST", "/v2.0/ports", {"port": twin}),
    ]
    for answer in refused:
        assert answer.status == 409, answer
        assert "of another project" in answer.message
        assert not any(word in answer.message for word in ("secret", port["id"], secret["id"]))
        assert str(rule["number"]) not in answer.message.split()
    told = admin("DELETE", f"/v2.0/security-groups/{group['id']}")
    assert "secret-group" in told.message, "an admin gets the name"


def test_members_cannot_set_physical_attributes_or_interface_ids(blue: Client) -> None:
    for attribute, value in (("network_type", "flat"), ("segmentation_id", 7), ("physical_network", "lan")):
        wanted = {"name": "x", f"provider:{attribute}": value}
        assert blue("POST", "/v2.0/networks", {"network": wanted}).status == 403
    network = blue.make("network", name="unplugged")
    for attribute in ("iface_id", "id"):
        wanted = {"network_id": network["id"], attribute: network["id"]}
        assert blue("POST", "/v2.0/ports", {"port": wanted}).status == 400


def test_owners_choose_addresses_on_their_network(blue: Client) -> None:
    network = blue.make("network", name="mine")
    blue.make("subnet", network_id=network["id"], cidr="10.8.0.0/24")
    wanted = [{"ip_address": "10.8.0.77"}]
    port = blue.make("port", network_id=network["id"], fixed_ips=wanted)
    assert port["fixed_ips"][0]["ip_address"] == "10.8.0.77"


def test_a_members_port_does_not_become_the_gateway(admin: Client, blue: Client, shared: Any) -> None:
    port = blue.make("port", network_id=shared["id"])
    address = port["fixed_ips"][0]["ip_address"]
    path = f"/v2.0/subnets/{shared['subnet']['id']}"
    answer = admin("PUT", path, {"subnet": {"gateway_ip": address}})
    assert answer.status == 409
    assert "of another project" in answer.message


def test_a_members_port_does_not_become_the_implicit_gateway(operator: PolicyCli, blue: Client) -> None:
    """In a subnet without a gateway attribute, the gateway is the first host."""
    stated = {"cidr": "10.5.0.0/24", "gateway_ip": "10.5.0.254"}
    apply(operator, document("Network", "hall", subnets=[stated]))
    (network,) = blue.list("networks", "name=hall")
    port = blue.make("port", network_id=network["id"])
    assert port["fixed_ips"][0]["ip_address"] == "10.5.0.1"
    with pytest.raises(LabError, match=r"10\.5\.0\.1 is an address of port .* of another project"):
        operator.apply([document("Network", "hall", subnets=["10.5.0.0/23"])])
    assert blue("DELETE", f"/v2.0/ports/{port['id']}").status == 204
    operator("delete", "network/hall")


def test_projects_have_limits_as_soon_as_there_are_tokens(admin: Client, blue: Client) -> None:
    shown = blue("GET", "/v2.0/quotas/blue").one
    assert shown["security_group_rule"] == 1000
    assert shown["port"] == 500
    group = blue.make("security_group", name="many")

    def post(hundred: int) -> Answer:
        rules = [
            {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}
            | {"port_range_min": number, "port_range_max": number}
            for number in range(100 * hundred, 100 * hundred + 100)
        ]
        return blue("POST", "/v2.0/security-group-rules", {"security_group_rules": rules})

    assert [post(hundred).status for hundred in range(9)] == [201] * 9
    answer = post(9)
    assert (answer.status, answer.kind) == (409, "OverQuota")
    assert admin("PUT", "/v2.0/quotas/blue", {"quota": {"security_group_rule": -1}}).status == 200
    assert post(9).status == 201


@pytest.fixture
def operator(guarded: Controller) -> PolicyCli:
    """The command line, which needs no token."""
    return PolicyCli(guarded.environment)


MANIFESTS = (
    document("Network", "office", subnets=["10.7.0.0/24"]),
    group("database", tcp_in(3306)),
    document("Port", "db1", network="office", security_groups=["database"]),
)


def apply(operator: PolicyCli, *manifests: Document) -> None:
    """There is no switch here; apply reports that."""
    try:
        operator.apply(manifests or MANIFESTS)
    except LabError as error:
        assert "the policy is stored" in str(error)  # noqa: PT017 - whether it is told depends on the controller


def take_away(operator: PolicyCli) -> None:
    operator("delete", "port/db1", "security-group/database", "network/office", "--ignore-missing")


@pytest.mark.parametrize("members_first", [True, False])
def test_a_members_names_do_not_capture_or_block_manifests(
    operator: PolicyCli, admin: Client, blue: Client, members_first: bool
) -> None:
    if not members_first:
        apply(operator)
    made = blue.make("security_group", name="database")
    network = blue.make("network", name="office")
    port = blue.make("port", network_id=network["id"], name="db1")
    before = blue.show("security_group", made["id"]), blue.show("network", network["id"])
    apply(operator)
    apply(operator)
    groups = {each["project_id"]: each for each in admin.list("security-groups", "name=database")}
    assert groups.keys() == {"", "blue"}
    (mine,) = [each for each in admin.list("ports", "name=db1") if not each["project_id"]]
    assert mine["security_groups"] == [groups[""]["id"]]
    assert mine["network_id"] != network["id"]
    assert (blue.show("security_group", made["id"]), blue.show("network", network["id"])) == before
    shown = operator("get", "port", "db1", "-o", "json")
    assert mine["id"] in shown
    assert port["id"] not in shown
    take_away(operator)
    assert blue.show("port", port["id"])["name"] == "db1", "a name means the operator's own object"
    for path, each in (("ports", port), ("networks", network), ("security-groups", made)):
        assert blue("DELETE", f"/v2.0/{path}/{each['id']}").status == 204


def test_members_neither_answer_nor_block_a_trace(operator: PolicyCli, blue: Client) -> None:
    apply(operator, *MANIFESTS, document("Port", "db2", network="office", security_groups=["database"]))
    network = blue.make("network", name="office")
    blue.make("subnet", network_id=network["id"], cidr="10.7.0.0/24")
    for name, address in (("db1", "10.7.0.2"), ("db2", "10.7.0.3"), ("db3", "10.7.0.4")):
        wanted = [{"ip_address": address}]
        blue.make("port", network_id=network["id"], name=name, fixed_ips=wanted, device_id="trace")
    for ends in (("db1", "db2"), ("10.7.0.2", "10.7.0.3")):
        said = operator.run("trace", *ends, "--port", "3306")
        assert said.stdout.startswith("tcp/3306 from db1 (10.7.0.2) to db2 (10.7.0.3), new: denied"), said
        assert "of group database allows" in said.stdout
    refused = operator.run("trace", "db1", "db3").stderr
    assert "'db3' is neither a port nor an address; there is one of blue: use --project or its id" in refused
    assert "there is one of blue" in operator.run("reach", "to", "db3").stderr
    theirs = operator.run("--project", "blue", "trace", "db1", "db3")
    assert theirs.stdout.startswith("icmp"), theirs
    operator("delete", "port/db2")
    take_away(operator)
    for port in blue.list("ports", "device_id=trace"):
        assert blue("DELETE", f"/v2.0/ports/{port['id']}").status == 204


def test_members_objects_do_not_block_pruning_by_the_operator(operator: PolicyCli, blue: Client) -> None:
    """Objects of other projects do not have to be in the operator's files."""
    apply(operator)
    network = blue.make("network", name="mine")
    port = blue.make("port", network_id=network["id"], name="held")
    made = group("old", tcp_in(22))
    apply(operator, *MANIFESTS, made)
    files = [document("Network", "office", subnets=["10.7.0.0/24"]), MANIFESTS[1], MANIFESTS[2]]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump_all(files, file)
        file.flush()
        said = operator.run("apply", "--prune", "all", "--yes", "-f", file.name)
    assert "SecurityGroup old deleted" in said.stdout, said
    assert blue.show("port", port["id"])["name"] == "held"
    take_away(operator)


def test_the_command_line_can_act_for_another_project(operator: PolicyCli, blue: Client) -> None:
    made = blue.make("security_group", name="theirs")
    with pytest.raises(LabError, match="there is one of blue: use --project or its id"):
        operator("describe", "security-group", "theirs")
    assert made["id"] in operator("--project", "blue", "describe", "security-group", "theirs")
    operator("--project", "blue", "security", "group", "set", "theirs", "--description", "changed")
    assert blue.show("security_group", made["id"])["description"] == "changed"
    operator("--project", "blue", "security", "group", "create", "new")
    (new,) = blue.list("security-groups", "name=new")
    assert new["project_id"] == "blue"
