"""Renaming an object keeps its identity and all references to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli import test_changes
from tests.cli.conftest import Cli

Write = Callable[[str], str]
RENAMED = {"network": ("blue", "sky"), "port": ("web1", "shop"), "security-group": ("web", "front")}

ALL = re.sub(", project_id: p[12]", "", test_changes.ALL)
"""A policy of one project."""


def record(cli: Cli, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("get", kind, name, "-o", "json").out)
    return found


@pytest.mark.parametrize("source", [("export",), ("get", "all", "-o", "yaml")])
def test_exported_objects_can_be_renamed(cli: Cli, manifest: Write, source: tuple[str, ...]) -> None:
    assert cli("apply", "-f", manifest(ALL)).code == 0
    before = {kind: record(cli, kind, old) for kind, (old, _) in RENAMED.items()}
    text = cli(*source).out
    for old, new in RENAMED.values():
        text = text.replace(f"name: {old}\n", f"name: {new}\n")
    text = text.replace("network: blue", "network: sky").replace("- web\n", "- front\n")
    for expected in ("updated", "unchanged"):
        applied = cli("apply", "-f", manifest(text))
        assert applied.code == 0, applied.err
        for kind, (_, new) in RENAMED.items():
            assert f"{new} {expected}" in applied.out
            assert record(cli, kind, new)["id"] == before[kind]["id"]
    assert record(cli, "port", "shop")["iface_id"] == "web1"
    assert len(json.loads(cli("get", "ports", "-o", "json").out)) == 1


def test_a_port_that_is_renamed_stays_bound(cli: Cli, manifest: Write) -> None:
    assert cli("apply", "-f", manifest(ALL)).code == 0
    identifier = record(cli, "port", "web1")["id"]
    assert cli("port", "set", "web1", "--name", "web2").code == 0
    assert record(cli, "port", "web2")["iface_id"] == "web1"
    spec = '{network: blue, mac_address: "02:00:00:00:00:01", security_groups: [web]}'
    metadata = f"{{name: web3, id: {identifier}}}"
    text = f"apiVersion: sgctl/v1\nkind: Port\nmetadata: {metadata}\nspec: {spec}\n"
    for _ in range(2):
        assert cli("apply", "-f", manifest(text)).code == 0
        assert record(cli, "port", "web3")["iface_id"] == "web1"
    other = text.replace("{network", "{iface_id: tap9, network")
    assert cli("apply", "-f", manifest(other)).code == 0
    assert record(cli, "port", "web3")["iface_id"] == "tap9"


def test_an_export_for_another_policy_has_no_ids(cli: Cli, manifest: Write) -> None:
    assert cli("apply", "-f", manifest(ALL)).code == 0
    text = cli("export", "--without-ids").out
    assert " id: " not in text
    assert cli("apply", "-f", manifest(text)).out.count("unchanged") == 4
