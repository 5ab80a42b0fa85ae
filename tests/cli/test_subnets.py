"""`sgctl subnet`, and the details of a subnet that `export` and `apply` keep."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from flows.policy.objects import Network
from sgctl.store import Store
from tests.cli.conftest import Cli

BACKWARDS = "start=10.0.1.9,end=10.0.1.8"
POOL = {"start": "10.0.0.10", "end": "10.0.0.19"}
FULL = (
    *("subnet", "create", "v4", "--network", "blue", "--subnet-range", "10.0.0.0/24"),
    *("--gateway", "10.0.0.254", "--allocation-pool", "start=10.0.0.10,end=10.0.0.19", "--no-dhcp"),
    *("--dns-nameserver", "192.0.2.53", "--description", "offices", "--tag", "a"),
)


@pytest.fixture
def blue(cli: Cli) -> Cli:
    """A network with two subnets: one with all details, one without."""
    assert cli("network", "create", "blue", "--subnet", "2001:db8::/64").code == 0
    made = cli(*FULL)
    assert made.code == 0, made.err
    return cli


def _show(cli: Cli, *words: str) -> Any:
    result = cli(*words, "-o", "json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_subnet_is_created_with_the_given_attributes(blue: Cli) -> None:
    shown = _show(blue, "subnet", "show", "v4")
    expected = {
        "network": "blue",
        "cidr": "10.0.0.0/24",
        "ip_version": 4,
        "gateway_ip": "10.0.0.254",
        "allocation_pools": [POOL],
        "enable_dhcp": False,
        "dns_nameservers": ["192.0.2.53"],
        "description": "offices",
        "tags": ["a"],
        "port_count": 0,
    }
    assert {field: shown[field] for field in expected} == expected
    fields = dict(
        line.split(maxsplit=1) for line in blue("subnet", "show", "v4").out.splitlines() if " " in line
    )
    assert fields["allocation_pools"] == "10.0.0.10-10.0.0.19"
    assert _show(blue, "network", "show", "blue")["subnets"] == ["2001:db8::/64", "10.0.0.0/24"]
    assert _show(blue, "subnet", "show", shown["id"]) == shown
    assert _show(blue, "subnet", "show", "10.0.0.0/24") == shown
    made = _show(blue, "port", "create", "p", "--network", "blue")
    assert made["fixed_ips"] == ["10.0.0.10", "2001:db8::2"]


def test_the_gateway_is_the_first_address_unless_told_otherwise(cli: Cli) -> None:
    cli("network", "create", "blue")
    words = ("subnet", "create", "--network", "blue", "--subnet-range")
    assert _show(cli, *words, "10.0.0.0/24", "a")["gateway_ip"] == "10.0.0.1"
    assert _show(cli, *words, "10.0.1.0/24", "b", "--gateway", "none")["gateway_ip"] is None
    assert _show(cli, "subnet", "set", "b", "--gateway", "auto")["gateway_ip"] == "10.0.1.1"
    assert _show(cli, "subnet", "unset", "b", "--gateway")["gateway_ip"] is None


def test_single_attributes_of_a_subnet_can_be_changed(blue: Cli) -> None:
    more = ("--allocation-pool", "start=10.0.0.30,end=10.0.0.39", "--dns-nameserver", "192.0.2.54")
    changed = _show(blue, "subnet", "set", "v4", "--name", "office", "--dhcp", "--tag", "b", *more)
    assert changed["allocation_pools"] == [POOL, {"start": "10.0.0.30", "end": "10.0.0.39"}]
    assert [changed[field] for field in ("name", "enable_dhcp", "tags")] == ["office", True, ["a", "b"]]
    away = ("--allocation-pool", "start=10.0.0.10,end=10.0.0.19", "--tag", "a")
    changed = _show(blue, "subnet", "unset", "office", *away, "--dns-nameserver", "192.0.2.53")
    assert changed["allocation_pools"] == [{"start": "10.0.0.30", "end": "10.0.0.39"}]
    assert (changed["dns_nameservers"], changed["tags"]) == (["192.0.2.54"], ["b"])
    changed = _show(blue, "subnet", "set", "office", "--no-allocation-pool", "--no-dns-nameservers")
    assert (changed["allocation_pools"], changed["dns_nameservers"]) == ([], [])
    assert _show(blue, "subnet", "set", "2001:db8::/64", "--name", "v6")["gateway_ip"] == "2001:db8::1"


def test_subnets_are_filtered_by_their_attributes(blue: Cli) -> None:
    blue("network", "create", "red", "--subnet", "10.7.0.0/24")

    def names(*options: str) -> list[str]:
        return blue("subnet", "list", *options, "-o", "name").out.split()

    assert names("--network", "blue") == ["subnet/2001:db8::/64", "subnet/v4"]
    assert names("--ip-version", "6") == ["subnet/2001:db8::/64"]
    assert names("--no-dhcp") == names("--gateway", "10.0.0.254") == names("--name", "v4") == ["subnet/v4"]
    assert names("--subnet-range", "10.7.0.0/24", "--network", "red") == ["subnet/10.7.0.0/24"]
    assert blue("get", "subnets", "-o", "name").out.split() == names()
    head, *rows = blue("subnet", "list").out.splitlines()
    assert head.split() == ["NAME", "NETWORK", "CIDR", "GATEWAY", "PORTS"]
    assert ["v4", "blue", "10.0.0.0/24", "10.0.0.254", "0"] in [row.split() for row in rows]
    assert "ports: no ports" in blue("describe", "subnet", "v4").out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("create", "v4", "--subnet-range", "10.0.1.0/24"), "Subnet v4: there is already a subnet 'v4'"),
        (
            ("create", "x", "--subnet-range", "10.0.0.0/25"),
            "Subnet x: cidr: 10.0.0.0/24 and 10.0.0.0/25 overlap",
        ),
        (
            ("create", "x", "--subnet-range", "10.0.1.1/24"),
            "Subnet x: cidr: '10.0.1.1/24' has host bits set; did you mean 10.0.1.0/24?",
        ),
        (
            ("create", "x", "--subnet-range", "10.0.1.0/24", "--gateway", "10.0.2.1"),
            "Subnet x: gateway_ip: 10.0.2.1 is no address of subnet 10.0.1.0/24",
        ),
        (
            ("create", "x", "--subnet-range", "10.0.1.0/24", "--gateway", "router"),
            "Subnet x: gateway_ip: 'router' is not an IP address or CIDR",
        ),
        (
            ("create", "x", "--subnet-range", "10.0.1.0/24", "--allocation-pool", BACKWARDS),
            "Subnet x: allocation_pools: a pool is no range of addresses of subnet 10.0.1.0/24",
        ),
        (
            ("create", "x", "--subnet-range", "10.0.1.0/24", "--allocation-pool", "start=::1,end=10.0.1.8"),
            "Subnet x: allocation_pools[0].start: ::1 is no address of subnet 10.0.1.0/24",
        ),
        (
            ("create", "x", "--subnet-range", "10.0.1.0/24", "--dns-nameserver", "192.0.2.0/24"),
            "Subnet x: dns_nameservers: 192.0.2.0/24 is a CIDR, not an address",
        ),
        (
            ("set", "v4", "--gateway", "10.1.0.1"),
            "Subnet v4: gateway_ip: 10.1.0.1 is no address of subnet 10.0.0.0/24",
        ),
        (("unset", "v4", "--tag", "z"), "Subnet v4: z is not among its tags"),
        (("show", "v5"), "there is no subnet 'v5'"),
    ],
)  # fmt: skip
def test_invalid_values_are_refused_in_one_line(blue: Cli, words: tuple[str, ...], error: str) -> None:
    before = blue("export").out
    network = ("--network", "blue") if words[0] == "create" else ()
    result = blue("subnet", *words, *network)
    assert (result.code, result.errors) == (1, [error])
    assert blue("export").out == before


def test_wrong_arguments_are_usage_errors(blue: Cli) -> None:
    assert blue("subnet", "set", "v4", "--allocation-pool", "10.0.0.1-10.0.0.2").code == 2
    assert blue("subnet", "create", "x", "--network", "blue").code == 2
    assert blue("subnet", "create", "x", "--network", "no", "--subnet-range", "10.9.0.0/24").errors == [
        "there is no network 'no'"
    ]


def test_a_subnet_without_used_addresses_can_be_deleted(blue: Cli) -> None:
    blue("port", "create", "p", "--network", "blue")
    assert blue("subnet", "delete", "v4", "2001:db8::/64").errors == [
        "Subnet v4: in use by port p",
        "Subnet 2001:db8::/64: in use by port p",
    ]
    gone = blue("delete", "subnet/v4", "port/p")
    assert gone.out == "Port p deleted\nSubnet v4 deleted\n"
    assert _show(blue, "network", "show", "blue")["subnets"] == ["2001:db8::/64"]
    assert blue("delete", "subnet/2001:db8::/64", "network/blue").code == 0


def test_an_export_keeps_everything_of_a_subnet(
    blue: Cli, fresh: Callable[[], Store], manifest: Callable[[str], str]
) -> None:
    (before,) = fresh().objects[Network].values()
    text = blue("export").out
    (network,) = yaml.safe_load_all(text)
    assert network["spec"]["subnets"] == [
        "2001:db8::/64",
        {
            "cidr": "10.0.0.0/24",
            "gateway_ip": "10.0.0.254",
            "enable_dhcp": False,
            "name": "v4",
            "description": "offices",
            "allocation_pools": [POOL],
            "dns_nameservers": ["192.0.2.53"],
            "tags": ["a"],
        },
    ]
    file = manifest(text)
    assert blue("apply", "-f", file).out == "Network blue unchanged\n"
    blue("delete", "network", "blue")
    blue("apply", "-f", file)
    (after,) = fresh().objects[Network].values()
    assert isinstance(after, Network)
    assert isinstance(before, Network)
    assert (after.subnets, after.subnet_details) == (before.subnets, before.subnet_details)


def test_subnets_keep_their_details_when_others_are_added_or_removed(blue: Cli) -> None:
    blue("network", "set", "blue", "--subnet", "10.0.0.0/24", "--subnet", "10.0.1.0/24")
    assert _show(blue, "subnet", "show", "v4")["gateway_ip"] == "10.0.0.254"
    blue("network", "unset", "blue", "--subnet", "10.0.0.0/24")
    assert _show(blue, "network", "show", "blue")["subnets"] == ["2001:db8::/64", "10.0.1.0/24"]
    blue("network", "set", "blue", "--subnet", "10.0.0.0/24")
    assert _show(blue, "subnet", "show", "10.0.0.0/24")["name"] == ""


def test_a_plain_cidr_keeps_the_details_of_the_subnet(blue: Cli, manifest: Callable[[str], str]) -> None:
    head = "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: blue}\nspec: "
    before = _show(blue, "subnet", "show", "v4")
    blue("apply", "-f", manifest(head + "{subnets: [10.0.0.0/24]}"))
    after = _show(blue, "subnet", "show", "v4")
    assert {key for key in after if after[key] != before[key]} <= {"updated_at", "revision_number"}
    blue("apply", "-f", manifest(head + "{subnets: [{cidr: 10.0.0.0/24}]}"))
    plain = _show(blue, "subnet", "show", "10.0.0.0/24")
    assert [plain[field] for field in ("name", "gateway_ip", "enable_dhcp")] == ["", "10.0.0.1", True]


def test_the_order_of_subnets_does_not_change_their_details(cli: Cli, manifest: Callable[[str], str]) -> None:
    head = "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: blue}\nspec:\n  subnets:\n"
    file = manifest(head + "".join(f"  - {{cidr: 10.{n}.0.0/16, name: s{n}}}\n" for n in (9, 10, 2, 100)))
    assert cli("apply", "-f", file).out == "Network blue created\n"
    assert cli("apply", "-f", file).out == "Network blue unchanged\n"
    assert cli("subnet", "set", "s10", "--description", "x").code == 0
    assert cli("apply", "-f", file).out == "Network blue updated\n"
    assert cli("apply", "-f", manifest(cli("export").out)).out == "Network blue unchanged\n"
