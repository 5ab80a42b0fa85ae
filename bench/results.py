"""The table, the JSON file and the plots."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import plots
from bench.goals import GOALS, judge_peers
from bench.record import Record

COLUMNS = ("ours", "limit", "ovn", "neutron")
_VERDICT = {True: "yes", False: "NO", None: "–"}


def rows(record: Record) -> list[dict[str, Any]]:
    """Every figure as a row of results.json; None where nothing was measured."""
    values = {key: dict(columns) for key, columns in record.values.items()}
    verdicts = judge_peers(values)
    found = []
    for goal in GOALS:
        held = values.get(goal.key, {})
        row: dict[str, Any] = {"figure": goal.figure, "unit": goal.unit, "goal": goal.text or None}
        row |= {column: held.get(column) for column in COLUMNS}
        row["met"] = verdicts.get(goal.key, goal.met(held))
        found.append(row)
    return found


def write_report(record: Record, heading: list[str], out: Path) -> None:
    """Write results.json, results.txt and the plots."""
    found = rows(record)
    (out / "results.json").write_text(
        json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    lines = [*heading, "", *table(row for row in found if row["ours"] is not None), ""]
    lines += [f"* {note}" for note in record.notes]
    missing = [row["figure"] for row in found if row["ours"] is None]
    if missing:
        lines += ["", "Not measured: " + "; ".join(missing) + "."]
    (out / "results.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "samples.json").write_text(
        json.dumps({"samples": record.samples, "series": record.series}), encoding="utf-8"
    )
    plots.draw(record, out)


def table(found: Iterable[dict[str, Any]]) -> list[str]:
    """A Markdown table; each value of a peer is followed by its ratio to ours."""
    lines = ["| figure | ours | limit | OVN | Neutron | goal | met |", "|---|---|---|---|---|---|---|"]
    for row in found:
        cells = [row["figure"], _number(row["ours"], row["unit"])]
        cells += [_compared(row[column], row["ours"], row["unit"]) for column in COLUMNS[1:]]
        lines.append(f"| {' | '.join([*cells, row['goal'] or '', _VERDICT[row['met']]])} |")
    return lines


def _compared(value: float | None, ours: float | None, unit: str) -> str:
    if value is None:
        return "–"
    ratio = f" ({value / ours:.2g} ×)" if ours and unit not in ("×", "packets") else ""
    return _number(value, unit) + ratio


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}"


def conditions() -> list[str]:
    """Machine, versions, and the load averages before the benchmark starts."""
    versions = [_first_line(["ovs-vswitchd", "--version"]), _first_line(["ovn-controller", "--version"])]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {_cpu()}, load averages {load}",
        f"Linux {platform.release()}, Python {platform.python_version()}, "
        + ", ".join(version for version in versions if version),
    ]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0].strip()
