"""`sgctl NOUN VERB`: the OpenStack client's commands, on the policy database."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, SecurityGroup
from sgctl.attributes.attribute import Attribute, CommandOption, Place
from sgctl.attributes.plain import DEFAULTS, plain
from tests.cli.conftest import Cli, Enforcer
from tests.declared import good_values

SEEN = "; only those of tcp, udp and sctp"


@pytest.fixture
def blue(cli: Cli) -> Cli:
    """A network, and the group `web`."""
    assert cli("network", "create", "blue", "--subnet", "10.0.0.0/24", "--subnet", "2001:db8::/64").code == 0
    assert cli("security", "group", "create", "web").code == 0
    return cli


def _show(cli: Cli, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli(*words, "-o", "json").out)
    return found


def _fields(text: str) -> dict[str, str]:
    """A table of fields and values."""
    lines = text.splitlines()
    assert lines[0].split() == ["FIELD", "VALUE"]
    return {line.split()[0]: line.partition(" ")[2].strip() for line in lines[1:]}


def test_the_commands_of_the_openstack_client_work_with_another_first_word(cli: Cli) -> None:
    made = _fields(cli("security", "group", "create", "taylor").out)
    assert (made["name"], made["stateful"], made["rule_count"]) == ("taylor", "yes", "2")
    arguments = ("--ingress", "--protocol", "tcp", "--dst-port", "22", "--ethertype", "IPv4", "taylor")
    made = _fields(cli("security", "group", "rule", "create", *arguments).out)
    assert (made["security_group"], made["ports"], made["remote"]) == ("taylor", "22", "any")
    rules = cli("security", "group", "rule", "list", "taylor").out.splitlines()
    assert [line.split()[1:5] for line in rules[1:]] == [
        ["taylor", "egress", "IPv4", "any"],
        ["taylor", "egress", "IPv6", "any"],
        ["taylor", "ingress", "IPv4", "tcp"],
    ]
    assert cli("security", "group", "list", "-o", "name").out == "security-group/taylor\n"


def test_a_network_is_made_changed_and_deleted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _show(cli, "network", "create", "blue", "--provider-segment", "7", "--tag", "a", "--project", "p")
    monkeypatch.setenv("SGCTL_PROJECT", "p")
    assert [made[field] for field in ("segmentation_id", "tags", "project_id")] == [7, ["a"], "p"]
    cli("security-group", "create", "base")
    words = ("--subnet", "10.0.0.0/24", "--tag", "b", "--default-group", "base", "--name", "azure")
    changed = _show(cli, "network", "set", "blue", *words, "--egress-default", "open-until-rule")
    assert changed["id"] == made["id"]
    assert changed["tags"] == ["a", "b"]
    assert [changed[field] for field in ("name", "subnets", "default_group", "egress_default")] == [
        "azure",
        ["10.0.0.0/24"],
        "base",
        "open-until-rule",
    ]
    away = ("--default-group", "--provider-segment", "--subnet", "10.0.0.0/24", "--tag", "a")
    changed = _show(cli, "network", "unset", "azure", *away)
    assert [changed[field] for field in ("default_group_id", "segmentation_id", "subnets", "tags")] == [
        None,
        None,
        [],
        ["b"],
    ]
    assert changed["egress_default"] == "open-until-rule"
    assert changed["revision_number"] == 2
    assert cli("network", "list", "--tags", "b", "-o", "name").out == "network/azure\n"
    assert json.loads(cli("network", "list", "--tags", "a", "-o", "json").out) == []
    assert cli("network", "delete", "azure").out == "Network azure deleted\n"


def test_the_options_of_a_network_can_be_set(cli: Cli) -> None:
    made = _show(cli, "network", "create", "blue", "--connection-limit", "1000", "--address-scope", "corp")
    assert (made["connection_limit"], made["address_scope"]) == (1000, "corp")
    assert _show(cli, "network", "set", "blue", "--connection-limit", "9")["connection_limit"] == 9
    assert cli("network", "set", "blue", "--connection-limit", "0").errors == [
        "Network blue: connection_limit: must be from 1 to 2147483647, not 0"
    ]
    wide = cli("network", "list", "--long").out.splitlines()
    assert "CONNECTION LIMIT" in wide[0]
    away = _show(cli, "network", "unset", "blue", "--connection-limit", "--address-scope")
    assert (away["connection_limit"], away["address_scope"]) == (None, None)


DECLARED = [
    pytest.param(noun, kind, each, each.option, id=f"{noun}-{each.name}")
    for noun, kind in (
        ("network", Network),
        ("address group", AddressGroup),
        ("security group", SecurityGroup),
        ("port", Port),
    )
    for each in plain(kind, Place.MANIFEST)
    if each.option is not None
]
"""The attributes that only their declarations handle."""


@pytest.mark.parametrize(("noun", "kind", "attribute", "option"), DECLARED)
def test_a_declared_attribute(
    blue: Cli, noun: str, kind: type[PolicyObject], attribute: Attribute, option: CommandOption
) -> None:
    words, name = noun.split(), attribute.name
    home = ["--network", "blue"] if kind is Port else []
    before = _show(blue, *words, "create", "x", *home)[name]
    assert before == attribute.value_type.show(DEFAULTS[kind][attribute.field])
    for value in good_values(attribute):
        if isinstance(value, bool):
            stated = [option.name.split("/")[0 if value else 1]]
        else:
            stated = [option.name, str(value)]
        assert _show(blue, *words, "set", "x", *stated)[name] == value
        assert _show(blue, *words, "show", "x")[name] == value
        exported = [
            each for each in yaml.safe_load_all(blue("export").out) if each["metadata"]["name"] == "x"
        ]
        assert exported[0]["spec"].get(name, before) == value
        assert _show(blue, *words, "create", "y", *home, *stated)[name] == value
        assert blue(*words, "delete", "y").code == 0
    if option.unset:
        assert _show(blue, *words, "unset", "x", option.name)[name] == before
    if attribute.title:
        assert attribute.title in blue(*words, "list", *(["--long"] if attribute.wide else [])).out


def test_a_port_can_have_permitted_ethertypes(blue: Cli) -> None:
    words = ("--permitted-ethertype", "0x88cc", "--permitted-ethertype", "34825")
    made = _show(blue, "port", "create", "p", "--network", "blue", *words)
    assert made["permitted_ethertypes"] == ["0x8809", "0x88cc"]
    assert "0x8809, 0x88cc" in blue("port", "list", "--long").out
    away = _show(blue, "port", "unset", "p", "--permitted-ethertype", "0x88CC")
    assert away["permitted_ethertypes"] == ["0x8809"]
    for wrong in ("0x0800", "0x8100"):
        assert blue("port", "set", "p", "--permitted-ethertype", wrong).errors == [
            f"Port p: permitted_ethertypes: {wrong} is no Ethernet type that can be permitted"
        ]
    for wrong in ("lldp", "0x10000", "-1"):
        assert blue("port", "set", "p", "--permitted-ethertype", wrong).errors == [
            "Port p: permitted_ethertypes[1]: must be an Ethernet type from 0x0600 to 0xffff, such as 0x88cc"
        ]
    bare = _show(blue, "port", "set", "p", "--no-permitted-ethertype")
    assert bare["permitted_ethertypes"] == []


def test_a_new_group_has_neutrons_default_rules_unless_told_otherwise(cli: Cli) -> None:
    cli("security-group", "create", "bare", "--no-default-rules", "--stateless", "--description", "d")
    shown = _show(cli, "security-group", "show", "bare")
    assert (shown["rules"], shown["stateful"], shown["description"]) == ([], False, "d")
    assert _show(cli, "security-group", "set", "bare", "--stateful")["stateful"] is True
    taken = cli("security-group", "create", "bare")
    assert taken.errors == ["SecurityGroup bare: there is already a security group 'bare'"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--egress", "--protocol", "udp", "--dst-port", "137:139"), ("udp", "137-139", "any")),
        (("--protocol", "icmp", "--icmp-type", "8", "--icmp-code", "0"), ("icmp", "type 8 code 0", "any")),
        (("--protocol", "icmp", "--ethertype", "IPv6"), ("ipv6-icmp", "", "any")),
        (("--remote-group", "web", "--protocol", "any"), ("any", "", "group web")),
        (("--remote-ip", "2001:db8::/64"), ("any", "", "2001:db8::/64")),
        (("--remote-address-group", "monitors"), ("any", "", "address group monitors")),
        (("--remote-network", "blue"), ("any", "", "network blue")),
    ],
)
def test_rules_with_every_kind_of_attribute(
    blue: Cli, arguments: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    blue("address-group", "create", "monitors", "--address", "192.0.2.0/24")
    made = _show(blue, "security-group", "rule", "create", "web", *arguments)
    assert (made["protocol"], made["ports"], made["remote"]) == expected
    assert made["direction"] == ("egress" if "--egress" in arguments else "ingress")
    assert made["ip_dscp"] is None
    assert made["ethertype"] == ("IPv6" if "IPv6" in arguments or ":" in arguments[1][3:] else "IPv4")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--protocol", "tpc"), "SecurityGroup web: protocol: 'tpc' is no protocol; did you mean tcp?"),
        (
            ("--remote-group", "nobody"),
            "SecurityGroup web: remote_group: there is no security group 'nobody'",
        ),
        (
            ("--protocol", "tcp", "--dst-port", "80:22"),
            "SecurityGroup web: ports: 80-22 ends before it begins",
        ),
        *(
            (
                ("--protocol", name, "--dst-port", "22"),
                f"SecurityGroup web: ports: the switch cannot see the ports of {name}{SEEN}",
            )
            for name in ("dccp", "udplite")
        ),
        (
            ("--protocol", "ipv6-icmp", "--ethertype", "IPv4"),
            "SecurityGroup web: protocol: 58 (ipv6-icmp) is for IPv6; for IPv4 use 1 (icmp)",
        ),
        (("--icmp-type", "8"), "SecurityGroup web: type: only goes with protocol icmp or icmpv6"),
        (
            ("--remote-ip", "10.0.0.1/24"),
            "SecurityGroup web: remote_ip_prefix: '10.0.0.1/24' has host bits set; did you mean 10.0.0.0/24?",
        ),
        (
            ("--remote-ip", "10.0.0.0/8", "--remote-group", "web"),
            "SecurityGroup web: remote_ip_prefix and remote_group exclude each other",
        ),
        (("--egress", "--remote-ip", "0.0.0.0/0"), "SecurityGroup web: rule 16 permits the same"),
    ],
)
def test_invalid_rules_are_refused(blue: Cli, arguments: tuple[str, ...], error: str) -> None:
    assert blue("security-group", "rule", "create", "web", *arguments).errors == [error]
    assert _show(blue, "security-group", "show", "web")["rule_count"] == 2


def test_a_rule_may_name_a_dscp(blue: Cli) -> None:
    voice = ("--protocol", "udp", "--dst-port", "5060", "--ip-dscp")
    made = _show(blue, "security-group", "rule", "create", "web", *voice, "46")
    assert made["ip_dscp"] == 46
    assert _show(blue, "security-group", "rule", "create", "web", *voice, "0")["ip_dscp"] == 0
    same = blue("security-group", "rule", "create", "web", *voice, "46")
    assert same.errors == [f"SecurityGroup web: rule {made['number']} permits the same"]
    listed = blue("security-group", "rule", "list", "web").out.splitlines()
    assert [line.split()[5:8] for line in listed if " udp " in line] == [
        ["5060", "46", "any"],
        ["5060", "0", "any"],
    ]
    described = blue("security-group", "show", "web", "-o", "table").out
    assert "ingress IPv4 udp 5060 with DSCP 46 from anywhere" in described
    exported = blue("export").out
    assert "ip_dscp: 46" in exported
    assert "ip_dscp: 0" in exported


@pytest.mark.parametrize("wrong", ["64", "-1", "ef"])
def test_a_dscp_has_6_bits(blue: Cli, wrong: str) -> None:
    refused = blue("security-group", "rule", "create", "web", "--ip-dscp", wrong)
    assert refused.code != 0
    assert "dscp" in refused.err
    assert _show(blue, "security-group", "show", "web")["rule_count"] == 2


def test_a_group_is_shown_with_its_rules_in_words(blue: Cli) -> None:
    blue("security-group", "rule", "create", "web", "--protocol", "tcp", "--dst-port", "22")
    *_, one, two, three = blue("security-group", "show", "web").out.splitlines()
    assert one.split(maxsplit=1) == ["rules", "16: egress IPv4 any protocol to anywhere"]
    assert two.strip() == "17: egress IPv6 any protocol to anywhere"
    assert three.strip() == "18: ingress IPv4 tcp 22 from anywhere"


def test_a_rule_keeps_its_number_when_it_is_renamed(blue: Cli) -> None:
    renamed = _show(blue, "security-group", "rule", "set", "16", "--name", "out", "--tag", "t")
    assert (renamed["number"], renamed["name"], renamed["tags"]) == (16, "out", ["t"])
    assert _show(blue, "security-group", "rule", "unset", "out", "--all-tag")["tags"] == []
    assert blue("security-group", "rule", "delete", "16", "17").out == "Rule out deleted\nRule 17 deleted\n"


def test_rules_are_filtered_by_their_attributes(blue: Cli) -> None:
    blue("security-group", "rule", "create", "web", "--protocol", "6", "--dst-port", "22")
    blue("security-group", "rule", "create", "web", "--protocol", "tcp", "--ethertype", "IPv6")

    def numbers(*options: str) -> list[int]:
        rules = json.loads(blue("security-group", "rule", "list", *options, "-o", "json").out)
        return [rule["number"] for rule in rules]

    assert numbers() == [16, 17, 18, 19]
    assert numbers("--ingress", "web") == [18, 19]
    assert numbers("--egress") == [16, 17]
    assert numbers("--protocol", "tcp", "--ethertype", "IPv6") == [19]
    assert blue("security-group", "rule", "list", "nobody").errors == ["there is no security group 'nobody'"]


def test_a_port_gets_the_next_free_address_and_can_be_changed(blue: Cli) -> None:
    made = _show(
        blue, "port", "create", "web1", "--network", "blue", "--security-group", "web", "--device", "vm"
    )
    assert made["fixed_ips"] == ["10.0.0.2", "2001:db8::2"]
    pair = ("--allowed-address", "ip-address=10.0.0.100,mac-address=02:00:00:00:00:99")
    words = ("--fixed-ip", "subnet=10.0.0.0/24", "--fixed-ip", "ip-address=10.0.0.50", *pair)
    changed = _show(blue, "port", "set", "web1", "--name", "front", *words, "--disable")
    assert changed["fixed_ips"] == ["10.0.0.2", "2001:db8::2", "10.0.0.3", "10.0.0.50"]
    assert changed["allowed_address_pairs"] == [
        {"mac_address": "02:00:00:00:00:99", "ip_address": "10.0.0.100"}
    ]
    assert (changed["name"], changed["iface_id"], changed["admin_state_up"]) == ("front", "web1", False)
    assert (changed["mac_address"], changed["security_groups"]) == (made["mac_address"], ["web"])
    away = ("--fixed-ip", "ip-address=10.0.0.2", "--security-group", "web", "--device", *pair)
    changed = _show(blue, "port", "unset", "front", *away)
    assert (changed["fixed_ips"][0], changed["security_groups"], changed["device_id"]) == (
        "2001:db8::2",
        [],
        "",
    )
    assert changed["allowed_address_pairs"] == []
    again = blue("port", "unset", "front", "--security-group", "web")
    assert (again.code, again.errors) == (1, ["Port front: web is not among its security groups"])
    bare = _show(blue, "port", "set", "front", "--no-fixed-ip", "--enable")
    assert (bare["fixed_ips"], bare["admin_state_up"]) == ([], True)


def test_an_invalid_port_is_refused_with_all_reasons(blue: Cli) -> None:
    blue("port", "create", "a", "--network", "blue", "--mac-address", "02:00:00:00:00:01")
    words = ("--mac-address", "02:00:00:00:00:01", "--fixed-ip", "10.9.9.9")
    errors = blue("port", "create", "b", "--network", "blue", *words).errors
    assert errors == [
        "Port b: fixed_ips: 10.9.9.9, which is in no subnet of network blue (10.0.0.0/24, 2001:db8::/64)",
        "Port b: mac_address: 02:00:00:00:00:01 is already the address of port a on this network",
    ]
    assert blue("port", "create", "c", "--network", "red").errors == [
        "Port c: network: there is no network 'red'"
    ]
    assert blue("port", "create", "d").code == 2


def test_ports_are_filtered_by_their_attributes(blue: Cli) -> None:
    blue("port", "create", "a", "--network", "blue", "--security-group", "web", "--device", "vm1")
    blue("port", "create", "b", "--network", "blue")

    def names(*options: str) -> list[str]:
        return blue("port", "list", *options, "-o", "name").out.split()

    assert names() == ["port/a", "port/b"]
    assert names("--security-group", "web") == ["port/a"]
    assert names("--fixed-ip", "ip-address=10.0.0.3") == ["port/b"]
    assert names("--server", "vm1", "--network", "blue") == ["port/a"]


def test_address_groups(cli: Cli) -> None:
    made = _show(cli, "address", "group", "create", "monitors", "--address", "192.0.2.0/24")
    assert made["addresses"] == ["192.0.2.0/24"]
    changed = _show(cli, "address-group", "set", "monitors", "--address", "2001:db8::1")
    assert changed["addresses"] == ["192.0.2.0/24", "2001:db8::1"]
    changed = _show(cli, "address-group", "unset", "monitors", "--address", "192.0.2.0/24")
    assert changed["addresses"] == ["2001:db8::1"]
    assert cli("address-group", "delete", "monitors", "none", "--ignore-missing").code == 0


def test_a_change_can_be_waited_for(cli: Cli, enforcer: Enforcer) -> None:
    assert cli("network", "create", "blue", "--wait", "-o", "name") == (0, "network/blue\n", "")
    assert cli("network", "delete", "blue", "--wait").code == 0
