"""Who may import whom, read from the sources of all modules."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RYU = {"ryu", "eventlet", "oslo_config"}
RYU_USERS = (
    *("sgctl.app", "sgctl.ryu_manager", "sgctl.ryu_imports", "sgctl.ryu_repair", "sgctl.runtime"),
    *("sgctl.rest.server", "sgctl.rest.listener"),
    "sgctl.switch.error_names",  # for Ryu's names of OpenFlow's errors
)
LOWER_FIRST = ("settings", "runtime", "store", "service", "switch", "controller", "explain", "forecast")
"""Packages of sgctl: each may use those before it. What is not listed is an entry, used by none of these."""
REFERENCE = ("flows.model", "flows.packet", "flows.exempt", "flows.verdict", "flows.frame")
"""What judges without the compiler: each may use those before it."""


def sources(package: str) -> dict[str, Path]:
    """Modules of a package by dotted name."""
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FLOWS, SGCTL = sources("flows"), sources("sgctl")


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_there_is_something_to_look_at() -> None:
    assert {"flows.compiler", *REFERENCE} <= FLOWS.keys()
    assert {"sgctl.app", "sgctl.store"} <= SGCTL.keys()


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


@pytest.mark.parametrize("place", range(1, len(REFERENCE)), ids=REFERENCE[1:])
def test_the_reference_knows_the_model_only(place: int) -> None:
    own = {name for name in imports(FLOWS[REFERENCE[place]]) if within(name, "flows")}
    assert own
    assert all(within(name, *REFERENCE[:place]) for name in own)


def test_the_compiler_does_not_know_the_reference() -> None:
    reference = set(REFERENCE[2:])  # what is a port's own, it may know
    users = [module for module, path in FLOWS.items() if reference & (set(imports(path)) - {module})]
    assert set(users) <= reference


def test_the_model_knows_nothing() -> None:
    assert not [name for name in imports(FLOWS["flows.model"]) if within(name, "flows")]


@pytest.mark.parametrize("module", sorted(SGCTL))
def test_ryu_and_eventlet_are_known_in_few_places(module: str) -> None:
    used = {name.partition(".")[0] for name in imports(SGCTL[module])} & RYU
    assert not used or within(module, *RYU_USERS)


@pytest.mark.parametrize("module", sorted(SGCTL))
def test_nothing_uses_what_is_above_it(module: str) -> None:
    layer = module.split(".")[1] if "." in module else ""
    if layer in LOWER_FIRST:
        below = LOWER_FIRST[: LOWER_FIRST.index(layer) + 1]
        used = {name.split(".")[1] for name in imports(SGCTL[module]) if name.startswith("sgctl.")}
        assert used <= set(below)


def test_policy_is_known_to_the_store_as_model_only() -> None:
    """The compiler is the controller's business."""
    pure = ("flows.model", "flows.validate")
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
    """What is not needed at once has its place in `sgctl.cli.commands` or is loaded by `sgctl.cli.lazy`."""
    tree = ast.parse(SGCTL[module].read_text())
    assert imports_inside_functions(tree) == []
    assert "TYPE_CHECKING" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_only_these_functions_of_the_command_line_load_code() -> None:
    users = {module for module, path in SGCTL.items() if "sgctl.cli.lazy.load" in set(imports(path))}
    assert users == {
        "sgctl.cli.output.selection",  # manifests, for -o yaml
        "sgctl.cli.verbs.get",  # flows of this machine's switches, for drops
    }
