"""All errors in manifests are reported together, with file, line, document and field."""

from __future__ import annotations

import pytest

from flows.policy.objects import Network, Port
from sgctl.service.errors import Code, Finding, PolicyError, Source
from tests.unit.manifests_support import Policy

BASE = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
spec: {subnets: [10.0.0.0/24]}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: web}
"""


def _doc(kind: str, name: str, spec: str) -> str:
    return f"apiVersion: sgctl/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{spec}\n"


def _group(*rules: str) -> str:
    return _doc("SecurityGroup", "g", "  rules:\n" + "".join(f"  - {rule}\n" for rule in rules))


def _subnet(more: str) -> str:
    return _doc("Network", "n", f"  subnets: [10.0.0.0/24, {{cidr: 10.0.1.0/24, {more}}}]")


def _port(spec: str, name: str = "p") -> str:
    return _doc("Port", name, "  " + spec)


def test_errors_of_all_documents_are_reported_together() -> None:
    policy = Policy()
    findings = policy.findings(
        BASE
        + "---\n"
        + _group("{direction: up}", "{direction: egress, protocol: tpc, remote_group: nobody}"),
        _port("{network: green, fixed_ips: [10.0.0.300], security_groups: [web, dev], device_ids: x}"),
    )
    group = "document 3: SecurityGroup g"
    assert [str(finding) for finding in findings] == [
        f'0.yaml:16: {group}: spec.rules[0].direction: must be ingress or egress, not "up"',
        f"0.yaml:17: {group}: spec.rules[1].remote_group: there is no security group 'nobody'",
        f"0.yaml:17: {group}: spec.rules[1].protocol: 'tpc' is no protocol; did you mean tcp?",
        "1.yaml:5: document 1: Port p: spec.device_ids: is not a known key; did you mean device_id?",
        "1.yaml:5: document 1: Port p: spec.security_groups[1]: there is no security group 'dev'",
        "1.yaml:5: document 1: Port p: spec.fixed_ips[0]: '10.0.0.300' is not an IP address or CIDR",
        "1.yaml:5: document 1: Port p: spec.network: there is no network 'green'",
    ]
    assert not any(policy.objects.values())


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("[]", "", "a document is a mapping, not a list"),
        ("kind: Port", "apiVersion", "is missing"),
        ("apiVersion: sgctl/v1", "kind", "is missing"),
        ("apiVersion: v1\nkind: Port", "kind", '"Port" of "v1" is not known; there is Network of sgctl/v1, '),
        ("apiVersion: sgctl/v1\nkind: Network", "metadata", "is missing"),
        ("apiVersion: sgctl/v1\nkind: Network\nmetadata: {}", "metadata.name", "is missing"),
        (
            "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: 5}",
            "metadata.name",
            "must be text, not 5; quote it",
        ),
        (
            "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: ''}",
            "metadata.name",
            "must not be empty where",
        ),
        (
            _doc("Network", "n", "  segmentation_id: 4095"),
            "spec.segmentation_id",
            "must be from 1 to 4094, not 4095",
        ),
        (
            _doc("Network", "n", "  segmentation_id: true"),
            "spec.segmentation_id",
            "must be a whole number, not true",
        ),
        (_doc("Network", "n", "  subnets: [10.0.0.1/24]"), "spec.subnets[0]", "did you mean 10.0.0.0/24?"),
        (_doc("Network", "n", "  subnet: []"), "spec.subnet", "is not a known key; did you mean subnets?"),
        (_doc("Network", "n", "  defaults: aws"), "spec.defaults", "must be openstack or exoscale or"),
        (_doc("Network", "n", "  default_group: x"), "spec.default_group", "there is no security group 'x'"),
        (
            _doc("Network", "n", "  subnets: [10.0.0.0/8, 10.1.0.0/16]"),
            "spec.subnets",
            "10.0.0.0/8 and 10.1.0.0/16 ov",
        ),
        (_doc("Network", "n", "  subnets: [5]"), "spec.subnets[0]", "must be text or a mapping, not 5"),
        (_doc("Network", "n", "  subnets: [{name: x}]"), "spec.subnets[0].cidr", "is missing"),
        (_subnet("gateway: x"), "spec.subnets[1].gateway", "is not a known key; did you mean gateway_ip?"),
        (_subnet("gateway_ip: 10.0.2.1"), "spec.subnets[1].gateway_ip", "no address of subnet 10.0.1.0/24"),
        (_subnet("gateway_ip: x"), "spec.subnets[1].gateway_ip", "'x' is not an IP address or CIDR"),
        (_subnet("dns_nameservers: [10.0.0.0/8]"), "spec.subnets[1].dns_nameservers", "is a CIDR"),
        (_subnet("dns_nameservers: [x]"), "spec.subnets[1].dns_nameservers[0]", "'x' is not an IP address"),
        (
            _subnet("allocation_pools: [{start: 10.0.1.1, end: '::1'}]"),
            "spec.subnets[1].allocation_pools[0].end",
            "::1 is no address of subnet 10.0.1.0/24",
        ),
        (_subnet("allocation_pools: [{start: 10.0.1.1}]"), "spec.subnets[1].allocation_pools[0].end", "is m"),
        (_subnet("enable_dhcp: maybe"), "spec.subnets[1].enable_dhcp", 'must be true or false, not "maybe"'),
        *(
            (
                _port(f"{{network: blue, permitted_ethertypes: [0x88cc, {value}]}}"),
                "spec.permitted_ethertypes[1]",
                "must be an Ethernet type from 0x0600 to 0xffff",
            )
            for value in ("lldp", "0x10000", "65536", "-1", "0x", "true")
        ),
        (
            _doc("Network", "n", "  {}")
            + "---\n"
            + _port("{network: n, permitted_ethertypes: [0x88cc, 0x0800]}"),
            "spec.permitted_ethertypes",
            "is no Ethernet type that can be permitted",
        ),
        (_doc("AddressGroup", "a", "  {}"), "spec.addresses", "is missing"),
        (
            _doc("AddressGroup", "a", "  addresses: [x]"),
            "spec.addresses[0]",
            "'x' is not an IP address or CIDR",
        ),
        (
            _group("{direction: ingress, protocol: 256}"),
            "spec.rules[0].protocol",
            "256 is no protocol number",
        ),
        (_group("{direction: ingress, protocol: 0}"), "spec.rules[0].protocol", "0 can mean two things"),
        (
            _group("{direction: ingress, ports: 80}"),
            "spec.rules[0].ports",
            "only goes with a protocol that has ports",
        ),
        (_group("{direction: ingress, port_range_min: 80}"), "spec.rules[0].port_range_min", "has no ports"),
        *(
            (
                _group(f"{{direction: ingress, protocol: {protocol}, {ports}}}"),
                f"spec.rules[0].{field}",
                "cannot see",
            )
            for protocol in ("dccp", 33, "udplite", 136)
            for field, ports in (
                ("ports", "ports: 80"),
                ("port_range_min", "port_range_min: 80, port_range_max: 81"),
                ("port_range_max", "port_range_max: 81"),
            )
        ),
        (
            _group("{direction: ingress, protocol: tcp, port_range_min: 80}"),
            "spec.rules[0].port_range_max",
            "is missing",
        ),
        (
            _group("{direction: ingress, protocol: tcp, ports: 9-8}"),
            "spec.rules[0].ports",
            "ends before it begins",
        ),
        (
            _group("{direction: ingress, protocol: tcp, ports: 65536}"),
            "spec.rules[0].ports",
            "neither a port from 0",
        ),
        (
            _group("{direction: ingress, protocol: tcp, ports: -1}"),
            "spec.rules[0].ports",
            "neither a port from 0",
        ),
        (
            _group("{direction: ingress, protocol: tcp, type: 8}"),
            "spec.rules[0].type",
            "only goes with protocol icmp",
        ),
        (_group("{direction: ingress, protocol: icmp, code: 0}"), "spec.rules[0].code", "needs a type"),
        (
            _group("{direction: ingress, protocol: icmp, ports: 8}"),
            "spec.rules[0].ports",
            "only goes with a protocol that has ports",
        ),
        (
            _group("{direction: ingress, protocol: tcp, ports: 8, port_range_min: 8}"),
            "spec.rules[0]",
            "ports and port_range_min and port_range_max exclude each other",
        ),
        (
            _group("{direction: ingress, remote_group: g, remote_ip_prefix: '::/0'}"),
            "spec.rules[0]",
            "remote_ip_prefix and remote_group exclude each other",
        ),
        (
            _group("{direction: ingress, ethertype: IPv6, remote_ip_prefix: 10.0.0.0/8}"),
            "spec.rules[0].remote_ip_prefix",
            "is no IPv6 address",
        ),
        (
            _group("{direction: ingress, protocol: icmpv6, ethertype: IPv4}"),
            "spec.rules[0].protocol",
            "is for IPv6",
        ),
        (
            _group("{direction: ingress, name: a}", "{direction: ingress, name: b}"),
            "spec.rules[1]",
            "permits the same as rules[0]",
        ),
        (_group("5"), "spec.rules[0]", "must be a mapping, not 5"),
        (
            _port("{network: blue, fixed_ips: [10.1.0.1]}"),
            "spec.fixed_ips",
            "10.1.0.1, which is in no subnet of",
        ),
        (
            _port("{network: blue, fixed_ips: [10.0.0.255]}"),
            "spec.fixed_ips",
            "the network or broadcast address of",
        ),
        (_port("{network: blue, fixed_ips: [10.0.0.0/25]}"), "spec.fixed_ips", "is a CIDR, not an address"),
        (_port("{network: blue, fixed_ips: [10.0.0.9, 10.0.0.9]}"), "spec.fixed_ips", "is given twice"),
        (_port("{network: blue, mac_address: 2-0}"), "spec.mac_address", "must be a MAC address such as"),
        (
            _port("{network: blue, mac_address: '03:00:00:00:00:01'}"),
            "spec.mac_address",
            "is a multicast address",
        ),
        (
            _port("{network: blue, allowed_address_pairs: [{ip_address: x}]}"),
            "spec.allowed_address_pairs[0].ip_address",
            "is not an IP address",
        ),
        (
            _port("{network: blue, allowed_address_pairs: [{}]}"),
            "spec.allowed_address_pairs[0].ip_address",
            "is missi",
        ),
        (
            _port("{network: blue, security_groups: [web], port_security_enabled: false}"),
            "spec.security_groups",
            "must be empty while port_security_enabled is false",
        ),
    ],
)
def test_a_wrong_value_is_named_by_its_field(text: str, field: str, reason: str) -> None:
    findings = Policy().findings(BASE, text)
    assert [(finding.source.file, finding.field) for finding in findings] == [("1.yaml", field)]
    assert reason in findings[0].reason


@pytest.mark.parametrize(
    ("first", "second", "field", "reason"),
    [
        (
            "mac_address: '02:00:00:00:00:01'",
            "mac_address: '02:00:00:00:00:01'",
            "mac_address",
            "address of port",
        ),
        (
            "fixed_ips: [10.0.0.5]",
            "fixed_ips: [10.0.0.5]",
            "fixed_ips",
            "10.0.0.5 is already an address of port",
        ),
        ("iface_id: tap", "iface_id: tap", "iface_id", "'tap' already binds port"),
    ],
)
def test_two_ports_may_not_share_an_identity(first: str, second: str, field: str, reason: str) -> None:
    one, two = _port(f"{{network: blue, {first}}}", "one"), _port(f"{{network: blue, {second}}}", "two")
    findings = Policy().findings(BASE, one, two)
    assert [(finding.source.name, finding.field) for finding in findings] == [
        ("one", f"spec.{field}"),
        ("two", f"spec.{field}"),
    ]
    assert all(reason in finding.reason and finding.code is Code.TAKEN for finding in findings)

    policy = Policy()
    policy.apply(BASE, one)
    assert [finding.source.name for finding in policy.findings(two)] == ["two"]


def test_the_same_addresses_are_fine_on_networks_without_a_common_scope() -> None:
    other = BASE.partition("---")[0].replace("blue", "red")
    card = "{{network: {}, fixed_ips: [10.0.0.5], mac_address: '02:00:00:00:00:05', iface_id: {}}}"
    policy = Policy()
    policy.apply(BASE, other, _port(card.format("blue", "a"), "a"), _port(card.format("red", "b"), "b"))
    assert len(policy.objects[Port]) == 2
    scoped = "spec: {subnets: [10.0.0.0/24], address_scope: corp}"
    texts = [text.replace("spec: {subnets: [10.0.0.0/24]}", scoped) for text in (BASE, other)]
    fields = {(finding.source.name, finding.field) for finding in policy.findings(*texts)}
    assert fields == {
        (name, f"spec.{field}") for name in ("blue", "red") for field in ("subnets", "address_scope")
    }
    policy.apply(texts[0])


def test_a_network_cannot_drop_a_subnet_of_its_ports() -> None:
    policy = Policy()
    policy.apply(BASE, _port("{network: blue, fixed_ips: [10.0.0.5]}"))
    moved = BASE.replace("10.0.0.0/24", "10.9.0.0/24")
    assert [(finding.field, finding.reason) for finding in policy.findings(moved)] == [
        ("spec.subnets", "port p has 10.0.0.5, which is in no subnet of network blue (10.9.0.0/24)")
    ]


def test_an_object_stated_twice_is_refused_in_one_file_and_across_files() -> None:
    evroc = _doc("SecurityGroup", "web", "  {}").replace("sgctl/v1", "networking.evroclabs.net/v1alpha1")
    findings = Policy().findings(BASE + "---" + BASE, evroc)
    assert [(str(each.source.at(0)), each.reason) for each in findings] == [
        ("0.yaml: document 3: Network blue", "is stated twice, first in 0.yaml:2: document 1: Network blue"),
        (
            "0.yaml: document 4: SecurityGroup web",
            "is stated twice, first in 0.yaml:7: document 2: SecurityGroup web",
        ),
        (
            "1.yaml: document 1: SecurityGroup web",
            "is stated twice, first in 0.yaml:7: document 2: SecurityGroup web",
        ),
    ]


def test_an_ambiguous_name_is_refused_and_an_id_is_accepted() -> None:
    policy = Policy()
    ids = [f"00000000-0000-4000-8000-00000000000{digit}" for digit in "12"]
    for identifier in ids:
        policy.apply(_doc("SecurityGroup", f"web, id: {identifier}", "  {}"))
    found = policy.findings(_doc("SecurityGroup", "web", "  {}"))
    assert [(each.field, each.code) for each in found] == [("metadata.name", Code.AMBIGUOUS)]
    assert all(identifier in found[0].reason for identifier in ids)
    network = "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: n}\nspec: {default_group: web}\n"
    assert [(each.field, each.code) for each in policy.findings(network)] == [
        ("spec.default_group", Code.AMBIGUOUS)
    ]
    policy.apply(network.replace("default_group: web", f"default_group: {ids[1]}"))
    assert [each.default_group for each in policy.draft().all(Network)] == [ids[1]]


def test_a_broken_document_causes_no_errors_in_others() -> None:
    broken = _doc("SecurityGroup", "app", "  stateful: 5")
    assert Policy().problems(broken, _group("{direction: ingress, remote_group: app}")) == [
        (5, "spec.stateful", "must be true or false, not 5")
    ]


def test_a_finding_without_a_file_names_the_object() -> None:
    policy = Policy()
    policy.apply(BASE, _port("{network: blue}"))
    with pytest.raises(PolicyError) as caught:
        policy.delete((Network, "blue"))
    assert list(map(str, caught.value.findings)) == ["Network blue: in use by port p"]
    assert isinstance(caught.value.findings[0], Finding)


@pytest.mark.parametrize("odd", ["\n", "\r", "\x1b[2J", "\u2028", "\x85"])
def test_an_error_is_one_line_whatever_it_quotes(odd: str) -> None:
    """The input may contain line ends or control characters, to hide a line or to move the cursor."""
    finding = Finding(Source("a.yaml", 1, "Port", f"p{odd}"), f"spec.{odd}x", f"is {odd!s}")
    assert str(finding).isprintable()
    assert len(str(finding).splitlines()) == 1
