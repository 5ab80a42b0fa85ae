"""The rule of tests/conftest.py that a full run fails if tests on a real switch are missing or skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SETTINGS = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\nmarkers = ["switch: as in the real suite"]\n'
HEADER = "import pytest\n"
PLAIN = "def test_plain(): pass\n"
SWITCH = "@pytest.mark.switch\ndef test_switch(): pass\n"
SLOW = (
    "import time\nfrom hypothesis import example, given, settings, strategies\n"
    "@settings(max_examples=1)\n@given(strategies.none())\ndef test_slow(_): time.sleep(0.3)\n"
)
SKIPPED = "@pytest.mark.switch\n@pytest.mark.skip\ndef test_skipped(): pass\n"


@pytest.mark.parametrize(
    ("tests", "options", "expected"),
    [
        (PLAIN, [], 1),
        (PLAIN + SWITCH, [], 0),
        (PLAIN + SWITCH + SKIPPED, [], 1),
        (PLAIN, ["tests/test_some.py"], 0),
        (PLAIN + SWITCH, ["-k", "plain"], 0),
        (PLAIN + SWITCH, ["-p", "no:cacheprovider"], 0),
        (PLAIN, ["-p", "no:cacheprovider"], 1),
        (SLOW + SWITCH, [], 0),
        (SLOW + SWITCH, ["--hypothesis-profile=first"], 0),
    ],
)
def test_exit_code(tmp_path: Path, tests: str, options: list[str], expected: int) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    (folder / "conftest.py").symlink_to(CONFTEST)
    (folder / "test_some.py").write_text(HEADER + tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == expected, done.stdout
