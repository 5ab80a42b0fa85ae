"""A guest that dies, hangs or runs nothing counts as a failure, whatever it printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest

from lab.guest import REPOSITORY, Guest
from lab.process import LabError
from scripts import kernel


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def guest(folder: Path, shared: Path, script: str) -> Guest:
    """A guest whose kernel is a script; `$shared` is the folder that it shares with us."""
    program = folder / "linux"
    program.write_text(f"#!/bin/sh\nshared={shared}\n{script}\n")
    program.chmod(0o755)
    return Guest(["true"], shared, kernel=folder)


@pytest.mark.usefixtures("root")
def test_the_exit_code_is_the_command_s(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with guest(tmp_path, shared, 'echo said >"$shared/output"; echo 3 >"$shared/exit"') as running:
        assert running.wait(10) == 3
    assert capsys.readouterr().out == "said\n"


@pytest.mark.usefixtures("root")
def test_a_guest_that_dies_is_a_failure_with_its_last_output(tmp_path: Path, shared: Path) -> None:
    script = 'echo "1 passed" >"$shared/output"; echo "Kernel panic"'
    with guest(tmp_path, shared, script) as running, pytest.raises(LabError, match=r"died:\nKernel panic"):
        running.wait(10)


@pytest.mark.usefixtures("root")
def test_a_guest_that_hangs_is_ended_and_a_failure(tmp_path: Path, shared: Path) -> None:
    with guest(tmp_path, shared, "exec sleep 60") as running:
        assert running._process is not None
        with pytest.raises(LabError, match="not done"):
            running.wait(0.1)
    assert running._process.poll() is not None


def test_without_a_kernel_the_command_that_builds_it_is_named(tmp_path: Path, shared: Path) -> None:
    with pytest.raises(LabError, match="make kernel"), Guest(["true"], shared, kernel=tmp_path):
        pass


def result(folder: Path, **numbers: int) -> Path:
    found = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0} | numbers
    attributes = " ".join(f'{name}="{number}"' for name, number in found.items())
    file = folder / "result.xml"
    file.write_text(f"<testsuites><testsuite {attributes}/></testsuites>")
    return file


@pytest.mark.parametrize(
    ("code", "numbers", "expected"),
    [
        (0, {"tests": 3, "skipped": 1}, 0),
        (1, {"tests": 3, "failures": 1}, 1),
        (0, {"tests": 3, "errors": 1}, 1),
        (0, {"tests": 2, "skipped": 2}, 1),
        (5, {}, 5),
    ],
)
def test_a_run_in_which_nothing_passed_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, numbers: dict[str, int], expected: int
) -> None:
    tally = kernel.tally(result(tmp_path, **numbers), tmp_path / "no list")
    monkeypatch.setattr(kernel, "run", lambda *_: (code, tally))
    assert kernel.main([]) == expected


@pytest.mark.parametrize("second", [0, 1])
def test_what_failed_is_run_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: int) -> None:
    failures = tmp_path / "list"
    failures.write_text('{"tests/a.py::test_b": true}')
    first = kernel.tally(result(tmp_path, tests=2, failures=1), failures)
    asked: list[list[str]] = []

    def run(tests: Sequence[str], _: float) -> tuple[int, kernel.Tally]:
        asked.append(list(tests))
        return (1, first) if len(asked) == 1 else (second, kernel.Tally(1 - second, second, 0))

    monkeypatch.setattr(kernel, "run", run)
    assert kernel.main(["--again"]) == second
    assert asked[1:] == [["tests/a.py::test_b"]]


def test_a_guest_that_died_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernel, "run", Mock(side_effect=LabError("the guest died")))
    assert kernel.main([]) == 2
    assert capsys.readouterr().err == "kernel.py: the guest died\n"


def test_what_is_to_run_in_the_guest_exists() -> None:
    files = {Path(name.partition("::")[0]) for name in kernel.ALL}
    assert [str(file) for file in files if not (REPOSITORY / file).exists()] == []
