"""The text of a verdict, and the conversion of questions and frames to packets."""

from __future__ import annotations

import pytest

from flows.policy.index import Policy
from flows.policy.objects import (
    AddressGroup,
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
from flows.reference.frame import Frame
from flows.reference.verdict import Conversation, Packet, PolicyText, State
from sgctl.explain.answer import Answer, answer, describe_packet
from sgctl.explain.expected import Unexplained
from sgctl.explain.frame_answer import FrameAnswer, answer_frame, describe_frame
from sgctl.explain.frame_parser import read_frame
from sgctl.explain.question import Error, ServiceQuestion, ask, ask_error, ask_frame

INGRESS, EGRESS, IPV4 = Direction.INGRESS, Direction.EGRESS, Ethertype.IPV4


def port(number: int, *groups: str, network: str = "blue") -> Port:
    addresses = (Prefix.parse(f"10.0.0.{number}"), Prefix.parse(f"2001:db8::{number}"))
    return Port(
        f"p{number}", f"w{number}", network, f"02:00:00:00:00:0{number}", "", addresses, frozenset(groups)
    )


OBJECTS: list[PolicyObject] = [
    Network("blue", "blue"),
    Network("red", "red"),
    SecurityGroup("c", "client"),
    SecurityGroup("s", "server"),
    SecurityGroup("d", "db"),
    AddressGroup("m", "monitors", frozenset([Prefix.parse("192.0.2.0/24")])),
    Rule("1", 16, "c", EGRESS, IPV4),
    Rule("2", 17, "s", INGRESS, IPV4, 6, 80, 80, remote_group_id="c", name="http"),
    Rule("3", 18, "s", INGRESS, IPV4, 6, 22, 22, remote_address_group_id="m"),
    Rule("4", 19, "d", INGRESS, IPV4, 6, 3306, 3306),
    Rule("5", 20, "d", INGRESS, IPV4, 1),
    port(1, "c"),
    port(2, "s"),
    port(3, "s", "d"),
    port(4, "c", network="red"),
]


@pytest.fixture
def text() -> PolicyText:
    policy = Policy()
    policy.apply(Change(None, each) for each in OBJECTS)
    return PolicyText(policy.networks, policy.ports, policy.address_groups, policy.rules, policy.groups)


def asked(text: PolicyText, source: str, target: str, state: State = State.NEW, **service: int) -> Answer:
    return answer(text, ask(text, (source, target), ServiceQuestion(**service), None, state))


def test_an_allowed_packet_names_both_rules(text: PolicyText) -> None:
    said = asked(text, "w1", "w2", port=80)
    assert said.verdict.allowed
    assert said.reasons == (
        "sender w1: allowed by rule 16 of group client",
        "receiver w2: allowed by rule 17 (http) of group server",
    )
    assert said.changes == ()


def test_a_denied_packet_tells_what_would_have_to_change(text: PolicyText) -> None:
    said = asked(text, "w1", "w2", port=3306)
    assert said.reasons[1] == "receiver w2: no ingress rule of group server allows tcp/3306 from 10.0.0.1"
    assert said.changes == (
        "rule 17 (http) of group server allows 10.0.0.1, but only on tcp/80",
        "rule 19 of group db would allow it, if the port were in that group",
        "or a new ingress rule for tcp/3306 from 10.0.0.1",
    )
    assert asked(text, "w1", "w2", port=22).changes[1] == (
        "rule 18 of group server allows it, but only from address group monitors, and 10.0.0.1 is not there"
    )


def test_every_suggested_group_would_allow_the_packet(text: PolicyText) -> None:
    """With the suggested group, the packet passes."""
    ports = {**text.ports, "p2": port(2, "s", "d")}
    changed = PolicyText(text.networks, ports, text.address_groups, text.rules, text.groups)
    assert asked(changed, "w1", "w2", port=3306).verdict.allowed


def test_a_reply_is_judged_by_the_rules_of_its_connection(text: PolicyText) -> None:
    said = asked(text, "w2", "w1", State.REPLY, port=80)
    assert said.reasons == (
        "sender w2: allowed by rule 17 (http) of group server",
        "receiver w1: allowed by rule 16 of group client",
    )
    assert describe_packet(text, said.packet) == "tcp/80 from w2 (10.0.0.2) to w1 (10.0.0.1), reply"
    denied = asked(text, "w2", "w1", State.REPLY, port=81)
    assert denied.reasons == ("sender w2: no ingress rule of group server allows tcp/81 from 10.0.0.1",)


def test_ping_is_what_is_asked_without_a_service(text: PolicyText) -> None:
    said = asked(text, "w1", "w3")
    assert said.packet.header == Conversation(Prefix.parse("10.0.0.1"), Prefix.parse("10.0.0.3"), 1, 8, 0)
    assert said.verdict.allowed
    reply = asked(text, "w3", "w1", State.REPLY)
    assert (reply.packet.header.first, reply.packet.opening.first) == (0, 8)
    assert reply.verdict.allowed


def test_addresses_stand_for_their_ports_or_for_the_outside(text: PolicyText) -> None:
    assert asked(text, "10.0.0.1", "w2", port=80).packet.sender == "p1"
    outside = asked(text, "192.0.2.9", "w2", port=22)
    assert outside.packet.sender is None
    assert outside.reasons[0] == "sender outside: the outside has no rules"
    assert outside.verdict.allowed


@pytest.mark.parametrize(
    ("source", "target", "problem"),
    [
        ("nobody", "w1", "'nobody' is neither a port nor an address"),
        ("10.0.0.0/24", "w1", "'10.0.0.0/24' is neither a port nor an address"),
        ("192.0.2.1", "192.0.2.2", "neither 192.0.2.1 nor 192.0.2.2 is a port of the policy"),
        ("w1", "w4", "different networks"),
        ("w1", "2001:db8::9999", None),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    text: PolicyText, source: str, target: str, problem: str | None
) -> None:
    if problem is None:
        assert asked(text, source, target, port=80).packet.header.source.version == 6
        return
    with pytest.raises(Unexplained, match=problem):
        asked(text, source, target)


def test_an_error_is_judged_as_the_connection_that_it_is_about(text: PolicyText) -> None:
    ends, service = ("w2", "w1"), ServiceQuestion(port=80)
    packet = ask_error(text, ends, service, None, Error("packet-too-big", "10.0.0.254", reply=True))
    said = answer(text, packet)
    assert describe_packet(text, packet) == (
        "icmp type 3 code 4 from outside (10.0.0.254) to w1 (10.0.0.1), "
        "an error about tcp/80 from 10.0.0.1 to 10.0.0.2"
    )
    assert said.reasons == (
        "sender outside: the outside has no rules",
        "receiver w1: allowed by rule 16 of group client",
    )
    denied = answer(
        text, ask_error(text, ends, ServiceQuestion(port=81), None, Error("port-unreachable", reply=True))
    )
    assert denied.reasons == ("sender w2: no ingress rule of group server allows tcp/81 from 10.0.0.1",)
    assert denied.changes[-1] == "or a new ingress rule for tcp/81 from 10.0.0.1"


def test_an_error_of_a_stranger_is_forged(text: PolicyText) -> None:
    error = Error("time-exceeded", "w3", reply=True)
    said = answer(text, ask_error(text, ("w2", "w1"), ServiceQuestion(port=80), 6, error))
    assert said.reasons == ("dropped: an error about a connection, but the sender is not an end of it",)
    assert said.changes[0] == (
        "an allowed address pair 02:00:00:00:00:03 2001:db8::2 of port w3 would make it an end"
    )


def test_the_error_of_a_connection_with_stateless_ends_has_its_own_rules(text: PolicyText) -> None:
    groups = {**text.groups, "s": SecurityGroup("s", "server", stateful=False)}
    changed = PolicyText(text.networks, text.ports, text.address_groups, text.rules, groups)
    said = answer(
        changed, ask_error(changed, ("w1", "w2"), ServiceQuestion(port=80), None, Error("packet-too-big"))
    )
    assert said.reasons[-1] == (
        "receiver w2: no ingress rule of group server allows icmp type 3 code 4 from 10.0.0.1"
    )


def test_a_service_with_data_connections_says_that_they_need_rules(text: PolicyText) -> None:
    tftp = answer(text, ask(text, ("w1", "w2"), ServiceQuestion(17, port=69), None, State.NEW))
    assert len(tftp.notes) == 1
    assert "ingress rule for udp from the server" in tftp.notes[0]
    assert "passive ports" in asked(text, "w1", "w2", port=21).notes[0]
    assert asked(text, "w1", "w2", State.REPLY, port=21).notes == ()
    assert asked(text, "w1", "w2", port=80).notes == ()


def framed(text: PolicyText, frame: str) -> FrameAnswer:
    asked = ask_frame(text, "w1", frame, State.NEW)
    assert isinstance(asked, Frame)
    return answer_frame(text, asked)


ARP = "ffffffffffff 020000000001 0806 0001080006040001 020000000001 0a000001 000000000000 0a000002"


def test_frames_that_rules_do_not_concern_are_described_too(text: PolicyText) -> None:
    said = framed(text, ARP)
    assert describe_frame(text, said.frame) == (
        "ARP request for 10.0.0.2 of 02:00:00:00:00:01 10.0.0.1 "
        "from w1 (02:00:00:00:00:01) to ff:ff:ff:ff:ff:ff"
    )
    assert said.reasons == ("may pass, to w2",)
    spoofed = framed(text, ARP.replace("0a000001", "0a000003"))
    assert spoofed.reasons == ("dropped: ARP with a MAC or address that is not the sending port's",)
    assert spoofed.changes == (
        "an allowed address pair 02:00:00:00:00:01 10.0.0.3 of port w1 would make it valid",
    )
    other = framed(text, "020000000002 020000000001 88cc 00")
    assert not other.verdict.allowed
    assert other.changes == ("permitted_ethertypes of port w1 with 0x88cc, from one of its MACs",)
    assert framed(text, ARP.replace("0806", "8100 0005 0806")).reasons == (
        "dropped: a workload may not send tagged frames",
    )


FRAME = (
    "020000000002 020000000001 0800 4500002800010000400666cd 0a000001 0a000002"
    "03e8 0050 00000000 00000000 50022000d6480000"
)


def packet_of(text: PolicyText, frame: str) -> Packet:
    packet = ask_frame(text, "w1", frame, State.NEW)
    assert isinstance(packet, Packet)
    return packet


def test_all_fields_of_a_packet_are_read_from_a_frame(text: PolicyText) -> None:
    packet = packet_of(text, FRAME)
    ends = Prefix.parse("10.0.0.1"), Prefix.parse("10.0.0.2")
    expected = Packet("blue", "p1", "p2", Conversation(*ends, 6, 1000, 80), source_mac="02:00:00:00:00:01")
    assert packet == expected
    spoofed = answer(text, packet_of(text, FRAME.replace("0a000001", "0a000003")))
    assert spoofed.reasons == (
        "dropped: MAC and source address are not a pair that the sending port may use",
    )
    assert spoofed.changes == (
        "an allowed address pair 02:00:00:00:00:01 10.0.0.3 of port w1 would make it valid",
    )


def test_later_fragments_have_no_ports() -> None:
    frame = read_frame(FRAME.replace("00010000400666cd", "00010010400666cd"))
    assert frame.later_fragment
    assert frame.header is not None
    assert frame.header[2:5] == (6, 0, 0)


def test_a_fragment_that_nobody_looks_up_needs_a_rule_of_its_ethertype(text: PolicyText) -> None:
    large = Conversation(Prefix.parse("2001:db8::1"), Prefix.parse("2001:db8::2"), 17, 0, 0)
    said = answer(text, Packet("blue", "p1", "p2", large, later_fragment=True))
    assert said.reasons == ("dropped: a fragment of an ethertype for which the sender's groups have no rule",)
    assert said.changes == (
        "with a rule for IPv6, of either direction, on that port, the rules would decide",
    )


def test_extension_headers_are_skipped() -> None:
    ends = "20010db8000000000000000000000001" + "20010db8000000000000000000000002"
    hop_by_hop = "11 00 0000 00000000"
    first = f"{'02' * 6}{'04' * 6}86dd 60000000 0018 00 40 {ends} {hop_by_hop} 0035 1388 0008 0000"
    assert read_frame(first).header == Conversation(
        Prefix.parse("2001:db8::1"), Prefix.parse("2001:db8::2"), 17, 53, 5000
    )
    fragment = "11 00 0008 00000001"
    later = read_frame(f"{'02' * 6}{'04' * 6}86dd 60000000 0010 2c 40 {ends} {fragment} 0035 1388")
    assert later.later_fragment


@pytest.mark.parametrize("frame", ["", "zz", "02" * 13, FRAME[:40], FRAME[:80]])
def test_broken_frames_are_refused(frame: str) -> None:
    with pytest.raises(Unexplained):
        read_frame(frame)


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        ({"protocol": 6}, "needs a destination port"),
        ({"protocol": 17, "source_port": 53}, "needs a destination port"),
        ({"protocol": 47, "port": 5}, "only TCP, UDP and SCTP have ports"),
        ({"protocol": 1, "port": 5}, "only TCP, UDP and SCTP have ports"),
    ],
)
def test_questions_with_a_missing_or_superfluous_port(service: dict[str, int], reason: str) -> None:
    with pytest.raises(Unexplained, match=reason):
        ServiceQuestion(**service).numbers(4)
