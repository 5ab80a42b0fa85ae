"""The results of probes: how they are judged and shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from lab.matrix import Result, StepResult, show_step, summary, to_json
from lab.probe import Observation, Observed, Probe, judge
from lab.probe_frames import Side, attack_frames
from lab.probe_watch import TOKEN_PREFIX, frame_marks, tcp_mark
from lab.scenario.model import Cell, Expectation, ExpectedVerdict
from lab.scenario.services import ATTACKS

ATTACKER = Side("evil", "eth0", "02:00:00:00:00:01", "10.0.0.1")
VICTIM = Side("good", "eth0", "02:00:00:00:00:02", "10.0.0.2")
STRANGER = Side("", "", "02:00:00:00:00:63", "10.0.0.99")
TOKEN = TOKEN_PREFIX + b"0123456789abcdef"


def result(service: str, expected: str, observed: str, target: str = "b") -> Result:
    cell = Cell("a", target, service)
    return Result(
        cell, Expectation(ExpectedVerdict(expected), "said so"), Observation(Observed(observed), "detail")
    )


def shown(step: StepResult, before: StepResult | None = None) -> str:
    console = Console(file=io.StringIO(), width=120, no_color=True)
    show_step(console, step, before)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_wrong_cells_are_marked_without_colours() -> None:
    text = shown(StepResult("now", (result("tcp/1", "allow", "deny"), result("tcp/2", "deny", "deny"))))
    assert text.count("✗DENY") == 1
    assert "✗ a → b tcp/1: expected allow (said so), observed deny: detail" in text


def test_right_cells_are_not_marked() -> None:
    text = shown(StepResult("now", (result("tcp/1", "allow", "allow"), result("tcp/2", "deny", "deny"))))
    assert "✗" not in text
    assert "allow" in text
    assert "·" in text


@pytest.mark.parametrize("observed", ["half", "broken"])
@pytest.mark.parametrize("expected", ["allow", "deny"])
def test_partial_and_broken_results_are_never_as_expected(expected: str, observed: str) -> None:
    assert result("tcp/1", expected, observed).wrong


def test_rows_that_stay_right_are_only_counted() -> None:
    old, new = result("tcp/1", "deny", "deny", "c"), result("tcp/1", "allow", "allow")
    before = StepResult("before", (result("tcp/1", "deny", "deny"), old))
    text = shown(StepResult("after", (new, old)), before)
    assert "1 more row as before" in text
    assert " c " not in text


def test_a_row_that_stays_wrong_is_shown_again() -> None:
    step = StepResult("x", (result("tcp/1", "allow", "deny"),))
    assert "✗DENY" in shown(step, step)


def test_summary_and_json_agree() -> None:
    steps = [StepResult("x", (result("tcp/1", "allow", "deny"), result("tcp/2", "deny", "deny")))]
    data = to_json("demo", steps)
    assert summary(steps) == data["summary"] == "1 of 2 probes as expected"
    assert data["as_expected"] is False
    assert [probe["as_expected"] for probe in data["steps"][0]["probes"]] == [False, True]


@pytest.mark.parametrize(
    ("answered", "arrived", "observed"),
    [
        (True, True, Observed.ALLOW),
        (False, False, Observed.DENY),
        (False, True, Observed.HALF),
        (True, False, Observed.HALF),
    ],
)
def test_both_ends_have_to_agree(answered: bool, arrived: bool, observed: Observed) -> None:
    probe = Probe("udp", 4, 53, ATTACKER, VICTIM)
    answer = {"outcome": "answered" if answered else "silent", "mark": probe.token, "detail": ""}
    assert judge(probe, answer, {probe.token} if arrived else set()).observed is observed


def test_a_probe_that_could_not_be_sent_does_not_count_as_denied() -> None:
    probe = Probe("udp", 4, 53, ATTACKER, VICTIM)
    answer = {"outcome": "broken", "mark": probe.token, "detail": "Network is unreachable"}
    assert judge(probe, answer, set()) == Observation(Observed.BROKEN, "Network is unreachable")


@pytest.mark.parametrize("kind", ATTACKS)
def test_every_frame_of_an_attack_carries_its_token(kind: str) -> None:
    frames = attack_frames(kind, ATTACKER, VICTIM, STRANGER, TOKEN)
    assert frames
    assert all(TOKEN.decode() in frame_marks(frame) for frame in frames)


@pytest.mark.parametrize("kind", ATTACKS)
def test_attack_frames_are_well_formed_apart_from_the_forged_field(kind: str) -> None:
    """A switch must have no other reason to drop them."""
    for frame in attack_frames(kind, ATTACKER, VICTIM, STRANGER, TOKEN):
        packet = Ether(frame)
        if IP in packet:
            checksum = packet[IP].chksum
            del packet[IP].chksum
            assert Ether(bytes(packet))[IP].chksum == checksum
            assert packet[IP].len == 20 + packet[UDP].len
        else:
            assert (packet[ARP].hwlen, packet[ARP].plen) == (6, 4)


def test_attacks_forge_the_field_in_their_name() -> None:
    def frames(kind: str) -> list[Ether]:
        return [Ether(frame) for frame in attack_frames(kind, ATTACKER, VICTIM, STRANGER, TOKEN)]

    assert {each[ARP].psrc for each in frames("arp-spoof")} == {STRANGER.address}
    assert {each.src for each in frames("arp-spoof")} == {ATTACKER.mac}
    assert frames("ip-spoof")[0][IP].src == STRANGER.address
    by_udp, by_arp, inside_arp = frames("mac-spoof")
    assert by_udp.src == by_arp.src == inside_arp[ARP].hwsrc == STRANGER.mac
    assert inside_arp.src == ATTACKER.mac
    assert {each[BOOTP].yiaddr for each in frames("dhcp-server")} == {STRANGER.address}
    assert {each[DHCP].options[0] for each in frames("dhcp-server")} == {("message-type", 2)}
    assert [each[Dot1Q].vlan for each in frames("vlan")] == [0, 1]
    assert {each.src for each in frames("sniff")} == {VICTIM.mac}


def test_a_syn_is_known_by_its_addresses_and_ports() -> None:
    syn = (
        Ether() / IP(src="10.0.0.1", dst="10.0.0.2", options=b"\x01\x01\x01\x01") / TCP(sport=1234, dport=22)
    )
    assert frame_marks(bytes(syn)) == [tcp_mark("10.0.0.1", 1234, "10.0.0.2", 22)]
    six = Ether() / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1, dport=2)
    assert frame_marks(bytes(six)) == [tcp_mark("2001:db8::1", 1, "2001:db8::2", 2)]
    answer = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=22, dport=1234, flags="SA")
    assert frame_marks(bytes(answer)) == []
