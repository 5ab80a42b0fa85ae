"""Runs the tests that depend on the datapath on the kernel datapath, in a guest.

Usage: `scripts/kernel.py [PYTEST OPTION…]`. Options that name tests replace the list below; `--all` adds the
tests that take long. With `--again`, tests that fail are run once more, in a new guest. Exit code 0: at least
one test passed and none failed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from lab.datapath import SETTING, Datapath
from lab.guest import REPOSITORY, Guest
from lab.process import LabError
from sgctl.store.liveness import PATIENCE

SYSTEMS = (
    *("address_ranges", "atomic", "bonds", "bound_members", "devices", "drop_counters"),
    *("enforcement", "fragment_budget", "honest_failover", "honest_paths", "hosts_behind_a_port", "loops"),
    *("routed_subnets", "uplink_kinds"),
)
"""The tests of tests/system whose result depends on the datapath."""
TESTS = (
    "tests/attacks/test_attacks.py",
    "tests/attacks/test_megaflows.py",
    "tests/ovs/test_frames.py",
    "tests/ovs/test_connections.py",
    "tests/ovs/test_dscp.py",
    "tests/ovs/test_hard_cases.py",
    "tests/ovs/test_leaks.py",
    "tests/scenario/test_scenarios.py::test_every_probe_has_the_expected_result",
    *(f"tests/system/test_{name}.py" for name in SYSTEMS),
)
ALL = (*TESTS, "tests/scenario/test_scenarios.py", "tests/system")
"""Tests that take an hour and more in a guest with one slow processor."""
_ENVIRONMENT = {SETTING: Datapath.KERNEL, PATIENCE: "5"}
"""A guest is slow, so its controllers answer late."""
_LIMIT_SECONDS, _LIMIT_SECONDS_ALL = 3000, 3 * 3600
_LAST_FAILED = Path("v", "cache", "lastfailed")
"""The file in pytest's cache with a JSON object whose keys are the failed tests."""
_PYTEST = REPOSITORY / ".venv" / "bin" / "pytest"


class Tally(NamedTuple):
    """The number of tests by outcome, and the failed tests."""

    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...] = ()


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    everything, again = "--all" in arguments, "--again" in arguments
    arguments = [each for each in arguments if each not in ("--all", "--again")]
    chosen = any(Path(each.partition("::")[0]).exists() for each in arguments)
    names = () if chosen else ALL if everything else TESTS
    try:
        limit = _LIMIT_SECONDS_ALL if everything or chosen else _LIMIT_SECONDS
        code, tally = run([*names, *arguments], limit)
        if again and tally.failures:
            sys.stdout.write(f"once more: {' '.join(tally.failures)}\n")
            code, tally = run(tally.failures, limit)
    except (LabError, OSError, ET.ParseError) as error:
        sys.stderr.write(f"{Path(__file__).name}: {error}\n")
        return 2
    if not tally.passed:
        sys.stderr.write("no test passed on the kernel datapath: this run proves nothing\n")
    return code or int(not tally.passed or bool(tally.failed))


def run(arguments: Sequence[str], limit: float) -> tuple[int, Tally]:
    """Run pytest in a guest; its exit code and results. Raises LabError when the guest ends early.

    Tests record figures as properties, which only the older of pytest's two JUnit formats supports.
    """
    with tempfile.TemporaryDirectory(prefix="sgctl-guest-") as directory:
        result, cache = Path(directory, "result.xml"), Path(directory, "cache")
        options = ["-o", f"cache_dir={cache}", "-o", "junit_family=xunit1", f"--junit-xml={result}"]
        pytest = [_PYTEST, *options, *arguments]
        with Guest(list(map(str, pytest)), result.parent, _ENVIRONMENT) as guest:
            return guest.wait(limit), tally(result, cache / _LAST_FAILED)


def tally(result: Path, failures: Path) -> Tally:
    """The numbers in pytest's JUnit file, and the tests in pytest's list of failed tests.

    Raises OSError or ParseError when the JUnit file is missing or unreadable.
    """
    suites = list(ET.parse(result).getroot().iter("testsuite"))  # noqa: S314 - written by our own pytest
    counted = Counter[str]()
    for suite in suites:
        counted.update({name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")})
    failed, skipped = counted["failures"] + counted["errors"], counted["skipped"]
    names = json.loads(failures.read_text(encoding="utf-8")) if failures.exists() else ()
    return Tally(counted["tests"] - failed - skipped, failed, skipped, tuple(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
