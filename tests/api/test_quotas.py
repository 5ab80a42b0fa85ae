"""Quotas of projects: set, shown and deleted with the OpenStack client, and enforced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.controller import Controller
from tests.api.client import Answer, Client, Shell, client_environment, controller_with

DEFAULTS = {
    "network": -1,
    "subnet": -1,
    "port": 50,
    "security_group": -1,
    "security_group_rule": -1,
    "address_group": -1,
    "address_group_address": -1,
}
ELSEWHERE = ("floatingip", "rbac_policy", "router", "subnetpool", "trunk")


@pytest.fixture(scope="module")
def limited(private_network: None) -> Iterator[Controller]:
    """A controller that lets each project have 50 ports, unless told otherwise."""
    options = ["--sgctl-api-quota=port=50", "--sgctl-api-rate=100000"]
    with controller_with(*options) as running:
        yield running


@pytest.fixture
def api(limited: Controller) -> Client:
    return Client(limited.wsapi_port)


@pytest.fixture(scope="module")
def openstack(openstack_client: None, limited: Controller) -> Iterator[Shell]:
    """The client, logged in: before it sets a quota, it looks up other services."""
    settings = {
        "OS_AUTH_URL": f"http://127.0.0.1:{limited.wsapi_port}/identity/v3",
        "OS_USERNAME": "sgctl",
        "OS_PASSWORD": "whatever",
        "OS_PROJECT_NAME": "default",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": "RegionOne",
    }
    shell = Shell(client_environment(**settings))
    yield shell
    shell.close()


def limits(shell: Shell, project: str) -> dict[str, Any]:
    return {row["Resource"]: row["Limit"] for row in shell.json(f"quota show --network {project}")}


def test_the_clients_commands(openstack: Shell) -> None:
    assert limits(openstack, "teal")["ports"] == 50
    openstack("quota set --secgroups 2 --secgroup-rules 6 --ports 60 teal")
    shown = limits(openstack, "teal")
    assert [shown[name] for name in ("security_groups", "security_group_rules", "ports")] == [2, 6, 60]
    openstack("quota set --secgroups 3 teal")
    shown = limits(openstack, "teal")
    assert [shown[name] for name in ("security_groups", "security_group_rules", "ports")] == [3, 6, 60]
    default = {row["Resource"]: row["Limit"] for row in openstack.json("quota show --default --network teal")}
    assert (default["security_groups"], default["ports"]) == (-1, 50)
    listed = {row["Project ID"]: row for row in openstack.json("quota list --network")}
    assert listed["teal"]["Security Groups"] == 3
    assert openstack("quota show teal")  # of other services, too
    openstack("quota delete --network teal")
    assert limits(openstack, "teal")["security_groups"] == -1


def test_a_project_without_a_name_is_known_as_default(openstack: Shell, api: Client) -> None:
    projects = [each["project_id"] for each in api.list("security-groups", "name=default")]
    assert projects.count("") == 1  # other tests of this module have projects, too
    openstack("quota set --secgroups 2")
    openstack("security group create one")
    over = openstack.run("security group create two")
    assert over.code != 0
    assert over.err.strip().endswith("Quota exceeded for resources: ['security_group'].")
    usage = {row["Resource"]: row for row in openstack.json("quota show --usage --network")}
    assert (usage["security_groups"]["Limit"], usage["security_groups"]["In Use"]) == (2, 2)
    openstack("quota delete --network default")
    openstack("security group create two")


def test_limits_over_http(api: Client) -> None:
    path = "/v2.0/quotas/plum"
    shown = DEFAULTS | dict.fromkeys(ELSEWHERE, 0)
    assert api("GET", path).document == {"quota": shown}
    assert [each for each in api("GET", "/v2.0/quotas").one if each["project_id"] == "plum"] == []
    assert api("PUT", path, {"quota": {}}).document == {"quota": shown}
    assert api("DELETE", path).status == 404
    own = {"security_group": 4, "security_group_rule": "9", "address_group": 0, "subnet": 1}
    changed = shown | own | {"security_group_rule": 9}
    assert api("PUT", path, {"quota": own}).document == {"quota": changed}
    assert api("GET", path).document == {"quota": changed}
    assert api("GET", f"{path}/default").document == {"quota": shown}
    listed = [each for each in api("GET", "/v2.0/quotas").one if each["project_id"] == "plum"]
    assert listed == [{**changed, "project_id": "plum", "tenant_id": "plum"}]
    assert api("DELETE", path).status == 204
    gone = api("DELETE", path)
    assert (gone.status, gone.kind) == (404, "TenantQuotaNotFound")
    assert gone.message == "Quota for project plum could not be found."
    assert api("GET", path).document == {"quota": shown}


def test_a_request_over_the_limit_creates_nothing(api: Client) -> None:
    network = api.make("network", name="n", project_id="gold")
    group = api.make("security_group", name="g", project_id="gold")
    assert api("GET", "/v2.0/quotas/gold/details").one["security_group_rule"]["used"] == 6
    api("PUT", "/v2.0/quotas/gold", {"quota": {"security_group_rule": 7, "subnet": 1, "network": 1}})

    def rule(port: int) -> Any:
        range_ = {"protocol": "tcp", "port_range_min": port, "port_range_max": port}
        return {"security_group_id": group["id"], "direction": "ingress", **range_}

    def refused(path: str, body: Any, resource: str) -> None:
        before = api.everything()
        answer = api("POST", f"/v2.0/{path}", body)
        assert (answer.status, answer.kind) == (409, "OverQuota")
        assert answer.message == f"Quota exceeded for resources: ['{resource}']."
        assert api.everything() == before

    rules = {"security_group_rules": [rule(1), rule(2)]}
    refused("security-group-rules", rules, "security_group_rule")
    assert api("POST", "/v2.0/security-group-rules", {"security_group_rule": rule(1)}).status == 201
    refused("security-group-rules", {"security_group_rule": rule(2)}, "security_group_rule")
    api.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    subnet = {"network_id": network["id"], "cidr": "10.0.1.0/24"}
    refused("subnets", {"subnet": subnet}, "subnet")
    refused("networks", {"network": {"project_id": "gold"}}, "network")
    assert api("POST", "/v2.0/networks", {"network": {"project_id": "silver"}}).status == 201


def test_updates_are_limited_too(api: Client) -> None:
    group = api.make("address_group", name="g", project_id="zinc", addresses=["10.0.0.1", "10.0.0.2"])
    api("PUT", "/v2.0/quotas/zinc", {"quota": {"address_group_address": 3}})
    path = f"/v2.0/address-groups/{group['id']}"

    def add(*addresses: str) -> Answer:
        return api("PUT", f"{path}/add_addresses", {"addresses": addresses})

    refused = add("10.0.0.3", "10.0.0.4")
    assert (refused.status, refused.kind) == (409, "OverQuota")
    assert add("10.0.0.3", "10.0.0.2").status == 200
    assert api("PUT", path, {"address_group": {"name": "h"}}).status == 200, "it may not grow"
    assert add("10.0.0.4").status == 409


def test_the_number_of_tags_is_limited(api: Client) -> None:
    """Both for tags that are added one by one and for tags that are added together."""
    path = f"/v2.0/networks/{api.make('network')['id']}/tags"
    assert api("PUT", path, {"tags": [str(number) for number in range(49)]}).status == 200
    assert [api("PUT", f"{path}/{tag}").status for tag in ("49", "49", "50")] == [201, 201, 400]
    assert len(api("GET", path).one) == 50


def test_a_limit_below_the_current_count_needs_force(api: Client) -> None:
    api.make("network", name="n", project_id="iron")
    path = "/v2.0/quotas/iron"
    low = api("PUT", path, {"quota": {"network": 0, "check_limit": True}})
    message = "Quota limit 0 for network must be greater than or equal to already used 1"
    assert (low.status, low.message) == (400, message)
    assert api("PUT", path, {"quota": {"network": 0, "force": True}}).one["network"] == 0
    assert api("PUT", path, {"quota": {"network": -1}}).one["network"] == -1
