"""The command line as a process: speed, colours, pipes, usage, and databases that cannot be reached."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sgctl.cli.root import sgctl
from sgctl.store.server import PolicyServer
from tests.cli.conftest import Cli

SCRIPT = [sys.executable, "-c", "from sgctl.cli import main; main()"]


def test_help_loads_neither_ryu_nor_anything_heavy() -> None:
    script = (
        "import sys\n"
        "from sgctl.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])))\n"
    )
    heavy = ["ryu", "eventlet", "oslo_config", "ovs", "netaddr", "rich", "yaml", "jsonschema", "flows"]
    shown = subprocess.run([sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No such command 'nothing'. (see sgctl --help)"),
        (["--colour"], "No such option '--colour'. (see sgctl --help)"),
        (["apply"], "Missing option '-f' / '--filename'. (see sgctl apply --help)"),
        (["apply", "-f", "x", "--timeout", "-1"], "-1.0 is not in the range x>=0."),
        (["get", "port", "-o", "xml"], "'xml' is not one of 'table', 'wide', 'json', 'yaml', 'name'."),
        (["port", "bind", "a"], "Missing argument 'INTERFACE'. (see sgctl port bind --help)"),
        (["get", "ports", "--security-group", "x"], "--security-group only goes with the kind rules"),
        (
            ["get", "firewalls"],
            "there is no kind 'firewalls'; the kinds are networks, subnets,",
        ),
        (["network"], "give a command: create, delete, list, set, show, unset (see sgctl network --help)"),
        (["security", "group", "rule"], "give a command: create, delete, list, set, show, unset"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_status_2(cli: Cli, arguments: list[str], message: str) -> None:
    result = cli(*arguments)
    assert (result.code, result.out, len(result.errors)) == (2, "", 1)
    assert message in result.errors[0]


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    result = cli()
    assert result.code == 2
    assert "Commands:" in result.out + result.err


def test_the_summaries_of_commands_fit_a_line_of_80_characters() -> None:
    def cut(group: click.Group) -> list[str]:
        room = 80 - 6 - max(map(len, group.commands))
        found = [
            name for name, each in group.commands.items() if each.get_short_help_str(room).endswith("...")
        ]
        below = [each for each in group.commands.values() if isinstance(each, click.Group)]
        return found + [name for each in below for name in cut(each)]

    assert cut(sgctl) == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgctl.cli.command_session.CONNECT_TIMEOUT", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("arguments", [["get", "ports"], ["status"], ["wait"], ["apply", "-f", "-"]])
def test_a_missing_policy_database_is_an_error(cli: Cli, arguments: list[str], tmp_path: Path) -> None:
    text = "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: n}\n"
    result = cli("--db", f"unix:{tmp_path}/none.sock", *arguments, stdin=text)
    assert (result.code, result.out, len(result.errors)) == (1, "", 1)
    assert f"{tmp_path}/none.sock; is ryu-manager sgctl running?" in result.errors[0]


@pytest.mark.usefixtures("impatient")
def test_a_missing_switch_database_is_an_error(cli: Cli, tmp_path: Path) -> None:
    result = cli("--ovsdb", f"unix:{tmp_path}/none.sock", "uplink", "unset", "eth0")
    assert result.code == 1
    assert f"{tmp_path}/none.sock" in result.errors[0]


def _on_terminal(server: PolicyServer, *arguments: str, **environment: str) -> str:
    """The output of the command on a terminal."""
    main_end, terminal = pty.openpty()
    env = os.environ | {"SGCTL_DB": server.remote, "TERM": "xterm", "COLUMNS": "100"} | environment
    subprocess.run([*SCRIPT, *arguments], stdout=terminal, stderr=terminal, env=env, check=False)
    os.close(terminal)
    written = b""
    try:
        while chunk := os.read(main_end, 4096):
            written += chunk
    except OSError:  # the way Linux says that nobody holds the other end any more
        pass
    os.close(main_end)
    return written.decode()


def test_colours_are_used_only_on_terminals_that_want_them(server: PolicyServer, cli: Cli) -> None:
    assert "\x1b[" in _on_terminal(server, "status")
    assert "\x1b[" in _on_terminal(server, "get", "port", "x")
    assert "\x1b[" not in _on_terminal(server, "status", NO_COLOR="1").replace("\x1b[1m", "")
    assert "\x1b[" not in _on_terminal(server, "get", "port", "x", NO_COLOR="1")
    assert "\x1b[" not in cli("status").out


def test_a_closed_pipe_causes_no_traceback(server: PolicyServer, cli: Cli) -> None:
    text = "---\n".join(
        f"apiVersion: sgctl/v1\nkind: SecurityGroup\nmetadata: {{name: g{number}}}\n"
        for number in range(3000)
    )
    assert cli("apply", "-f", "-", stdin=text).code == 0
    # Unbuffered, Python itself loses the rest of a write that was cut short, and the error with it.
    env = os.environ | {"SGCTL_DB": server.remote, "PYTHONUNBUFFERED": ""}
    process = subprocess.Popen(
        [*SCRIPT, "get", "sg", "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
    process.stderr.close()


def test_version(cli: Cli) -> None:
    result = cli("version")
    assert result.code == 0
    assert result.out.startswith("sgctl")
