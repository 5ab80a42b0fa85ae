"""Break the compiler on purpose, one way at a time: the fast part of the tests must catch every mutant.

The mutants are in `tests/mutants`, one file for each module of `flows`. Each is tried in a copy of the
repository in which one piece of text is replaced. The golden files are left out: they notice every change of
flows, right or wrong, and would hide that no other test notices what is wrong.
Usage: mutants.py [WORD…], where only mutants whose description holds one of the words are tried.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "mutants"
CAUGHT_BY = TABLE / "caught_by.json"
"""By mutant: the file of tests that caught it in the last complete run, which is tried first in the next."""
COPIED = ("flows", "lab", "sgctl", "tests", "pyproject.toml")
SWITCH = "tests/ovs/"
ON_SWITCHES = (SWITCH, "tests/system/", "tests/attacks/")
QUICK = ("frames", "holders", "hard_cases", "broadcast", "grid", "bitwise_checks", "leaks", "connections")
"""The tests on a switch that catch many mutants in little time."""
LEFT_OUT = ("golden", "channel")
"""The golden files, see above, and the OpenFlow channel, which compiles nothing."""


def on_a_switch() -> tuple[str, ...]:
    """The files of tests on a switch, the quick ones first."""
    names = sorted(path.stem.removeprefix("test_") for path in (ROOT / SWITCH).glob("test_*.py"))
    others = [name for name in names if name not in (*QUICK, *LEFT_OUT)]
    return tuple(f"{SWITCH}test_{name}.py" for name in (*QUICK, *others))


STAGES = (
    (
        "tests/unit/test_openflow_message_signature.py",
        "tests/unit/test_compiler_services.py",
        "tests/unit/test_compiler_fragment_budget.py",
        "tests/unit/test_compiler_claims.py",
        "tests/unit/test_compiler_identities.py",
        "tests/unit/test_compiler_nd_targets.py",
        "tests/unit/test_compiler_routed.py",
        "tests/unit/test_openflow_pipeline.py",
        "tests/unit/test_compiler_exempt.py",
    ),
    on_a_switch(),
    ("tests/unit/test_compiler_paths.py",),
    ("tests/system/test_routed_subnets.py", "tests/attacks/test_attacks.py"),
)
"""Each is one process, which ends at the first failure. Quick tests that catch many mutants come first."""
OPTIONS = ("-x", "-q", "-rfE", "-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-seed=1")
PROFILE = "--hypothesis-profile=first"
PAIRS = "5000"
PATIENCE = 10
"""A stage may take this many times as long as the slowest without a mutant: the machine may be busy."""
LEAST_SECONDS, MOST_SECONDS = 120.0, 3600.0
AT_ONCE = len(os.sched_getaffinity(0))


class Mutant(NamedTuple):
    """In `flows/<module>.py`, `old` becomes `new`, and so the compiler does `wrong`."""

    wrong: str
    module: str
    old: str
    new: str

    def applied(self, text: str) -> str:
        """The module's text with the mistake in it. Raises Untried when the text lacks `old`."""
        if self.old not in text:
            raise Untried(f"flows/{self.module}.py does not hold: {self.old}")
        return text.replace(self.old, self.new)


class Untried(Exception):
    """Why nothing is known about a mutant."""


class TimedOut(Exception):
    """The tests did not end: because of the mutant, or because the machine is too busy."""


def mutants() -> Iterator[Mutant]:
    """All mutants, by module."""
    for file in sorted(TABLE.rglob("*.toml")):
        module = file.relative_to(TABLE).with_suffix("").as_posix()
        for row in tomllib.loads(file.read_text(encoding="utf-8"))["mutant"]:
            yield Mutant(row["wrong"], module, row["old"], row["new"])


class MutantRunner:
    """The tests of a directory without a mutant, which mutants are copied from."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.limit = MOST_SECONDS
        """How many seconds a stage may take."""
        self.catches: dict[str, str] = json.loads(CAUGHT_BY.read_text(encoding="utf-8"))
        self._by_module: defaultdict[str, list[str]] = defaultdict(list)
        """The files of tests that caught the module's mutants in this run, the last one first."""
        for each in COPIED:
            copy = shutil.copytree if (ROOT / each).is_dir() else shutil.copy
            copy(ROOT / each, directory / each)

    def prepare(self) -> str:
        """Measure how long the tests take without a mutant; returns the first that fails, or nothing."""
        slowest = 0.0
        for stage in STAGES:
            begin = time.monotonic()
            if failed := failing_test(self.directory, stage, self.limit):
                return failed
            slowest = max(slowest, time.monotonic() - begin)
        self.limit = max(LEAST_SECONDS, PATIENCE * slowest)
        return ""

    def verdict(self, mutant: Mutant) -> str:
        """The verdict on one mutant, as a word, and the test that caught it."""
        with tempfile.TemporaryDirectory(prefix="sgctl-mutant-") as name:
            directory = Path(name)
            shutil.copytree(self.directory, directory, dirs_exist_ok=True)
            try:
                _break(directory, mutant)
                test = self._caught_by(directory, mutant)
            except Untried as error:
                return f"ERROR {error}"
            except TimedOut:
                return "TIMEOUT"
        return f"caught by {test}" if test else "SURVIVED"

    def _caught_by(self, directory: Path, mutant: Mutant) -> str:
        """The test that fails, or nothing.

        A test on a switch may also fail because the machine is busy. It counts when it fails again alone.
        """
        for stage in (self._most_likely(mutant), *STAGES):
            test = failing_test(directory, stage, self.limit)
            if test.startswith(ON_SWITCHES):
                test = failing_test(directory, (test,), self.limit)
            if test:
                self._note(mutant, test.partition("::")[0])
                return test
        return ""

    def _most_likely(self, mutant: Mutant) -> tuple[str, ...]:
        """The files that caught this mutant before, or others of its module."""
        files = (self.catches.get(mutant.wrong, ""), *self._by_module[mutant.module])
        return tuple(name for name in dict.fromkeys(files) if (ROOT / name).is_file())

    def _note(self, mutant: Mutant, file: str) -> None:
        others = [name for name in self._by_module[mutant.module] if name != file]
        self.catches[mutant.wrong], self._by_module[mutant.module] = file, [file, *others]


def _break(directory: Path, mutant: Mutant) -> None:
    file = directory / "flows" / f"{mutant.module}.py"
    file.write_text(mutant.applied(file.read_text(encoding="utf-8")), encoding="utf-8")
    for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
        compiled.unlink()


def failing_test(directory: Path, tests: tuple[str, ...], limit: float) -> str:
    """The first test that fails within `limit` seconds, or nothing. Raises TimedOut and Untried."""
    if not tests:
        return ""
    code, output = _run_tests(directory, tests, limit)
    failed = re.search(r"^(?:FAILED|ERROR) (tests/\S+?\.py::.*?)(?: - .*)?$", output, re.MULTILINE)
    if code == 1 and failed:
        return failed[1]
    if code:
        raise Untried(f"the tests did not run: {output[-800:]}")
    return ""


def _run_tests(directory: Path, tests: tuple[str, ...], limit: float) -> tuple[int, str]:
    """Exit code and output of pytest. Raises TimedOut; the switch then ends with pytest."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *OPTIONS, PROFILE, *tests],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(directory), "PAIRS": PAIRS, "COLUMNS": "1000"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimedOut from None
    return done.returncode, done.stdout


def main(words: list[str]) -> int:
    """Try the mutants; 0 when all were caught."""
    chosen = [m for m in mutants() if not words or any(word in m.wrong for word in words)]
    found = 0
    with tempfile.TemporaryDirectory(prefix="sgctl-mutant-") as name, ThreadPoolExecutor(AT_ONCE) as pool:
        runner = MutantRunner(Path(name))
        if failed := runner.prepare():
            sys.stdout.write(f"this test fails without any mutant: {failed}\n")
            return 2
        for mutant, verdict in zip(chosen, pool.map(runner.verdict, chosen), strict=True):
            sys.stdout.write(f"{mutant.module:<26} {mutant.wrong}: {verdict}\n")
            sys.stdout.flush()
            found += verdict.startswith("caught")
    sys.stdout.write(f"{found} of {len(chosen)} mutants caught\n")
    if not words:
        catches = {m.wrong: runner.catches[m.wrong] for m in chosen if m.wrong in runner.catches}
        CAUGHT_BY.write_text(json.dumps(catches, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0 if found == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
