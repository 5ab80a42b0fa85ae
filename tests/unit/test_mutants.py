"""The mutants and their runner; `make mutants` tries them."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from scripts.mutants import ROOT, STAGES, Mutant, TimedOut, Untried, failing_test, mutants

MUTANTS = list(mutants())
LONG_SECONDS = 60.0
CONFTEST = "from hypothesis import settings\nsettings.register_profile('first')\n"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.wrong)
def test_a_mutant_is_another_program(mutant: Mutant) -> None:
    text = (ROOT / "flows" / f"{mutant.module}.py").read_text()
    assert ast.dump(ast.parse(mutant.applied(text))) != ast.dump(ast.parse(text))


def test_every_file_of_tests_is_there() -> None:
    assert [name for stage in STAGES for name in stage if not (ROOT / name).exists()] == []


def test_no_two_mutants_have_the_same_name() -> None:
    assert not [name for name, count in Counter(mutant.wrong for mutant in MUTANTS).items() if count > 1]


def test_a_mutant_whose_text_is_missing_is_an_error() -> None:
    with pytest.raises(Untried, match=r"flows/compiler/rules\.py does not hold: gone"):
        Mutant("nothing", "compiler/rules", "gone", "new").applied("text")


def written(folder: Path, test: str) -> tuple[str]:
    (folder / "tests").mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "tests" / "test_some.py").write_text(f"import time\n\n\n{test}\n")
    return ("tests/test_some.py",)


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        ("def test_it(): assert 1 > 0", ""),
        ("def test_it(): assert 1 < 0, 'less - or so'", "tests/test_some.py::test_it"),
        (
            "import pytest\n@pytest.mark.parametrize('text', ['a word'])\ndef test_it(text): assert not text",
            "tests/test_some.py::test_it[a word]",
        ),
    ],
)
def test_the_test_that_fails_is_named(tmp_path: Path, body: str, failed: str) -> None:
    assert failing_test(tmp_path, written(tmp_path, body), LONG_SECONDS) == failed


def test_tests_that_do_not_end_are_no_failure(tmp_path: Path) -> None:
    tests = written(tmp_path, "def test_it(): time.sleep(600)")
    with pytest.raises(TimedOut):
        failing_test(tmp_path, tests, 2)


def test_tests_that_cannot_run_are_no_failure(tmp_path: Path) -> None:
    tests = written(tmp_path, "raise ImportError")
    with pytest.raises(Untried):
        failing_test(tmp_path, tests, LONG_SECONDS)
