"""The benchmark's reports (goals, table, JSON) and the frames that it sends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from bench.frames import random_sources
from bench.goals import GOALS
from bench.record import Record
from bench.results import rows, table, write_report
from bench.workload import BenchWorkload
from flows.policy.objects import Port, Rule
from flows.policy.validate import check

KEYS = {"figure", "ours", "unit", "neutron", "ovn", "limit", "goal", "met"}


def row(record: Record, key: str) -> dict[str, object]:
    figure = next(goal.figure for goal in GOALS if goal.key == key)
    return next(row for row in rows(record) if row["figure"] == figure)


def test_keys_and_figures_are_unique() -> None:
    assert len({goal.key for goal in GOALS}) == len({goal.figure for goal in GOALS}) == len(GOALS)


def test_missing_measurements_are_null_and_not_judged() -> None:
    assert all(row["ours"] is None and row["met"] is None for row in rows(Record()))


@pytest.mark.parametrize(("milliseconds", "met"), [(8.0, True), (8.1, False)])
def test_latency_against_its_goal(milliseconds: float, met: bool) -> None:
    record = Record()
    record.median_ms("rule_add_400", [0.001, milliseconds / 1000, 1.0])
    assert row(record, "rule_add_400")["met"] is met


@pytest.mark.parametrize(("ours", "met"), [(1.5, True), (1.6, False)])
def test_programming_against_the_switch_itself(ours: float, met: bool) -> None:
    record = Record()
    record.put("program_400", ours)
    assert row(record, "program_400")["met"] is None
    record.put("program_400", 1.0, "limit")
    assert row(record, "program_400")["met"] is met


@pytest.mark.parametrize(("error", "met"), [(0.01, False), (0.06, True)])
def test_only_measurable_differences_count_as_below_the_floor(error: float, met: bool) -> None:
    record = Record()
    record.put("throughput_floor", 0.9)
    record.put("throughput_floor", error, "error")
    assert row(record, "throughput_floor")["met"] is met


def test_ratios_to_the_peers_follow_from_the_rule_row() -> None:
    record = Record()
    for column, milliseconds in (("ours", 4.0), ("ovn", 36.0), ("neutron", 80_000.0)):
        record.put("rule_add_400", milliseconds, column)
    assert row(record, "rule_vs_neutron")["met"] is True
    assert row(record, "rule_vs_ovn")["met"] is False
    assert row(record, "rule_vs_ovn")["ours"] == 9.0


def test_files_hold_every_row_and_every_note(tmp_path: Path) -> None:
    record = Record()
    record.put("flows_400", 1000)
    record.put("flows_400", 3000, "ovn")
    record.note("said once")
    write_report(record, ["where and when"], tmp_path)
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [set(row) for row in written] == [KEYS] * len(GOALS)
    text = (tmp_path / "results.txt").read_text(encoding="utf-8")
    assert "said once" in text
    assert "3,000 flows (3 ×)" in text


def test_table_has_one_line_for_each_figure() -> None:
    assert len(table(rows(Record()))) == len(GOALS) + 2


def test_records_are_merged(tmp_path: Path) -> None:
    ours, peer = Record(), Record()
    ours.put("flows_400", 1)
    peer.put("flows_400", 2, "ovn")
    peer.note("note")
    peer.save(tmp_path / "peer")
    ours.merge(tmp_path / "peer")
    assert ours.values["flows_400"] == {"ours": 1, "ovn": 2}
    assert ours.notes == ["note"]


def test_the_workload_is_valid_and_as_large_as_it_says() -> None:
    objects = BenchWorkload(4, 6).objects()
    assert not [problem for obj in objects for problem in check(obj)]
    assert sum(isinstance(obj, Port) for obj in objects) == 10
    assert sum(isinstance(obj, Rule) for obj in objects) == 14
    assert len({obj.id for obj in objects}) == len(objects)


def test_frames_have_valid_checksums() -> None:
    frames = list(random_sources("02:00:00:00:00:02", 0x0A000003, 1000, 50))
    for frame in frames:
        packet = Ether(frame)
        sums = packet[IP].chksum, packet[TCP].chksum
        del packet[IP].chksum, packet[TCP].chksum
        again = Ether(bytes(packet))
        assert (again[IP].chksum, again[TCP].chksum) == sums
        assert again[IP].dst == "10.0.0.3"
    assert len({Ether(frame)[IP].src for frame in frames}) > 45
