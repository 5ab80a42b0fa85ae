"""Filters, order, fields and pages of lists; tags; discovery."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.client import Client

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")


@pytest.fixture(scope="module")
def ports(api: Client) -> dict[str, Any]:
    network = api.make("network", name="lists")
    api.make("subnet", network_id=network["id"], cidr="10.3.0.0/24")
    return {
        name: api.make(
            "port", network_id=network["id"], name=name, device_id=f"d{number % 2}", tags=["all", name]
        )
        for number, name in enumerate(NAMES)
    }


def found(api: Client, ports: dict[str, Any], query: str) -> list[str]:
    network = next(iter(ports.values()))["network_id"]
    return [port["name"] for port in api.list("ports", f"network_id={network}&{query}")]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=alpha", ["alpha"]),
        ("name=alpha&name=beta", ["alpha", "beta"]),
        ("device_id=d1", ["beta", "delta"]),
        ("device_id=d1&name=beta&name=gamma", ["beta"]),
        ("admin_state_up=True&name=alpha", ["alpha"]),
        ("admin_state_up=false", []),
        ("status=DOWN&name=alpha", ["alpha"]),
        ("status=ACTIVE", []),
        ("fixed_ips=ip_address%3D10.3.0.3", ["beta"]),
        ("fixed_ips=ip_address%3D10.3.0.3&fixed_ips=ip_address%3D10.3.0.2", ["alpha", "beta"]),
        ("fixed_ips=ip_address_substr%3D10.3.0.&name=gamma", ["gamma"]),
        ("fixed_ips=ip_address%3D10.3.0.200", []),
        ("tags=alpha", ["alpha"]),
        ("tags=all,alpha", ["alpha"]),
        ("tags-any=alpha,beta", ["alpha", "beta"]),
        ("not-tags=all,alpha&name=alpha&name=beta", ["beta"]),
        ("not-tags-any=alpha,beta,gamma", ["delta", "epsilon"]),
        ("binding:host_id=", sorted(NAMES)),
        ("security_groups=00000000-0000-4000-8000-000000000000", []),
    ],
)
def test_filters(api: Client, ports: dict[str, Any], query: str, names: list[str]) -> None:
    assert sorted(found(api, ports, query)) == names


def test_order(api: Client, ports: dict[str, Any]) -> None:
    assert found(api, ports, "sort_key=name") == sorted(NAMES)
    assert found(api, ports, "sort_key=name&sort_dir=desc") == sorted(NAMES, reverse=True)
    assert found(api, ports, "sort_key=name&sort_key=name&sort_dir=asc&sort_dir=desc") == sorted(NAMES)
    both = "sort_key=device_id&sort_dir=desc&sort_key=name&sort_dir=asc"
    assert found(api, ports, both) == ["beta", "delta", "alpha", "epsilon", "gamma"]


def test_fields(api: Client, ports: dict[str, Any]) -> None:
    port = ports["alpha"]
    assert api.list("ports", f"id={port['id']}&fields=id&fields=name") == [
        {"id": port["id"], "name": "alpha"}
    ]
    shown = api("GET", f"/v2.0/ports/{port['id']}?fields=name").document
    assert shown == {"port": {"name": "alpha"}}


def test_pages_forward_and_back(api: Client, ports: dict[str, Any]) -> None:
    network = ports["alpha"]["network_id"]
    path = f"/v2.0/ports?network_id={network}&sort_key=name&limit=2"
    pages, visited = [], []
    while path:
        visited.append(path)
        document = api("GET", path).document
        pages.append([port["name"] for port in document["ports"]])
        path = link(document, "next")
    assert pages == [["alpha", "beta"], ["delta", "epsilon"], ["gamma"]]
    back = []
    path = visited[-1]
    while path:
        document = api("GET", path).document
        back.append([port["name"] for port in document["ports"]])
        path = link(document, "previous")
    assert back == [["gamma"], ["delta", "epsilon"], ["alpha", "beta"]]


def link(document: Any, rel: str) -> str:
    hrefs = [each["href"] for each in document.get("ports_links", ()) if each["rel"] == rel]
    if not hrefs:
        return ""
    parts = urlsplit(hrefs[0])
    return f"{parts.path}?{parts.query}"


def test_tags(api: Client) -> None:
    group = api.make("security_group", name="tagged")
    path = f"/v2.0/security-groups/{group['id']}/tags"
    answer = api("PUT", path, {"tags": ["b", "a"]})
    assert (answer.status, answer.document) == (200, {"tags": ["a", "b"]})
    assert api("PUT", f"{path}/c").status == 201
    assert api("GET", f"{path}/c").status == 204
    assert api("DELETE", f"{path}/a").status == 204
    assert api("GET", path).document == {"tags": ["b", "c"]}
    assert api.show("security_group", group["id"])["revision_number"] == 3
    assert api("DELETE", path).status == 204
    assert api("GET", path).document == {"tags": []}


def test_new_project_gets_its_default_group(api: Client) -> None:
    network = api.make("network", name="young", project_id="young")
    port = api.make("port", network_id=network["id"], project_id="young")
    (default,) = api.list("security-groups", "project_id=young")
    assert port["security_groups"] == [default["id"]]
    assert (default["name"], default["is_default"]) == ("default", True)
    rules = {
        (rule["direction"], rule["ethertype"], rule["remote_group_id"])
        for rule in default["security_group_rules"]
    }
    mine = default["id"]
    assert rules == {
        ("ingress", "IPv4", mine),
        ("ingress", "IPv6", mine),
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
    }


def test_host_bits_are_cleared(api: Client) -> None:
    group = api.make("security_group", name="bits")
    rule = api.make(
        "security_group_rule",
        security_group_id=group["id"],
        direction="ingress",
        remote_ip_prefix="10.1.2.3/8",
    )
    assert rule["normalized_cidr"] == "10.0.0.0/8"


def test_a_remote_network_is_not_shown_as_any_remote(api: Client) -> None:
    network = api.make("network", name="remote")
    api.make("subnet", network_id=network["id"], cidr="10.4.0.0/24")
    group = api.make("security_group", name="remote")
    stated = {"security_group_id": group["id"], "direction": "ingress", "remote_network_id": network["id"]}
    rule = api.make("security_group_rule", **stated)
    assert (rule["remote_network_id"], rule["remote_ip_prefix"]) == (network["id"], "10.4.0.0/24")
    assert api("DELETE", f"/v2.0/networks/{network['id']}").kind == "NetworkInUse"


def test_addresses_of_both_families(api: Client) -> None:
    network = api.make("network", name="dual")
    for version, cidr in ((4, "10.6.0.0/24"), (6, "2001:db8:6::/64")):
        api.make("subnet", network_id=network["id"], ip_version=version, cidr=cidr)
    port = api.make("port", network_id=network["id"])
    assert [each["ip_address"] for each in port["fixed_ips"]] == ["10.6.0.2", "2001:db8:6::2"]
    bare = api.make("port", network_id=network["id"], fixed_ips=[], security_groups=[])
    assert (bare["fixed_ips"], bare["security_groups"]) == ([], [])


@pytest.mark.parametrize("path", ["/", "/v2.0", "/v2.0/", "/compute/v2.1", "/compute/v2.1/", "/identity/v3"])
def test_discovery(api: Client, path: str) -> None:
    document = api("GET", path).document
    version = document.get("version") or document["versions"][0]
    assert version["links"][0]["rel"] == "self"


def test_extensions(api: Client) -> None:
    listed = api("GET", "/v2.0/extensions").one
    for extension in listed:
        assert api("GET", f"/v2.0/extensions/{extension['alias']}").one == extension
    assert api("GET", "/v2.0/extensions/trunk").status == 404


def test_head_is_get_without_the_body(api: Client) -> None:
    answer = api("HEAD", "/v2.0/networks")
    assert (answer.status, answer.document) == (200, None)
