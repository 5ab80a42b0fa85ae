"""Which packages may import which: checks every import against the table in docs/architecture.md."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RYU = {"ryu", "eventlet", "greenlet", "oslo_config"}
RYU_USERS = (
    "sgctl.ryu",
    "sgctl.runtime",
    "sgctl.switch.error_names",  # for Ryu's names of OpenFlow's errors
)
REFERENCE = ("packet", "exempt", "rule_match", "verdict", "frame")
"""Modules of `flows.reference`: each may import those before it."""


def rooms() -> dict[str, set[str]]:
    """Each room of the table, and the rooms that it may import."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `((?:flows|sgctl)\.\w+)` \|[^|]*\|([^|]*)\|$", page, re.MULTILINE)
    return {room: set(re.findall(r"`([\w.]+)`", uses)) for room, uses in rows}


def sources(package: str) -> dict[str, Path]:
    """Modules of a package by dotted name."""
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything a module imports, also inside functions: modules and what is in them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FLOWS, SGCTL, ROOMS = sources("flows"), sources("sgctl"), rooms()
MODULES = FLOWS | SGCTL


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def used_by(module: str) -> set[str]:
    """The rooms that a module imports from, apart from its own."""
    return {room_of(name) for name in imports(MODULES[module]) if within(name, *ROOMS)} - {room_of(module)}


def test_every_room_is_in_the_table() -> None:
    assert {room_of(module) for module in MODULES if "." in module} == ROOMS.keys()


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_what_the_table_says_and_nothing_else(room: str) -> None:
    used = {module: used_by(module) for module in MODULES if within(module, room)}
    for module, others in used.items():
        assert others <= ROOMS[room], module
    assert set().union(*used.values()) == ROOMS[room], "the table says more than is imported"


def test_rooms_have_no_import_cycle() -> None:
    assert list(TopologicalSorter(ROOMS).static_order())  # raises CycleError


@pytest.mark.parametrize("module", sorted(FLOWS))
def test_flows_use_the_standard_library_and_netaddr_only(module: str) -> None:
    outside = {name.partition(".")[0] for name in imports(FLOWS[module])} - {"flows", "netaddr"}
    assert outside <= sys.stdlib_module_names


@pytest.mark.parametrize("module", sorted(FLOWS))
def test_flows_touch_neither_clock_nor_files_nor_network(module: str) -> None:
    world = {
        "asyncio",
        "datetime",
        "io",
        "logging",
        "os",
        "pathlib",
        "random",
        "socket",
        "subprocess",
        "time",
    }
    assert not {name.partition(".")[0] for name in imports(FLOWS[module])} & world


@pytest.mark.parametrize("place", range(len(REFERENCE)), ids=REFERENCE)
def test_the_reference_imports_only_objects_of_the_policy(place: int) -> None:
    """It does not use the policy's indexes, which the compiler uses."""
    module = f"flows.reference.{REFERENCE[place]}"
    before = [f"flows.reference.{name}" for name in REFERENCE[:place]]
    own = {name for name in imports(FLOWS[module]) if within(name, "flows")}
    assert own
    assert all(within(name, "flows.policy.objects", *before) for name in own)


@pytest.mark.parametrize("module", sorted(SGCTL))
def test_only_few_modules_import_ryu_and_eventlet(module: str) -> None:
    used = {name.partition(".")[0] for name in imports(SGCTL[module])} & RYU
    assert not used or within(module, *RYU_USERS)


def test_the_store_imports_only_objects_of_the_policy() -> None:
    """Only the controller uses the compiler."""
    pure = ("flows.policy.objects", "flows.policy.validate")
    for module, path in SGCTL.items():
        if within(module, "sgctl.store"):
            own = [name for name in imports(path) if within(name, "flows")]
            assert all(within(name, *pure) for name in own), module


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below this one, except those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield child
            yield from runtime_nodes(child)


def used_modules(tree: ast.Module, modules: Collection[str]) -> set[str]:
    """Those of the modules that a module imports at run time, also inside functions.

    A package counts only if something other than its modules is imported from it.
    """
    used = set()
    for node in runtime_nodes(tree):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            used |= parts if parts <= set(modules) else parts | {str(node.module)}
    return used & set(modules)


def circle(trees: Mapping[str, ast.Module]) -> list[str]:
    """The modules of one import circle; empty if there is none."""
    graph = {module: used_modules(tree, trees) for module, tree in trees.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_of_imports_is_found() -> None:
    sources = {"a": "import b", "b": "def late():\n    from c import d", "c": "import a\nd = 1"}
    trees = {name: ast.parse(text) for name, text in sources.items()}
    assert set(circle(trees)) == {"a", "b", "c"}
    trees["c"] = ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a")
    assert circle(trees) == []


def test_no_module_imports_itself_through_others() -> None:
    packages = ("flows", "sgctl", "topologies", "mininet", "lab", "bench", "scripts", "tests")
    modules = {name: path for package in packages for name, path in sources(package).items()}
    assert circle({name: ast.parse(path.read_text()) for name, path in modules.items()}) == []


def imports_inside_functions(tree: ast.Module) -> list[int]:
    """The lines of a module's imports that run when a function is called."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = (node for function in functions for node in ast.walk(function))
    return [node.lineno for node in inside if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("module", sorted(name for name in SGCTL if within(name, "sgctl.cli")))
def test_commands_import_at_the_top(module: str) -> None:
    """Optional modules are named in `sgctl.cli.commands` or loaded by `sgctl.cli.lazy`."""
    tree = ast.parse(SGCTL[module].read_text())
    assert imports_inside_functions(tree) == []
    assert "TYPE_CHECKING" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_only_these_functions_of_the_command_line_load_code() -> None:
    users = {module for module, path in SGCTL.items() if "sgctl.cli.lazy.load" in set(imports(path))}
    assert users == {
        "sgctl.cli.output.progress",  # rich, for a terminal
        "sgctl.cli.output.selection",  # manifests, for -o yaml
        "sgctl.cli.verbs.get",  # flows of this machine's switches, for drops
    }
