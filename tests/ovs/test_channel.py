"""sgctl's OpenFlow channel with a real switch: a change is applied completely or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.openflow import pipeline as p
from lab import process
from lab.controller import RYU_MANAGER, free_port
from lab.ovs import PrivateOvs

pytestmark = pytest.mark.switch

APPLICATION = Path(__file__).with_name("channel_app.py")
PATIENCE = 60.0
EMPTY_AND_FINE = {"error": "", "held": 1}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `channel_app` wrote down about a switch of its own, since it makes it stand still."""
    directory = tmp_path_factory.mktemp("channel")
    file, log, port = directory / "outcomes", directory / "log", free_port()
    with PrivateOvs(dummy=True) as ovs:
        pid = (ovs.rundir / "ovs-vswitchd.pid").read_text().strip()
        command: list[str | Path] = [RYU_MANAGER, APPLICATION, f"--ofp-tcp-listen-port={port}"]
        running = process.spawn(command, log, {**os.environ, "SWITCH_PID": pid, "OUTCOMES": str(file)})
        try:
            process.wait_ready(running, lambda: process.answers(("127.0.0.1", port)), "channel_app", log)
            ovs.add_bridge("br0", "fail_mode=secure")  # what the controller would do
            full = ["--id=@full", "create", "Flow_Table", "flow_limit=1", "overflow_policy=refuse"]
            ovs.vsctl("--", *full, "--", "set", "Bridge", "br0", f"flow_tables:{p.FDB.id}=@full")
            ovs.vsctl("set-controller", "br0", f"tcp:127.0.0.1:{port}")
            process.wait_until(file.exists, f"all scenarios, see {log}", PATIENCE)
        finally:
            process.stop(running)
        yield json.loads(file.read_text())


def test_a_valid_change_is_applied_completely(outcomes: dict[str, Any]) -> None:
    assert outcomes["good"] == {"error": "", "held": 2000}


@pytest.mark.parametrize(
    ("scenario", "error", "culprit"),
    [
        ("unreadable", "OFPBAC_BAD_OUT_PORT", f"table={p.FORWARD.id},priority=100,reg10=0x2,"),
        ("unreadable, its like not", "OFPBAC_BAD_OUT_PORT", f"table={p.FORWARD.id},priority=100,reg10=0x2,"),
        ("unreadable among many", "OFPBAC_BAD_OUT_PORT", f"table={p.FORWARD.id},priority=100,reg10=0x2,"),
        ("experimenter's error", "OFPET_EXPERIMENTER(0x2320)", "conjunction(16,1/2),output:1"),
        ("full table", "OFPFMFC_TABLE_FULL", "table=46,priority=2,"),
        ("full table, the like of it known", "OFPFMFC_TABLE_FULL", "table=46,priority=2,"),
    ],
)
def test_what_is_refused_changes_nothing(
    outcomes: dict[str, Any], scenario: str, error: str, culprit: str
) -> None:
    outcome = outcomes[scenario]
    assert outcome["held"] == 0
    assert error in outcome["error"]
    assert culprit in outcome["error"]


def test_a_known_message_signature_is_committed_without_a_test_first(outcomes: dict[str, Any]) -> None:
    assert outcomes["answers waited for"] == {"first": 2, "the like": 1, "another": 2}


def test_a_flow_that_cannot_be_sent_changes_nothing(outcomes: dict[str, Any]) -> None:
    outcome = outcomes["fails in the middle"]
    assert "do not fit one flow" in outcome["error"]
    assert outcome["held"] == 0
    assert outcome["again"] == EMPTY_AND_FINE, "the bundle was left open"


def test_the_end_of_a_session_leaves_no_bundle_open(outcomes: dict[str, Any]) -> None:
    assert outcomes["thread ends in the middle"] == {"held": 0, "again": EMPTY_AND_FINE}


def test_a_late_error_is_not_attributed_to_another_change(outcomes: dict[str, Any]) -> None:
    outcome = outcomes["answers late"]
    assert outcome["error"].startswith("no answer to the bundle's messages within")
    assert outcome["then"] == {"error": "", "held": 2}


@pytest.mark.parametrize(
    ("scenario", "error"),
    [
        ("session, unreadable flow", "OFPBAC_BAD_OUT_PORT"),
        ("session, flow that cannot be encoded", "OverflowError"),
    ],
)
def test_a_session_reports_an_error_and_retries(outcomes: dict[str, Any], scenario: str, error: str) -> None:
    outcome = outcomes[scenario]
    (generation, reported), last = outcome["reports"]
    assert generation == -1
    assert error in reported
    assert last == [7, ""]
    assert (outcome["before"], outcome["after"]) == (0, 3)


def test_a_change_in_parts_is_made_when_it_is_complete(outcomes: dict[str, Any]) -> None:
    outcome = outcomes["in parts, completed later"]
    assert outcome["early"] == 1, "an incomplete change was reported as done"
    assert outcome["reports"] == [[1, ""], [2, ""]]
    assert outcome["held"] == 2000 - 500 + 10


def test_a_change_that_is_never_completed_changes_nothing(outcomes: dict[str, Any]) -> None:
    assert outcomes["in parts, ends unfinished"] == {"reports": [[1, ""]], "held": 0}


def test_a_session_that_starts_over_completes_what_has_begun(outcomes: dict[str, Any]) -> None:
    outcome = outcomes["in parts, starts over"]
    assert [generation for generation, _ in outcome["reports"][:3]] == [1, -1, 2]
    assert "OFPBAC_BAD_OUT_PORT" in outcome["reports"][1][1]
    assert outcome["held"] == 2000
