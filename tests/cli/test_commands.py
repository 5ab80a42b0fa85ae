"""The table of commands, and the modules that a command loads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from sgctl.cli.lazy import LazyCommand, loaded
from sgctl.cli.root import sgctl
from sgctl.store.server import PolicyServer

SCRIPT = (
    "import sys\n"
    "from sgctl.cli import main\n"
    "try: main(sys.argv[1:])\n"
    "except SystemExit: pass\n"
    "print(*sorted(sys.modules))\n"
)
COMPILER, MANIFESTS, JSON_SCHEMA, RICH = (
    "flows.compiler.bridge",
    "sgctl.service.manifests",
    "jsonschema",
    "rich",
)


def commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """The commands of a group and of the groups below it, each with the name that it has in the table."""
    for name, command in group.commands.items():
        yield name, command
        if isinstance(command, click.Group):
            yield from commands(command)


LAZY = [(name, command) for name, command in commands(sgctl) if isinstance(command, LazyCommand)]


@pytest.mark.parametrize(("name", "command"), LAZY, ids=[str(command.place) for _, command in LAZY])
def test_the_table_and_the_module_of_a_command_agree(name: str, command: LazyCommand) -> None:
    found = loaded(command)
    assert not isinstance(found, LazyCommand)
    assert found.name == name
    assert found.callback is not None
    assert found.help
    assert found.get_short_help_str() == command.get_short_help_str()


def _modules(server: PolicyServer, *arguments: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    done = _run(server, *arguments)
    assert "error" not in done.stderr
    return _loaded(done)


def _run(server: PolicyServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", SCRIPT, "--db", server.remote, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True)


def _loaded(done: subprocess.CompletedProcess[str]) -> set[str]:
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["port", "--help"], ["sgctl.store", "flows", RICH]),
        (["version"], ["sgctl.store", "flows", RICH]),
        (["get", "ports"], [COMPILER, MANIFESTS, JSON_SCHEMA]),
        (["get", "ports", "-o", "json"], [COMPILER, MANIFESTS, JSON_SCHEMA]),
        (["port", "list"], [COMPILER, MANIFESTS, JSON_SCHEMA]),
        (["status"], [COMPILER, MANIFESTS, JSON_SCHEMA]),
        (["export"], [COMPILER]),
    ],
    ids=" ".join,
)
def test_a_command_loads_nothing_heavy_that_it_does_not_use(
    server: PolicyServer, arguments: list[str], absent: list[str]
) -> None:
    assert not _modules(server, *arguments) & set(absent)


def test_optional_modules_are_loaded_only_when_needed(server: PolicyServer) -> None:
    assert MANIFESTS in _modules(server, "get", "ports", "-o", "yaml")


def test_what_draws_is_not_loaded_without_a_terminal(server: PolicyServer) -> None:
    done = _run(server, "wait")
    assert "error: no switch is connected" in done.stderr
    assert RICH not in _loaded(done)
