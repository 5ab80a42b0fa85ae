"""Each optimization can be switched off, and uses only names that the library still has."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import ovs.db.idl
import ovs.jsonrpc
import pytest

from bench.optimizations import without
from sgctl.optimizations import OPTIMIZATIONS, VARIABLE, is_on, problem
from sgctl.ovsdb.collector import MUCH, collector_paused
from sgctl.store.server import allocator

ROOT = Path(__file__).parents[2]


def python(program: str, without: str) -> str:
    """The output of a program in a separate process."""
    environ = {**os.environ, VARIABLE: without}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.strip()


def place_of(name: str) -> Path:
    """The module that the table names."""
    (place,) = re.findall(r"\((sgctl[.\w]+)\)", OPTIMIZATIONS[name])
    return ROOT / f"{place.replace('.', '/')}.py"


@pytest.mark.parametrize("name", OPTIMIZATIONS)
def test_each_optimization_is_on_by_default(name: str) -> None:
    others = ",".join(OPTIMIZATIONS.keys() - {name})
    assert is_on(name, {})
    assert is_on(name, {VARIABLE: others})
    assert not is_on(name, {VARIABLE: f" {name} ,"})


@pytest.mark.parametrize("name", OPTIMIZATIONS)
def test_each_optimization_is_read_by_the_module_in_the_table(name: str) -> None:
    """An option that no module reads would have no effect."""
    users = [path for path in (ROOT / "sgctl").rglob("*.py") if f'is_on("{name}")' in path.read_text()]
    assert users
    assert place_of(name) in users


@pytest.mark.parametrize(
    ("command", "prefix"),
    [
        (["-m", "sgctl.ryu.manager", "--version"], "ryu-manager: "),
        (["-c", "import sgctl.cli; sgctl.cli.main(['version'])"], "error: "),
    ],
)
def test_an_unknown_optimization_is_an_error(command: list[str], prefix: str) -> None:
    assert problem({VARIABLE: "collector,colector"}) == "SGCTL_WITHOUT: no such optimization: colector"
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, VARIABLE: "colector"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"{prefix}SGCTL_WITHOUT: no such optimization: colector\n",
    )


def test_ryu_imports_as_it_does_without_us() -> None:
    program = """
from sgctl.ryu import repair
repair.prepare()
repair.repair_imports()
import sys, ryu.cmd.manager
print("setuptools" in sys.modules or "distutils" in sys.modules)
"""
    assert python(program, "") == "False"
    assert python(program, "imports") == "True"


def test_the_library_reads_its_messages_itself() -> None:
    program = "from sgctl.ovsdb.library import ovs; print(ovs.jsonrpc.Connection.__module__)"
    assert python(program, "") == "sgctl.ovsdb.library"
    assert python(program, "reader") == "ovs.jsonrpc"


def test_the_reader_replaces_what_the_library_has() -> None:
    """Names of the `ovs` package that `sgctl.ovsdb.library` and `sgctl.ovsdb.replica` override or use."""
    for name in ("send", "recv", "recv_wait", "run", "error"):
        assert callable(getattr(ovs.jsonrpc.Connection, name))
    assert callable(ovs.jsonrpc.Message.from_json)
    assert callable(ovs.json.to_string)


def test_the_collector_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "collector")
    before = gc.get_freeze_count()
    kept: list[list[int]] = []
    with collector_paused():
        assert gc.isenabled()
        kept += ([number] for number in range(2 * MUCH))
    assert kept
    assert gc.get_freeze_count() == before


def test_the_allocators_setting_exists() -> None:
    (setting,) = allocator().values()
    loader = next(path for folder in ("/lib64", "/lib") for path in Path(folder).glob("ld-linux*.so.*"))
    tunables = subprocess.run([loader, "--list-tunables"], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^{re.escape(setting.partition('=')[0])}: ", tunables, re.MULTILINE)


def test_the_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "allocator")
    assert allocator() == {}


def test_the_benchmark_leaves_out_what_the_user_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "collector")
    with without("imports"):
        assert os.environ[VARIABLE] == "collector,imports"
    assert os.environ[VARIABLE] == "collector"


@pytest.mark.parametrize("name", OPTIMIZATIONS)
def test_each_says_in_its_place_what_it_gains(name: str) -> None:
    text = " ".join(place_of(name).read_text().split())
    gain = r"Gain.{1,300}\(`python -m bench --only optimizations`\)"
    assert re.search(rf"{gain}.{{1,100}}`SGCTL_WITHOUT={name}`", text)


def test_each_is_documented() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert [name for name in OPTIMIZATIONS if f"| `{name}` |" not in page] == []
