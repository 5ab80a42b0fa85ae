"""Every verb of the OpenStack client for the resources of the API."""

from __future__ import annotations

from itertools import count

import pytest

from tests.api.client import Client, Shell, rows, table

_numbers = count(1)


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"thing{next(_numbers)}"


@pytest.fixture
def network(openstack: Shell, name: str) -> str:
    openstack(f"network create net-{name}")
    openstack(f"subnet create --network net-{name} --subnet-range 10.1.0.0/24 sub-{name}")
    return f"net-{name}"


@pytest.fixture
def port(openstack: Shell, name: str, network: str) -> str:
    openstack(f"port create --network {network} port-{name}")
    return f"port-{name}"


@pytest.fixture
def group(openstack: Shell, name: str) -> str:
    openstack(f"security group create group-{name}")
    return f"group-{name}"


def test_groups(openstack: Shell, group: str) -> None:
    openstack(f"security group set --name {group}-b --description words --stateless {group}")
    shown = table(openstack(f"security group show {group}-b"))
    assert (shown["description"], shown["stateful"]) == ("words", "False")
    openstack(f"security group set --tag one --tag two {group}-b")
    openstack(f"security group unset --tag one {group}-b")
    assert openstack.json(f"security group show {group}-b")["tags"] == ["two"]
    listed = openstack.json("security group list --tags two")
    assert [each["Name"] for each in listed] == [f"{group}-b"]
    openstack(f"security group delete {group}-b")
    gone = openstack.run(f"security group show {group}-b")
    assert gone.code != 0
    assert "No SecurityGroup found" in gone.err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            "--ingress --protocol tcp --dst-port 1000:1100",
            ["tcp", "IPv4", "0.0.0.0/0", "1000:1100", "ingress"],
        ),
        ("--egress --protocol udp --dst-port 53", ["udp", "IPv4", "0.0.0.0/0", "53:53", "egress"]),
        ("--protocol icmp --icmp-type 8 --icmp-code 0", ["icmp", "IPv4", "0.0.0.0/0", "type=8", "ingress"]),
        ("--protocol icmp --ethertype IPv6", ["ipv6-icmp", "IPv6", "::/0", "", "ingress"]),
        (
            "--protocol ipv6-icmp --icmp-type 128 --ethertype IPv6",
            ["ipv6-icmp", "IPv6", "::/0", "type=128", "ingress"],
        ),
        ("--protocol 112", ["vrrp", "IPv4", "0.0.0.0/0", "", "ingress"]),
        ("--protocol any --remote-ip 192.0.2.0/24", ["None", "IPv4", "192.0.2.0/24", "", "ingress"]),
        (
            "--protocol tcp --dst-port 1 --remote-ip 2001:db8::/32 --ethertype IPv6",
            ["tcp", "IPv6", "2001:db8::/32", "1:1", "ingress"],
        ),
        (
            "--protocol tcp --dst-port 1 --remote-ip 192.0.2.7",
            ["tcp", "IPv4", "192.0.2.7/32", "1:1", "ingress"],
        ),
    ],
)
def test_rules(openstack: Shell, group: str, options: str, expected: list[str]) -> None:
    rule = table(openstack(f"security group rule create {options} --description why {group}"))
    _, *listed = rows(openstack(f"security group rule list {group}"))
    assert [row[1:6] for row in listed if row[0] == rule["id"]] == [expected]
    assert table(openstack(f"security group rule show {rule['id']}"))["description"] == "why"
    openstack(f"security group rule delete {rule['id']}")
    _, *listed = rows(openstack(f"security group rule list {group}"))
    assert len(listed) == 2


def test_rules_of_groups_and_address_groups(openstack: Shell, group: str, name: str) -> None:
    openstack(f"address group create --address 192.0.2.7 --address 198.51.100.0/24 {name}")
    remote_group = table(openstack(f"security group rule create --remote-group {group} {group}"))
    remote = table(openstack(f"security group rule create --remote-address-group {name} {group}"))
    assert remote_group["remote_group_id"] == table(openstack(f"security group show {group}"))["id"]
    assert remote["remote_address_group_id"] == openstack.json(f"address group show {name}")["id"]
    in_use = openstack.run(f"address group delete {name}")
    assert in_use.code != 0
    assert "in use" in in_use.err


def test_address_groups(openstack: Shell, name: str) -> None:
    openstack(f"address group create --address 192.0.2.7 {name}")
    openstack(f"address group set --address 2001:db8::/32 --description words {name}")
    openstack(f"address group unset --address 192.0.2.7 {name}")
    shown = openstack.json(f"address group show {name}")
    assert (shown["addresses"], shown["description"]) == (["2001:db8::/32"], "words")
    assert name in openstack("address group list")
    openstack(f"address group delete {name}")
    assert name not in openstack("address group list")


def test_networks_and_subnets(openstack: Shell, name: str) -> None:
    openstack(f"network create --provider-network-type vlan --provider-segment 77 --description words {name}")
    shown = openstack.json(f"network show {name}")
    assert (shown["provider:segmentation_id"], shown["description"]) == (77, "words")
    openstack(f"network set --name {name}b {name}")
    options = (
        "--subnet-range 10.2.0.0/24 --gateway 10.2.0.254 --allocation-pool start=10.2.0.10,end=10.2.0.11"
    )
    openstack(f"subnet create --network {name}b {options} --dns-nameserver 192.0.2.53 sub-{name}")
    subnet = openstack.json(f"subnet show sub-{name}")
    assert subnet["gateway_ip"] == "10.2.0.254"
    assert subnet["allocation_pools"] == [{"start": "10.2.0.10", "end": "10.2.0.11"}]
    openstack(f"subnet set --name sub2-{name} --description more --tag t sub-{name}")
    assert openstack.json(f"subnet show sub2-{name}")["tags"] == ["t"]
    for number, address in enumerate(("10.2.0.10", "10.2.0.11")):
        made = openstack.json(f"port create --network {name}b p{number}-{name}")
        assert made["fixed_ips"][0]["ip_address"] == address
    full = openstack.run(f"port create --network {name}b p3-{name}")
    assert "No more IP addresses available" in full.err
    assert "in use" in openstack.run(f"network delete {name}b").err
    openstack(f"port delete p0-{name} p1-{name}")
    openstack(f"subnet delete sub2-{name}")
    openstack(f"network delete {name}b")
    assert f"{name}b" not in openstack("network list")


def test_ports(openstack: Shell, api: Client, port: str, group: str) -> None:
    shown = openstack.json(f"port show {port}")
    (default,) = (each["id"] for each in api.list("security-groups", "name=default&project_id="))
    assert shown["security_group_ids"] == [default]
    assert shown["fixed_ips"][0]["ip_address"] == "10.1.0.2"
    assert shown["status"] == "DOWN"
    openstack(f"port set --security-group {group} {port}")
    mine = openstack.json(f"security group show {group}")["id"]
    assert sorted(openstack.json(f"port show {port}")["security_group_ids"]) == sorted([default, mine])
    openstack(f"port unset --security-group {group} {port}")
    assert openstack.json(f"port show {port}")["security_group_ids"] == [default]
    openstack(f"port set --fixed-ip ip-address=10.1.0.77 --allowed-address ip-address=10.1.0.100 {port}")
    shown = openstack.json(f"port show {port}")
    assert [each["ip_address"] for each in shown["fixed_ips"]] == ["10.1.0.2", "10.1.0.77"]
    pairs = [{"ip_address": "10.1.0.100", "mac_address": shown["mac_address"]}]
    assert shown["allowed_address_pairs"] == pairs
    openstack(f"port set --no-allowed-address {port}")
    openstack(f"port set --no-security-group --disable-port-security {port}")
    assert openstack.json(f"port show {port}")["port_security_enabled"] is False
    openstack(f"port set --disable --name {port}b --device d1 {port}")
    shown = openstack.json(f"port show {port}b")
    assert (shown["admin_state_up"], shown["device_id"]) == (False, "d1")
    openstack(f"port delete {port}b")
    assert "No Port found" in openstack.run(f"port show {port}b").err


def test_finding_ports(openstack: Shell, port: str, network: str) -> None:
    shown = openstack.json(f"port show {port}")
    for options in (
        f"--network {network}",
        f"--mac-address {shown['mac_address']}",
        f"--fixed-ip ip-address=10.1.0.2 --network {network}",
        f"--security-group {shown['security_group_ids'][0]} --network {network} --long",
        f"--name {port}",
    ):
        assert [each["Name"] for each in openstack.json(f"port list {options}")] == [port], options


def test_servers(openstack: Shell, port: str, group: str, name: str) -> None:
    openstack(f"port set --device vm-{name} {port}")
    openstack(f"server add security group vm-{name} {group}")
    assert group in openstack(f"server show vm-{name}")
    assert f"vm-{name}" in openstack("server list")
    assert [each["Name"] for each in openstack.json(f"port list --server vm-{name}")] == [port]
    openstack(f"port create --network net-{name} second-{name}")
    openstack(f"server add port vm-{name} second-{name}")
    assert len(openstack.json(f"port list --server vm-{name}")) == 2
    assert "in use" in openstack.run(f"security group delete {group}").err
    openstack(f"server remove security group vm-{name} {group}")
    again = openstack.run(f"server remove security group vm-{name} {group}")
    assert "not associated" in again.err
    unknown = openstack.run(f"server add security group vm-{name} nowhere")
    assert "not found" in unknown.err
    openstack(f"security group delete {group}")


def test_refusals_give_the_reason(openstack: Shell, group: str, name: str) -> None:
    openstack(f"security group rule create --protocol tcp --dst-port 22 {group}")
    again = openstack.run(f"security group rule create --protocol tcp --dst-port 22 {group}")
    assert again.code != 0
    assert "409" in again.err
    assert "already exists" in again.err
    openstack(f"security group create {group}")
    twice = openstack.run(f"security group show {group}")
    assert "More than one SecurityGroup exists" in twice.err


def test_extensions(openstack: Shell) -> None:
    assert "security-group" in openstack("extension list --network")
