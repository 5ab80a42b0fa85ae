"""The effects on open connections that `sgctl plan` shows, compared with the reference verdict."""

from __future__ import annotations

import random
from dataclasses import replace

from flows.policy.objects import (
    AddressGroup,
    Direction,
    EgressDefault,
    Ethertype,
    Network,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from flows.reference.verdict import Conversation, Packet, PolicyText, State, judge
from sgctl.forecast.conntrack import OpenConnection, cuts, parse

ZONES = {7: "n"}


def _policy(dice: random.Random) -> PolicyText:
    default = dice.choice([None, "g0"])
    network = Network("n", "n", egress_default=dice.choice(list(EgressDefault)), default_group=default)
    groups = {f"g{n}": SecurityGroup(f"g{n}", f"g{n}", stateful=dice.random() < 0.8) for n in range(4)}
    ports = {
        f"p{n}": Port(
            f"p{n}",
            f"p{n}",
            "n",
            f"02:00:00:00:00:{n:02x}",
            f"p{n}",
            (Prefix(4, (10 << 24) + n, 32),),
            frozenset(dice.sample(sorted(groups), dice.randrange(3))),
            port_security_enabled=dice.random() < 0.9,
        )
        for n in range(1, 6)
    }
    monitors = AddressGroup("a", "a", frozenset({Prefix(4, (10 << 24) + 2, 32)}))
    rules = {f"r{n}": _rule(dice, n, sorted(groups)) for n in range(16, 16 + dice.randrange(12))}
    return PolicyText({"n": network}, ports, {"a": monitors}, rules, groups)


def _rule(dice: random.Random, number: int, groups: list[str]) -> Rule:
    low = dice.choice([None, 79, 80])
    rule = Rule(
        f"r{number}",
        number,
        dice.choice(groups),
        dice.choice(list(Direction)),
        Ethertype.IPV4,
        dice.choice([None, 6, 17]),
    )
    if rule.protocol is not None and low is not None:
        rule = replace(rule, port_range_min=low, port_range_max=low + dice.randrange(3))
    if dice.random() < 0.4:
        return replace(rule, remote_group_id=dice.choice(groups))
    return replace(rule, remote_address_group_id="a") if dice.random() < 0.2 else rule


def _passes(text: PolicyText, conversation: Conversation) -> bool:
    owner = {port.fixed_ips[0]: port.id for port in text.ports.values()}
    ends = (owner.get(conversation.source), owner.get(conversation.destination))
    packet = Packet("n", *ends, conversation, State.ESTABLISHED, conversation)
    return judge(text, packet).allowed


def test_cut_connections_are_those_whose_verdict_changes() -> None:
    dice = random.Random(20)
    turned = 0
    for _ in range(60):
        before = _policy(dice)
        after = replace(_policy(dice), ports=before.ports)
        conversations = [
            Conversation(
                Prefix(4, (10 << 24) + source, 32),
                Prefix(4, (10 << 24) + target, 32),
                protocol,
                40000,
                dice.randrange(78, 83),
            )
            for source in (1, 2, 3, 99)
            for target in (3, 4, 5)
            for protocol in (6, 17)
        ]
        expected = {each for each in conversations if _passes(before, each) and not _passes(after, each)}
        found = cuts((OpenConnection(7, each) for each in conversations), ZONES, before, after)
        assert {cut.conversation for cut in found} == expected
        turned += len(expected)
    assert turned > 50


def test_lines_of_the_connection_tracker() -> None:
    reply = "reply=(src=10.0.0.2,dst=10.0.0.1,sport=80,dport=40000)"
    state = "zone=7,mark=3,protoinfo=(state=ESTABLISHED)"
    lines = [
        f"tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=40000,dport=80),{reply},{state}",
        "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=80),reply=(),zone=7,protoinfo=(state=TIME_WAIT)",
        "icmpv6,orig=(src=2001:db8::1,dst=2001:db8::2,id=5,type=128,code=0),reply=(),zone=8",
        "udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=53),reply=(src=10.0.0.2,dst=10.0.0.1)",
        "",
    ]
    one, two = Prefix.parse("10.0.0.1"), Prefix.parse("10.0.0.2")
    ping = Conversation(Prefix.parse("2001:db8::1"), Prefix.parse("2001:db8::2"), 58, 128, 0, None)
    assert parse(lines) == [
        OpenConnection(7, Conversation(one, two, 6, 40000, 80, None)),
        OpenConnection(8, ping),
    ]
