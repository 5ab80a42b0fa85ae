"""Completion, requested in the way a shell does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sgctl.store.server import PolicyServer
from tests.cli.conftest import Cli

SCRIPT = Path(sys.executable).with_name("sgctl")
ASK = """
source <(sgctl completion bash)
complete -p sgctl >/dev/null || exit 1
COMP_WORDS=({words}) COMP_CWORD={last}
_sgctl_completion sgctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def _complete(server: PolicyServer, *words: str) -> list[str]:
    """The completions of the last word in bash."""
    quoted = " ".join(f"'{word}'" for word in ("sgctl", *words))
    env = os.environ | {"SGCTL_DB": server.remote, "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}"}
    script = ASK.format(words=quoted, last=len(words))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def policy(cli: Cli) -> None:
    cli("network", "create", "blue")
    cli("security-group", "create", "web")
    cli("security-group", "create", "wiki")
    cli("security-group", "create", "we\n\x1b[2Jird")
    cli("port", "create", "web1", "--network", "blue")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("des",), ["describe"]),
        (("get", "security"), ["security-groups", "security-group"]),
        (("get", "sg", "w"), ["web", "wiki"]),
        (("delete", "port/w"), ["port/web1"]),
        (("port", "show", ""), ["web1"]),
        (("security-group", "rule", "create", "--remote-group", "wi"), ["wiki"]),
        (("security-group", "rule", "create", "--remote-n"), ["--remote-network"]),
        (("port", "create", "x", "--network", ""), ["blue"]),
        (("trace", ""), ["web1"]),
        (("trace", "web1", "w"), ["web1"]),
        (("reach", "to", ""), ["web1"]),
        (("flows", "--port", ""), ["web1"]),
        (("flows", "--group", "wi"), ["wiki"]),
        (("flows", "--table", "ingress_m"), ["INGRESS_MEMBER"]),
        (("uplink", "set", "eth1", "--network", "b"), ["blue"]),
    ],
)
def test_bash_completes_commands_options_and_names(
    server: PolicyServer, policy: None, words: tuple[str, ...], expected: list[str]
) -> None:
    assert _complete(server, *words) == expected


def test_without_a_database_nothing_is_offered_and_nothing_printed(server: PolicyServer) -> None:
    server.stop()
    assert _complete(server, "port", "show", "") == []
    server.start()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(cli: Cli, shell: str) -> None:
    assert "_SGCTL_COMPLETE" in cli("completion", shell).out
