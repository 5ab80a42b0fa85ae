"""Who is authenticated, and what each role may see and do."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.certificates import Authority
from lab.controller import Controller
from lab.process import LabError
from tests.api.client import Client, Shell, client_environment, controller_with

ADMIN = "admin-token-0123456789"
RED = "red-token-0123456789ab"
RED_READER = "red-reader-0123456789"
BLUE = "blue-token-0123456789"
RESETS = 100
TOKENS = f"""
- {{token: {ADMIN}, project: ops, role: admin}}
- {{token: {RED}, project: red, role: member}}
- {{token: {RED_READER}, project: red, role: reader}}
- {{token: {BLUE}, project: blue}}
- {{certificate: blue-client, project: blue, role: member}}
"""

Start = Callable[..., Controller]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    path.write_text(TOKENS)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded(private_network: None, tokens: Path) -> Iterator[Controller]:
    options = [f"--sgctl-api-tokens={tokens}", "--sgctl-api-rate=100000", "--sgctl-api-quota=address_group=2"]
    with controller_with(*options) as running:
        yield running


def client(guarded: Controller, token: str = "") -> Client:
    return Client(guarded.wsapi_port, token)


def test_requests_without_a_token_are_refused(guarded: Controller) -> None:
    for token in ("", "wrong-token-0123456789", RED[:-1]):
        answer = client(guarded, token)("GET", "/v2.0/networks")
        assert (answer.status, answer.kind) == (401, "Unauthorized")
        assert client(guarded, token)("GET", "/compute/v2.1/servers").status == 401
    for path in ("/", "/v2.0", "/identity/v3", "/compute/v2.1"):
        assert client(guarded)("GET", path).status == 200


def test_projects_do_not_see_each_other(guarded: Controller) -> None:
    red, blue, admin = (client(guarded, token) for token in (RED, BLUE, ADMIN))
    network = red.make("network", name="red")
    subnet = red.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    group = red.make("security_group", name="red")
    port = red.make("port", network_id=network["id"], device_id="red-vm")
    rule = group["security_group_rules"][0]
    assert group["project_id"] == port["project_id"] == rule["project_id"] == "red"
    for path in (
        f"networks/{network['id']}",
        f"security-groups/{group['id']}",
        f"ports/{port['id']}",
        f"security-group-rules/{rule['id']}",
        f"subnets/{subnet['id']}",
    ):
        assert red("GET", f"/v2.0/{path}").status == 200
        assert admin("GET", f"/v2.0/{path}").status == 200
        assert blue("GET", f"/v2.0/{path}").status == 404
        assert blue("DELETE", f"/v2.0/{path}").status == 404
        assert blue("PUT", f"/v2.0/{path}/tags", {"tags": []}).status == 404
    for path in ("networks", "subnets", "ports", "security-groups", "security-group-rules"):
        assert all(each["project_id"] in ("blue", "") for each in blue.list(path)), path
    assert blue("GET", "/compute/v2.1/servers/red-vm").status == 404
    assert (
        blue("POST", "/compute/v2.1/servers/red-vm/action", {"addSecurityGroup": {"name": "default"}}).status
        == 404
    )


def test_projects_do_not_use_each_others_objects(guarded: Controller) -> None:
    red, blue = client(guarded, RED), client(guarded, BLUE)
    network, group = red.make("network", name="red"), red.make("security_group", name="red")
    own = blue.make("security_group", name="blue")
    before = blue.everything()
    refused = [
        ("ports", {"port": {"network_id": network["id"]}}, 404),
        ("subnets", {"subnet": {"network_id": network["id"], "cidr": "10.0.0.0/24"}}, 404),
        ("security-group-rules", rule(group["id"]), 404),
        ("security-group-rules", rule(own["id"], remote_group_id=group["id"]), 404),
        ("networks", {"network": {"project_id": "red"}}, 403),
        ("networks", {"network": {"provider:segmentation_id": 5, "provider:network_type": "vlan"}}, 403),
    ]
    for path, body, status in refused:
        assert blue("POST", f"/v2.0/{path}", body).status == status, body
    assert blue.everything() == before


def rule(group: str, **more: Any) -> Any:
    return {"security_group_rule": {"security_group_id": group, "direction": "ingress", **more}}


def test_objects_without_a_project_are_readable_by_all(guarded: Controller) -> None:
    admin, red = client(guarded, ADMIN), client(guarded, RED)
    network = admin.make("network", name="common", project_id="")
    subnet = admin.make("subnet", network_id=network["id"], cidr="10.5.0.0/24")
    path = f"/v2.0/networks/{network['id']}"
    assert red("GET", path).one["shared"] is True
    for method, target in (("PUT", path), ("DELETE", path), ("DELETE", f"/v2.0/subnets/{subnet['id']}")):
        assert red(method, target, {"network": {"name": "mine"}}).status == 403
    assert red.make("port", network_id=network["id"])["fixed_ips"]
    pair = [{"ip_address": "10.5.0.99"}]
    for spoofing in (
        {"port_security_enabled": False},
        {"mac_address": "02:00:00:00:00:77"},
        {"allowed_address_pairs": pair},
    ):
        answer = red("POST", "/v2.0/ports", {"port": {"network_id": network["id"], **spoofing}})
        assert (answer.status, answer.kind) == (403, "PolicyNotAuthorized"), spoofing


def test_readers_only_read(guarded: Controller) -> None:
    red, reader = client(guarded, RED), client(guarded, RED_READER)
    group = red.make("security_group", name="read me")
    path = f"/v2.0/security-groups/{group['id']}"
    assert reader("GET", path).status == 200
    assert reader("POST", "/v2.0/security-groups", {"security_group": {}}).status == 403
    assert reader("PUT", path, {"security_group": {"name": "x"}}).status == 403
    assert reader("DELETE", path).status == 403
    assert reader("PUT", f"{path}/tags/x").status == 403
    assert red("GET", path).one == group


def test_quota(guarded: Controller) -> None:
    blue = client(guarded, BLUE)
    two = [{"name": "one"}, {"name": "two"}]
    assert blue("POST", "/v2.0/address-groups", {"address_groups": [*two, {}]}).kind == "OverQuota"
    assert blue("POST", "/v2.0/address-groups", {"address_groups": two}).status == 201
    answer = blue("POST", "/v2.0/address-groups", {"address_group": {}})
    assert (answer.status, answer.kind) == (409, "OverQuota")
    assert blue("GET", "/v2.0/quotas/blue/details").one["address_group"] == {
        "limit": 2,
        "used": 2,
        "reserved": 0,
    }


def test_admins_change_quotas_and_projects_read_their_own(guarded: Controller) -> None:
    admin, red, blue = (client(guarded, token) for token in (ADMIN, RED, BLUE))
    mine, path = {"quota": {"port": 500}}, "/v2.0/quotas/red"
    for method, body in (("PUT", mine), ("DELETE", None)):
        answer = red(method, path, body)
        assert (answer.status, answer.kind) == (403, "PolicyNotAuthorized")
    assert admin("PUT", path, mine).one["port"] == 500
    assert red("GET", path).one["port"] == 500
    assert [each["project_id"] for each in red("GET", "/v2.0/quotas").one] == ["red"]
    assert blue("GET", path).status == 404
    assert blue("GET", "/v2.0/quotas").one == []
    projects = {each["id"] for each in admin("GET", "/identity/v3/projects").document["projects"]}
    assert projects >= {"ops", "red"}
    assert "" not in projects
    assert [each["id"] for each in red("GET", "/identity/v3/projects").document["projects"]] == ["red"]
    assert admin("DELETE", path).status == 204


def test_only_admins_change_what_affects_other_networks(guarded: Controller) -> None:
    admin, red, blue = (client(guarded, token) for token in (ADMIN, RED, BLUE))
    for stated in ({"address_scope": "corp"}, {"connection_limit": 5}):
        assert red("POST", "/v2.0/networks", {"network": stated}).kind == "PolicyNotAuthorized"
    network = red.make("network", name="habits", egress_default="open-until-rule")
    path = f"/v2.0/networks/{network['id']}"
    limit = {"network": {"connection_limit": 5}}
    assert red("PUT", path, limit).status == 403
    assert admin("PUT", path, limit).status == 200
    assert red("PUT", path, {"network": {"connection_limit": 5, "name": "same"}}).status == 200
    foreign = blue.make("security_group", name="foreign")["id"]
    assert red("PUT", path, {"network": {"default_group": foreign}}).kind == "SecurityGroupNotFound"
    shared = admin.make("network", name="for all", project_id="")
    port = {"network_id": shared["id"], "permitted_ethertypes": ["0x88cc"]}
    assert red("POST", "/v2.0/ports", {"port": port}).status == 403
    assert red("POST", "/v2.0/ports", {"port": {**port, "network_id": network["id"]}}).status == 201


def test_the_log_contains_no_secrets(guarded: Controller) -> None:
    client(guarded, RED)("POST", "/v2.0/security-groups", b"{")
    client(guarded, "mistyped-secret-token")("GET", "/v2.0/networks")
    login(client(guarded), RED)
    log = guarded.log.read_text()
    assert not [secret for secret in (ADMIN, RED, BLUE, "mistyped-secret") if secret in log]


def login(unknown: Client, password: str) -> Any:
    user = {"name": "red", "domain": {"id": "default"}, "password": password}
    identity = {"methods": ["password"], "password": {"user": user}}
    return unknown("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity}})


def test_login(guarded: Controller) -> None:
    answer = login(client(guarded), RED)
    assert answer.status == 201
    assert answer.headers["X-Subject-Token"] == RED
    token = answer.one
    assert token["project"]["id"] == "red"
    assert {entry["type"] for entry in token["catalog"]} >= {"network", "compute"}
    assert login(client(guarded), "wrong-password-12345").status == 401


def test_the_openstack_client_with_a_password(openstack_client: None, guarded: Controller) -> None:
    settings = {
        "OS_AUTH_URL": f"http://127.0.0.1:{guarded.wsapi_port}/identity/v3",
        "OS_USERNAME": "anybody",
        "OS_PASSWORD": BLUE,
        "OS_PROJECT_NAME": "blue",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": "RegionOne",
    }
    shell = Shell(client_environment(**settings))
    try:
        assert shell.json("security group create by-password")["project_id"] == "blue"
        assert "by-password" in shell("security group list --project blue")
        shell("network create n1")
        shell("port create --network n1 --device vm p1")
        shell("server add security group vm by-password")
        assert "by-password" in shell("server show vm")
        assert shell.json("quota show --network")
    finally:
        shell.close()


def refused(private_network: None, options: list[str]) -> str:
    """The error of a controller that does not start."""
    with pytest.raises(LabError) as error, controller_with(*options):
        pass
    return str(error.value)


def test_other_addresses_need_tokens(private_network: None) -> None:
    for host in ("0.0.0.0", "::"):
        assert "would be open to all" in refused(private_network, [f"--wsapi-host={host}"])


def test_wrong_token_files(private_network: None, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    option = [f"--sgctl-api-tokens={path}"]
    assert "No such file" in refused(private_network, option)
    path.write_text(TOKENS)
    path.chmod(0o644)
    assert "chmod 600" in refused(private_network, option)
    path.chmod(0o600)
    for text, complaint in (
        ("- {token: short, project: x}", "shorter than 16"),
        ("- {token: 0123456789abcdefXYZ, project: x, role: root}", "a role of"),
        ("tokens: {", "not YAML"),
    ):
        path.write_text(text)
        said = refused(private_network, option)
        assert complaint in said
        assert "0123456789abcdefXYZ" not in said


def test_rate_limit(private_network: None) -> None:
    with controller_with("--sgctl-api-rate=5") as running:
        answers = [Client(running.wsapi_port)("GET", "/v2.0") for _ in range(40)]
    limited = [answer for answer in answers if answer.status == 429]
    assert 10 <= len(limited) <= 20
    assert limited[0].headers["Retry-After"] == "1"
    assert {answer.status for answer in answers} == {200, 429}


def test_requests_from_web_pages_are_refused(api: Client) -> None:
    assert api("GET", "/v2.0/networks", Origin="http://example.org").status == 403
    assert api("GET", "/v2.0/networks", Host="example.org:9696").status == 403
    assert api("GET", "/v2.0/networks", Host="localhost:9696").status == 200


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server certificate for 127.0.0.1, and two clients' certificates."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    authority.issue("server", alternative="IP:127.0.0.1")
    authority.issue("blue-client")
    authority.issue("stranger")
    return authority.directory


def over_tls(port: int, certificates: Path, name: str = "", token: str = "") -> int:
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    if name:
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("GET", "/v2.0/networks", headers={"X-Auth-Token": token} if token else {})
        response = connection.getresponse()
        json.loads(response.read())
        return response.status
    finally:
        connection.close()


def tls_options(certificates: Path, *more: str) -> list[str]:
    return [
        f"--sgctl-api-certificate={certificates}/server.pem",
        f"--sgctl-api-key={certificates}/server.key",
        f"--sgctl-api-client-ca={certificates}/ca.pem",
        *more,
    ]


def test_tls_with_tokens_and_certificates(private_network: None, certificates: Path, tokens: Path) -> None:
    options = tls_options(certificates, f"--sgctl-api-tokens={tokens}", "--wsapi-host=0.0.0.0")
    with controller_with(*options) as running:
        port = running.wsapi_port
        with socket.create_connection(("127.0.0.1", port)):  # says nothing, and holds up nobody
            assert over_tls(port, certificates) == 401
        assert over_tls(port, certificates, token=RED) == 200
        assert over_tls(port, certificates, "blue-client") == 200
        assert over_tls(port, certificates, "stranger") == 401
        os.kill(running.api_pid, signal.SIGSTOP)  # a busy API
        for _ in range(RESETS):
            send_and_reset(port)
        os.kill(running.api_pid, signal.SIGCONT)
        assert over_tls(port, certificates, token=RED) == 200
        assert "cannot accept a connection" not in running.log.read_text()


def send_and_reset(port: int) -> None:
    """Reset a connection before it is accepted, with data that nobody has read."""
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(b"a byte")
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_certificate_without_a_role_is_refused(private_network: None, certificates: Path) -> None:
    """A certificate authority confirms identities; it does not grant roles."""
    said = refused(private_network, tls_options(certificates))
    assert "--sgctl-api-client-ca needs --sgctl-api-tokens" in said
