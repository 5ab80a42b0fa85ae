"""Runs the scenarios: with Mininet, `ryu-manager sgctl`, the `sgctl` command and real packets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab.datapath import DATAPATH, Datapath
from lab.matrix import WRONG
from lab.scenario import TOPOLOGIES

RUNNER = TOPOLOGIES.parent / "mininet" / "run.py"
LIMIT_SECONDS = 600
PATIENCE = ("--timeout", "12") if DATAPATH is Datapath.KERNEL else ()
"""The time limit of a probe: a guest is slow, and an allowed probe must not look denied."""

pytestmark = pytest.mark.switch


class Run(NamedTuple):
    code: int
    output: str
    errors: str


def run(*arguments: str | Path) -> Run:
    command = [sys.executable, str(RUNNER), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


def probes(output: str, step: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output)["steps"][step]["probes"]
    return found


def wrong_cells(found: Sequence[dict[str, Any]]) -> set[tuple[str, str, str, str]]:
    return {
        (each["source"], each["target"], each["service"], each["observed"])
        for each in found
        if not each["as_expected"]
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in TOPOLOGIES.glob("*.yaml")))
def test_every_probe_has_the_expected_result(name: str) -> None:
    done = run(name, "-o", "json", *PATIENCE)
    assert done.output, done.errors
    result = json.loads(done.output)
    wrong = [each for step in result["steps"] for each in step["probes"] if not each["as_expected"]]
    assert not wrong, done.errors
    assert done.code == 0
    assert result["as_expected"] is True


def test_a_missing_rule_changes_exactly_its_cells() -> None:
    done = run("evroc-tiers", "--drop-rule", "allow8080WebInbound", "--no-color", *PATIENCE)
    assert done.code == 1, done.errors
    marked = [line.split(" (")[0] for line in done.output.splitlines() if line.startswith(WRONG)]
    assert marked == [
        f"{WRONG} web → app tcp/8080: expected allow",
        f"{WRONG} web-2 → app tcp/8080: expected allow",
    ]
    assert done.output.count(f"{WRONG}DENY") == 2
    closing = re.search(r"^(\d+) of (\d+) probes as expected$", done.output, re.MULTILINE)
    assert closing is not None
    assert int(closing[2]) - int(closing[1]) == 2


def test_without_a_policy_every_denied_probe_passes() -> None:
    """Proves that the test bench itself denies no probe, attacks included."""
    done = run("cloudstack-basic-zone", "--no-policy", "-o", "json", *PATIENCE)
    assert done.code == 1, done.errors
    found = probes(done.output)
    denied = {
        (each["source"], each["target"], each["service"], "allow")
        for each in found
        if each["expected"] == "deny"
    }
    assert wrong_cells(found) == denied


def test_an_invalid_file_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "name: wrong\nswitches: {s1: }\nnetworks: {blue: }\nhosts: {}\ngrid: {services: [tcp/1]}\n"
    )
    done = run(path)
    assert (done.code, done.output) == (2, "")
    assert done.errors.startswith(f"{path}: hosts: ")


def test_an_unknown_rule_cannot_be_dropped() -> None:
    done = run("evroc-tiers", "--drop-rule", "nobody")
    assert (done.code, done.output) == (2, "")
    assert "names 0 rules" in done.errors


def namespace_of(link: Path) -> str:
    """The namespace behind a link of /proc; empty when it or its process does not exist."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


def processes(runner: subprocess.Popen[bytes]) -> list[Path]:
    """The processes in the runner's PID namespace, once it exists."""
    theirs = namespace_of(Path(f"/proc/{runner.pid}/ns/pid_for_children"))
    if theirs in ("", namespace_of(Path("/proc/self/ns/pid"))):
        return []
    return [link for link in Path("/proc").glob("[0-9]*/ns/pid") if namespace_of(link) == theirs]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_after_a_kill(tmp_path: Path, number: signal.Signals) -> None:
    devices = sorted(Path("/sys/class/net").iterdir())
    command = [
        sys.executable,
        str(RUNNER),
        "infomaniak-taylor",
        "--no-policy",
        "--keep-going",
        "--timeout",
        "30",
    ]
    runner = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    deadline = time.monotonic() + 30
    while len(found := processes(runner)) < 10:
        assert time.monotonic() < deadline, "the demo did not start"
        time.sleep(0.05)
    runner.send_signal(number)
    runner.wait(10)
    while any(link.exists() for link in found):
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.05)
    assert sorted(Path("/sys/class/net").iterdir()) == devices
    assert not list(tmp_path.iterdir()), "temporary files are left"
