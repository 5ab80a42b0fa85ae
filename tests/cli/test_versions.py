"""A command line and a database of different versions: the error names both."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sgctl.store.database_schema import shipped
from sgctl.store.server import PolicyServer
from tests.cli.conftest import Cli

MINE = shipped()["version"]


@pytest.mark.parametrize(
    ("version", "advice"),
    [("0.9.0", "a controller of this version converts it when it starts"), ("2.0.0", "upgrade sgctl")],
)
@pytest.mark.parametrize("lacking", ["a table", "a column", "nothing"])
def test_the_error_names_both_schema_versions(
    server: PolicyServer, cli: Cli, tmp_path: Path, version: str, advice: str, lacking: str
) -> None:
    schema = {**shipped(), "version": version}
    if lacking == "a table":
        del schema["tables"]["Binding"]
    elif lacking == "a column":
        del schema["tables"]["Network"]["columns"]["subnet_details"]
    file = tmp_path / "other.ovsschema"
    file.write_text(json.dumps(schema))
    subprocess.run(["ovsdb-client", "convert", server.remote, file], check=True)
    for command in (["get", "ports"], ["trace", "w1", "w2"], ["status"], ["wait"]):
        result = cli(*command)
        assert result.code == 1, command
        (problem,) = result.errors
        assert all(words in problem for words in (server.remote, version, MINE, advice)), command
