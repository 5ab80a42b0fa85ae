"""The reference verdict, with examples that are small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flows.policy.objects import (
    AddressGroup,
    AddressPair,
    Direction,
    EgressDefault,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from flows.reference.verdict import Conversation, Exemption, Packet, PolicyText, Refusal, State, judge

WEB, DB, LOOSE = "web", "db", "loose"
A = {
    name: Prefix.parse(text)
    for name, text in {
        "web": "10.0.0.1",
        "db": "10.0.0.2",
        "loose": "10.0.0.3",
        "out": "192.0.2.1",
        "web6": "2001:db8::1",
        "db6": "2001:db8::2",
        "web-ll": "fe80::ff:fe00:1",
        "all": "255.255.255.255",
    }.items()
}
NET = Network("net", "net", subnets=(Prefix.parse("10.0.0.0/24"),))


def port(name: str, number: int, *groups: str, **changes: Any) -> Port:
    addresses = tuple(A[each] for each in (name, f"{name}6") if each in A)
    made = Port(name, name, "net", f"02:00:00:00:00:0{number}", name, addresses, frozenset(groups))
    return replace(made, **changes)


def rule(name: str, group: str, direction: Direction = Direction.INGRESS, **fields: Any) -> Rule:
    family = fields.pop("ethertype", Ethertype.IPV4)
    return Rule(name, 100 + sum(map(ord, name)), group, direction, family, **fields)


OUT = rule("out", "g-web", Direction.EGRESS)
PORTS = [port(WEB, 1, "g-web"), port(DB, 2, "g-db"), port(LOOSE, 3, port_security_enabled=False)]


def text(*objects: PolicyObject, network: Network = NET) -> PolicyText:
    """The network, its three ports and these objects; a later object replaces an earlier one."""
    by_kind: dict[type[PolicyObject], dict[str, Any]] = {}
    for each in (network, SecurityGroup("g-web", "w"), SecurityGroup("g-db", "d"), *PORTS, *objects):
        by_kind.setdefault(type(each), {})[each.id] = each
    kinds = (Network, Port, AddressGroup, Rule, SecurityGroup)
    return PolicyText(*(by_kind.get(kind, {}) for kind in kinds))


def packet(sender: str | None, receiver: str | None, *service: int, **fields: Any) -> Packet:
    source, destination = A[sender or "out"], A[receiver or "out"]
    return Packet("net", sender, receiver, Conversation(source, destination, *service), **fields)


SQL = (6, 40000, 3306)


def test_nothing_is_allowed_by_default() -> None:
    assert judge(text(), packet(WEB, DB, *SQL)).refusal is Refusal.SENDER_RULES
    assert judge(text(OUT), packet(WEB, DB, *SQL)).refusal is Refusal.RECEIVER_RULES
    assert judge(text(), packet(None, DB, *SQL)).refusal is Refusal.RECEIVER_RULES
    assert judge(text(OUT), packet(WEB, None, *SQL)).allowed


def test_both_sides_must_allow_a_packet_and_name_their_rules() -> None:
    sql = rule("sql", "g-db", protocol=6, port_range_min=3306, port_range_max=3306)
    any_tcp = rule("tcp", "g-db", protocol=6)
    verdict = judge(text(OUT, sql, any_tcp), packet(WEB, DB, *SQL))
    assert verdict.allowed
    assert verdict.sender is not None
    assert verdict.receiver is not None
    assert (verdict.sender.rules, verdict.receiver.rules) == (frozenset({"out"}), frozenset({"sql", "tcp"}))


@pytest.mark.parametrize(
    ("number", "allowed"), [(79, False), (80, True), (85, True), (90, True), (91, False)]
)
def test_port_ranges_include_both_ends(number: int, allowed: bool) -> None:
    ports = rule("r", "g-db", protocol=6, port_range_min=80, port_range_max=90)
    assert judge(text(OUT, ports), packet(WEB, DB, 6, 1, number)).allowed is allowed
    assert not judge(text(OUT, ports), packet(WEB, DB, 17, 1, number)).allowed


@pytest.mark.parametrize(
    ("code", "service", "allowed"),
    [(0, (1, 8, 0), True), (0, (1, 8, 1), False), (None, (1, 8, 1), True), (None, (1, 0, 8), False)],
)
def test_icmp_type_and_code(code: int | None, service: tuple[int, ...], allowed: bool) -> None:
    echo = rule("r", "g-db", protocol=1, port_range_min=8, port_range_max=code)
    assert judge(text(OUT, echo), packet(WEB, DB, *service)).allowed is allowed


def test_a_rule_applies_to_its_family_only() -> None:
    conversation = Conversation(A["web6"], A["db6"], *SQL)
    v6 = Packet("net", WEB, DB, conversation)
    assert judge(text(OUT, rule("r", "g-db")), v6).refusal is Refusal.SENDER_RULES
    out6 = rule("out6", "g-web", Direction.EGRESS, ethertype=Ethertype.IPV6)
    assert judge(text(out6, rule("r", "g-db")), v6).refusal is Refusal.RECEIVER_RULES
    assert judge(text(out6, rule("r", "g-db", ethertype=Ethertype.IPV6)), v6).allowed


@pytest.mark.parametrize(
    ("remote", "from_web", "from_outside"),
    [
        ({}, True, True),
        ({"remote_ip_prefix": Prefix.parse("0.0.0.0/0")}, True, True),
        ({"remote_ip_prefix": Prefix.parse("192.0.2.0/24")}, False, True),
        ({"remote_group_id": "g-web"}, True, False),
        ({"remote_group_id": "g-db"}, False, False),
        ({"remote_address_group_id": "some"}, True, True),
        ({"remote_address_group_id": "none"}, False, False),
        ({"remote_network_id": "net"}, True, False),
    ],
    ids=str,
)
def test_remotes(remote: dict[str, Any], from_web: bool, from_outside: bool) -> None:
    some = AddressGroup("some", "some", frozenset([A["web"], Prefix.parse("192.0.0.0/8")]))
    policy = text(OUT, rule("r", "g-db", **remote), some, AddressGroup("none", "none"))
    assert judge(policy, packet(WEB, DB, *SQL)).allowed is from_web
    assert judge(policy, packet(None, DB, *SQL)).allowed is from_outside


def test_members_are_known_by_every_address_of_theirs_but_not_by_wide_pairs() -> None:
    member = rule("r", "g-db", remote_group_id="g-web")
    extra, wide = Prefix.parse("10.0.0.9"), Prefix.parse("192.0.2.0/24")
    pairs = tuple(AddressPair("02:00:00:00:00:01", each) for each in (extra, wide))
    policy = text(OUT, member, port(WEB, 1, "g-web", allowed_address_pairs=pairs))
    of_pair = Conversation(extra, A["db"], *SQL)
    of_wide = Conversation(Prefix.parse("192.0.2.7"), A["db"], *SQL)
    assert judge(policy, Packet("net", WEB, DB, of_pair)).allowed
    assert judge(policy, Packet("net", WEB, DB, of_wide)).refusal is Refusal.RECEIVER_RULES
    assert judge(text(OUT, member), Packet("net", WEB, DB, of_pair)).refusal is Refusal.SPOOFED_SOURCE


def test_members_of_other_networks_count_only_within_the_same_scope() -> None:
    far = Prefix.parse("192.0.2.1")
    member = Port("far", "far", "other", "02:00:00:00:00:0f", "far", (far,), frozenset(["g-far"]))
    allow = rule("r", "g-db", remote_group_id="g-far")
    for scopes, expected in (
        ((None, None), False),
        (("a", "b"), False),
        (("a", "a"), True),
        (("a", None), False),
    ):
        here, there = (replace(NET, address_scope=scope) for scope in scopes)
        policy = text(allow, member, replace(there, id="other"), network=here)
        assert judge(policy, packet(None, DB, *SQL)).allowed is expected


def test_the_default_group_is_for_ports_without_one() -> None:
    network = replace(NET, default_group="g-default")
    rules = rule("o", "g-default", Direction.EGRESS), rule("i", "g-default")
    bare = text(*rules, port(WEB, 1), port(DB, 2), network=network)
    assert judge(bare, packet(WEB, DB, *SQL)).allowed
    one_has_a_group = text(*rules, port(WEB, 1), network=network)
    assert judge(one_has_a_group, packet(WEB, DB, *SQL)).refusal is Refusal.RECEIVER_RULES


def test_egress_is_open_until_the_first_rule_of_any_group_and_family() -> None:
    network = replace(NET, egress_default=EgressDefault.OPEN_UNTIL_RULE)
    out6 = rule("out6", "g-web", Direction.EGRESS, ethertype=Ethertype.IPV6)
    verdict = judge(text(network=network), packet(WEB, None, *SQL))
    assert verdict.sender is not None
    assert verdict.sender.exemption is Exemption.EGRESS_OPEN
    assert judge(text(out6, network=network), packet(WEB, None, *SQL)).refusal is Refusal.SENDER_RULES
    assert judge(text(network=network), packet(None, WEB, *SQL)).refusal is Refusal.RECEIVER_RULES


def test_a_reply_is_allowed_by_what_allows_its_connection() -> None:
    sql = rule("sql", "g-db", protocol=6, port_range_min=3306, port_range_max=3306)
    reply = packet(DB, WEB, 6, 3306, 40000, state=State.REPLY)
    assert judge(text(OUT, sql), reply).allowed
    assert judge(text(OUT), reply).refusal is Refusal.SENDER_RULES
    assert judge(text(sql), reply).refusal is Refusal.RECEIVER_RULES
    as_new = replace(reply, state=State.NEW)
    assert judge(text(OUT, sql), as_new).refusal is Refusal.SENDER_RULES


def test_a_stateless_port_needs_a_rule_for_the_way_back() -> None:
    sql = rule("sql", "g-db", protocol=6, port_range_min=3306, port_range_max=3306)
    stateless = SecurityGroup("g-db", "d", stateful=False)
    reply = packet(DB, WEB, 6, 3306, 40000, state=State.REPLY)
    assert judge(text(OUT, sql, stateless), packet(WEB, DB, *SQL)).allowed
    assert judge(text(OUT, sql, stateless), reply).refusal is Refusal.SENDER_RULES
    back = rule("back", "g-db", Direction.EGRESS)
    assert judge(text(OUT, sql, stateless, back), reply).allowed


def test_without_port_security_that_side_needs_no_rule() -> None:
    foreign = replace(packet(LOOSE, DB, *SQL), header=Conversation(A["out"], A["db"], *SQL))
    assert judge(text(rule("r", "g-db")), foreign).allowed
    assert judge(text(), foreign).refusal is Refusal.RECEIVER_RULES
    assert judge(text(OUT), packet(WEB, LOOSE, *SQL)).allowed


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"header": Conversation(A["out"], A["db"], *SQL)}, Refusal.SPOOFED_SOURCE),
        ({"source_mac": "02:00:00:00:00:02"}, Refusal.SPOOFED_SOURCE),
        ({"header": Conversation(A["web"], Prefix.parse("224.0.0.1"), 17)}, Refusal.NOT_UNICAST),
        ({"header": Conversation(Prefix.parse("::"), A["db6"], *SQL)}, Refusal.UNSPECIFIED_SOURCE),
        ({"header": Conversation(A["web"], A["db"], 17, 67, 68)}, Refusal.DHCP_SERVER),
        ({"header": Conversation(A["web"], A["all"], 17, 68, 67), "to_group": True}, Refusal.FOR_SERVERS),
        ({"header": Conversation(A["web"], A["all"], 17, 68, 67)}, Refusal.NOT_UNICAST),
        ({"header": Conversation(A["web6"], A["db6"], 58, 134, 0)}, Refusal.ROUTER),
        ({"state": State.INVALID}, Refusal.INVALID),
    ],
    ids=lambda each: each.name if isinstance(each, Refusal) else "",
)
def test_packets_that_no_rule_can_allow(changes: dict[str, Any], refusal: Refusal) -> None:
    everything = [
        rule(f"{direction}-{family}-{group}", group, direction, ethertype=family)
        for group in ("g-web", "g-db")
        for direction in Direction
        for family in Ethertype
    ]
    policy = text(*everything)
    assert judge(policy, packet(WEB, DB, *SQL)).allowed
    assert judge(policy, replace(packet(WEB, DB, *SQL), **changes)).refusal is refusal


def test_ports_that_are_down() -> None:
    down = {name: port(name, number, admin_state_up=False) for name, number in ((WEB, 1), (DB, 2))}
    assert judge(text(down[WEB]), packet(WEB, DB, *SQL)).refusal is Refusal.ADMIN_DOWN
    assert judge(text(OUT, down[DB]), packet(WEB, DB, *SQL)).refusal is Refusal.RECEIVER_DOWN


def test_the_outside_may_not_use_a_local_address() -> None:
    forged = replace(packet(None, DB, *SQL), header=Conversation(A["web"], A["db"], *SQL))
    assert judge(text(rule("r", "g-db")), forged).refusal is Refusal.CLAIMED_SOURCE


def test_dhcp_requests_reach_trusted_ports_and_a_unicast_one_needs_a_rule() -> None:
    asked = packet(WEB, DB, 17, 68, 67)
    to_all = replace(asked, header=asked.header._replace(destination=A["all"]), to_group=True)
    assert judge(text(), to_all).refusal is Refusal.FOR_SERVERS
    for server in (LOOSE, None):
        assert judge(text(), replace(to_all, receiver=server)).allowed
        assert judge(text(), replace(packet(WEB, server, 17, 68, 67))).refusal is Refusal.SENDER_RULES


def test_later_fragments_pass_by_protocol() -> None:
    ports = rule("r", "g-db", protocol=17, port_range_min=53, port_range_max=53)
    for protocol, allowed in ((17, True), (6, False)):
        fragment = packet(WEB, DB, protocol, 0, 0, later_fragment=True)
        assert judge(text(OUT, ports), fragment).allowed is allowed


def test_later_fragments_need_a_rule_of_their_ethertype_first() -> None:
    """A rule of either direction, since replies may be large."""
    fragment = packet(WEB, DB, 17, 0, 0, later_fragment=True)
    received = packet(None, DB, 17, 0, 0, later_fragment=True)
    assert judge(text(), fragment).refusal is Refusal.SENDER_FRAGMENT
    assert judge(text(), received).refusal is Refusal.RECEIVER_FRAGMENT
    assert judge(text(rule("in", "g-web")), fragment).refusal is Refusal.SENDER_RULES
    assert judge(text(OUT), fragment).refusal is Refusal.RECEIVER_RULES, "the sender's lookup includes it"
    answers = rule("sql", "g-db", Direction.EGRESS), rule("v6", "g-db", ethertype=Ethertype.IPV6)
    assert judge(text(answers[0]), received).refusal is Refusal.RECEIVER_RULES
    assert judge(text(answers[1]), received).refusal is Refusal.RECEIVER_FRAGMENT


def test_untracked_or_open_ports_may_send_fragments_without_a_rule() -> None:
    fragment = packet(WEB, None, 17, 0, 0, later_fragment=True)
    stateless = SecurityGroup("g-web", "w", stateful=False)
    assert judge(text(stateless), fragment).refusal is Refusal.SENDER_RULES
    open_net = replace(NET, egress_default=EgressDefault.OPEN_UNTIL_RULE)
    assert judge(text(network=open_net), fragment).allowed
    to_db = replace(fragment, receiver=DB, header=fragment.header._replace(destination=A["db"]))
    untracked = text(stateless, rule("out", "g-web", Direction.EGRESS), network=NET)
    assert judge(untracked, to_db).refusal is Refusal.RECEIVER_FRAGMENT


def test_rules_do_not_apply_to_neighbour_discovery() -> None:
    solicitation = Packet("net", WEB, DB, Conversation(A["web6"], A["db6"], 58, 135, 0), hops=255)
    with pytest.raises(ValueError, match="neighbour discovery"):
        judge(text(), solicitation)
    assert judge(text(), replace(solicitation, hops=64)).refusal is Refusal.SENDER_RULES
