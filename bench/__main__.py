"""`python -m bench`: run all sections, print the table, write bench/out/."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.record import Record
from bench.results import conditions, write_report
from bench.sections import SECTIONS
from lab import sandbox

OUT = Path(__file__).parent / "out"
_SECTION_SECONDS = 900


def main() -> None:
    """Run the sections that the command line selects."""
    parser = argparse.ArgumentParser(prog="bench", description="measures sgctl, its peers and the switch")
    parser.add_argument("--quick", action="store_true", help="under three minutes, without peers")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="a section; may be repeated")
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.section:
        sys.exit(sandbox.run_isolated(lambda: _measure(options.section, options.quick, options.into)))
    names = options.only or [name for name, s in SECTIONS.items() if s.quick or not options.quick]
    _run(names, quick=options.quick)


def _measure(name: str, quick: bool, into: Path) -> int:
    """Run one section in this process; its temporary files go to the directory of `into`."""
    tempfile.tempdir = str(into.parent)
    record = Record(quick)
    try:
        SECTIONS[name].measure(record)
    finally:
        record.save(into)
    return 0


def _run(names: list[str], *, quick: bool) -> None:
    OUT.mkdir(exist_ok=True)
    total, heading = Record(quick), conditions()
    for name in names:
        start = time.monotonic()
        print(f"{SECTIONS[name].title} …", end=" ", flush=True)
        problem = _run_section(name, quick, total)
        print(problem or "done", f"({time.monotonic() - start:.0f} s)", flush=True)
        if problem:
            total.note(f"not measured: {SECTIONS[name].title}: {problem}")
        write_report(total, heading, OUT)
    print((OUT / "results.txt").read_text(encoding="utf-8"))


def _run_section(name: str, quick: bool, total: Record) -> str:
    """Run a section and merge its figures into `total`; returns the error, empty for none."""
    with tempfile.TemporaryDirectory(prefix="sgb-") as directory:
        into = Path(directory) / "record.json"
        command = [sys.executable, "-m", "bench", "--section", name, "--into", str(into)]
        if quick:
            command.append("--quick")
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECTION_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"not finished after {_SECTION_SECONDS} s"
        if into.exists():
            total.merge(into)
        if done.returncode:
            (OUT / f"{name}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
            reason = (done.stderr.strip() or "failed").splitlines()[-1]
            return reason[:300]
        return ""


if __name__ == "__main__":
    main()
