"""Rules that name a DSCP, in everything that needs no switch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flows.compiler.bridge import LocalState, compile_bridge
from flows.compiler.services import service_matches
from flows.openflow.fields import IP_DSCP
from flows.policy.index import Policy
from flows.policy.objects import (
    Change,
    Direction,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from flows.policy.validate import check
from flows.reference.verdict import Conversation, Packet, PolicyText, State, judge
from sgctl.explain.answer import answer, describe_packet
from sgctl.explain.expected import text_of
from sgctl.explain.frame_parser import read_frame
from sgctl.explain.question import ServiceQuestion, ask
from sgctl.explain.reach import Reach
from sgctl.forecast.conntrack import OpenConnection

EF = 46
ONE, TWO = Prefix.parse("10.0.0.1"), Prefix.parse("10.0.0.2")
OUT = Rule("r16", 16, "g", Direction.EGRESS, Ethertype.IPV4)
WEB = Rule("r17", 17, "g", Direction.INGRESS, Ethertype.IPV4, 6, 80, 80, ip_dscp=EF)


def policy(*rules: Rule, stateful: bool = True) -> Policy:
    ports = [
        Port(f"p{n}", f"p{n}", "net", f"02:00:00:00:00:0{n}", f"p{n}", (address,), frozenset(["g"]))
        for n, address in enumerate((ONE, TWO), 1)
    ]
    objects: list[PolicyObject] = [Network("net", "net"), SecurityGroup("g", "g", stateful), *ports, *rules]
    made = Policy()
    made.apply(Change(None, each) for each in objects)
    return made


def text(*rules: Rule, stateful: bool = True) -> PolicyText:
    return text_of(policy(*rules, stateful=stateful))


@pytest.mark.parametrize("value", [0, 1, 63, None])
def test_a_dscp_has_6_bits(value: int | None) -> None:
    assert check(replace(WEB, ip_dscp=value)) == []


@pytest.mark.parametrize("value", [-1, 64, True, "46", 1.0])
def test_other_values_are_refused(value: Any) -> None:
    assert [problem.field for problem in check(replace(WEB, ip_dscp=value))] == ["ip_dscp"]


@pytest.mark.parametrize("protocol", [None, 6, 17, 132, 1, 47])
@pytest.mark.parametrize("ethertype", Ethertype)
def test_every_condition_of_a_service_names_it(protocol: int | None, ethertype: Ethertype) -> None:
    protocol = 58 if protocol == 1 and ethertype is Ethertype.IPV6 else protocol
    for number in (None, 8) if protocol not in (None, 47) else (None,):
        plain = Rule("r", 16, "g", Direction.INGRESS, ethertype, protocol, number, number)
        marked = service_matches(replace(plain, ip_dscp=EF))
        assert marked
        assert all(any(term.field.name == "reg15" for term in match) for match in marked)
        unmarked = service_matches(plain) if protocol is not None else ()
        assert not any(term.field.name == "reg15" for match in unmarked for term in match)


def test_without_a_rule_that_names_one_no_flow_reads_it() -> None:
    state = LocalState({1: "p1", 2: "p2"}, {9: frozenset(["net"])}, {"net": 10})

    def flows(*rules: Rule) -> list[str]:
        return [flow.text() for flow in compile_bridge(policy(*rules), state).values()]

    before, marked, after = flows(OUT), flows(OUT, WEB), flows(OUT, replace(WEB, ip_dscp=None))
    named = [flow for flow in marked if IP_DSCP.name.upper() in flow]
    assert len(named) == 1, "one for the one identity"
    assert not any(IP_DSCP.name.upper() in flow for flow in (*before, *after))


@pytest.mark.parametrize(("state", "of_packet", "of_first", "allowed"), [
    (State.NEW, EF, None, True),
    (State.NEW, 0, None, False),
    (State.ESTABLISHED, 0, EF, True),
    (State.ESTABLISHED, EF, 0, False),
    (State.ESTABLISHED, EF, None, False),
])  # fmt: skip
def test_the_first_packet_decides(state: State, of_packet: int, of_first: int | None, allowed: bool) -> None:
    header = Conversation(ONE, TWO, 6, 4000, 80, of_packet)
    connection = None if state is State.NEW else header._replace(ip_dscp=of_first)
    packet = Packet("net", "p1", "p2", header, state, connection)
    assert not packet.related
    assert judge(text(OUT, WEB), packet).allowed is allowed
    opened = None if connection is None else connection._replace(ip_dscp=of_first)
    reply = Packet("net", "p2", "p1", header.reverse, State.REPLY, opened or header)
    assert judge(text(OUT, WEB), reply).allowed is allowed


def test_without_connections_every_packet_decides() -> None:
    header = Conversation(ONE, TWO, 6, 4000, 80, 0)
    known = Packet("net", "p1", "p2", header, State.ESTABLISHED, header._replace(ip_dscp=EF))
    assert not judge(text(OUT, WEB, stateful=False), known).allowed
    assert judge(text(OUT, WEB), known).allowed


def test_trace_says_which_dscp_is_missing() -> None:
    asked = text(OUT, WEB)
    packet = ask(asked, ("p1", "p2"), ServiceQuestion(port=80), 4, State.NEW)
    said = answer(asked, packet)
    assert not said.verdict.allowed
    assert "rule 17 of group g allows 10.0.0.1, but only on tcp/80 with DSCP 46" in said.changes
    marked = ask(asked, ("p1", "p2"), ServiceQuestion(port=80, ip_dscp=EF), 4, State.NEW)
    assert describe_packet(asked, marked) == "tcp/80 with DSCP 46 from p1 (10.0.0.1) to p2 (10.0.0.2), new"
    assert answer(asked, marked).verdict.allowed
    assert answer(
        asked, ask(asked, ("p2", "p1"), ServiceQuestion(port=80, ip_dscp=EF), 4, State.REPLY)
    ).verdict.allowed


def test_reach_asks_about_packets_with_one_dscp() -> None:
    made = policy(OUT, WEB)
    for dscp, expected in ((0, []), (EF, ["p1"])):
        reach = Reach(made, ServiceQuestion(port=80, ip_dscp=dscp), 4)
        assert [each.port.id for each in reach.sources(made.ports["p2"])] == expected


@pytest.mark.parametrize(("first_bytes", "ethertype"), [("45b9", "0800"), ("6b900000 0000 3b", "86dd")])
def test_frames_are_read_without_ecn(first_bytes: str, ethertype: str) -> None:
    frame = read_frame(f"020000000002 020000000001 {ethertype} {first_bytes}" + "00" * 60)
    assert frame.header is not None
    assert frame.header.ip_dscp == EF


ROUTER = "fffffffffffe" + "0" * 20


@pytest.mark.parametrize(
    ("label", "expected"),
    [("", None), ("0x6e", EF), ("0x40", 0), (f"0x{ROUTER}", None), (f"0x{ROUTER[:-2]}6e", EF)],
)
def test_connections_of_the_tracker(label: str, expected: int | None) -> None:
    ends = "src=10.0.0.1,dst=10.0.0.2,sport=4000,dport=80", "src=10.0.0.2,dst=10.0.0.1,sport=80,dport=4000"
    noted = f",labels={label}" if label else ""
    line = f"tcp,orig=({ends[0]}),reply=({ends[1]}),zone=10{noted},protoinfo=(state=ESTABLISHED)"
    found = OpenConnection.parse(line)
    assert found is not None
    assert found.conversation == Conversation(ONE, TWO, 6, 4000, 80, expected)
