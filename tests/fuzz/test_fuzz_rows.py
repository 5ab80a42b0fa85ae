"""Random rows of other tools, as the schema permits: no crash, and no rule is wider than its row."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flows.compiler.bridge import LocalState, compile_bridge
from flows.policy.index import Policy
from flows.policy.objects import KINDS, Change, Rule
from flows.policy.validate import check
from sgctl.store import Store
from sgctl.store.database_schema import SCHEMA_FILE
from sgctl.store.server import PolicyServer

pytestmark = pytest.mark.switch

ROWS = 300
TEXTS = [
    "",
    "a",
    "x" * 300,
    "\x1b[2J",
    "a\nb",
    "10.0.0.1",
    "10.0.0.0/24",
    "10.0.0.1/24",
    "0.0.0.0/0",
    "::/0",
    "::1",
]
TEXTS += [
    "10.0.0.0/33",
    "2001:db8::/32",
    "02:00:00:00:00:01",
    "ff:ff:ff:ff:ff:ff",
    "02:00:00:00:00:02 10.0.0.0/8",
]
TEXTS += ["[1]", "{}", "null", "é" * 3, "10.0.0.1 ", "010.0.0.1", "1", "tcp", '{"cidr": "10.0.0.0/24"}']
TABLES = ("Security_Group", "Address_Group", "Network", "Rule", "Port")


@pytest.fixture
def server() -> Iterator[PolicyServer]:
    directory = Path(tempfile.mkdtemp(prefix="sgctl-fuzz-"))
    server = PolicyServer(directory / "policy.db", directory / "policy.sock")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


class RowMaker:
    """Makes rows that the schema permits, with any meaning."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._tables = json.loads(SCHEMA_FILE.read_text())["tables"]
        self.made: dict[str, list[str]] = {table: [] for table in TABLES}

    def row(self, table: str) -> dict[str, Any]:
        """A valid row in which up to four columns have random values."""
        types = {name: column["type"] for name, column in self._tables[table]["columns"].items()}
        wild = set(self._random.sample(sorted(types), self._random.choice([0, 1, 1, 2, 4])))
        return {
            name: self._value(kind) if name in wild else self._plain(kind) for name, kind in types.items()
        }

    def _plain(self, kind: Any) -> Any:
        if isinstance(kind, dict) and not kind.get("min", 1):
            return ["map" if "value" in kind else "set", []]
        base = {"type": kind} if isinstance(kind, str) else kind["key"]
        base = {"type": base} if isinstance(base, str) else base
        plain = {"string": "", "integer": base.get("minInteger", 1), "boolean": True}
        if base["type"] == "string" and "enum" in base:
            return base["enum"][1][0]
        return plain[base["type"]] if base["type"] in plain else self._atom(base)

    def _value(self, kind: Any) -> Any:
        if isinstance(kind, str):
            return self._atom({"type": kind})
        low, high = kind.get("min", 1), kind.get("max", 1)
        count = self._random.randint(low, 3 if high == "unlimited" else high)
        key = {"type": kind["key"]} if isinstance(kind["key"], str) else kind["key"]
        if "value" in kind:
            return ["map", [[position, self._atom({"type": kind["value"]})] for position in range(count)]]
        atoms = [self._atom(key) for _ in range(count)]
        unique = list({json.dumps(atom): atom for atom in atoms}.values())
        return unique[0] if len(unique) == 1 else ["set", unique]

    def _atom(self, base: dict[str, Any]) -> Any:
        random = self._random
        if base["type"] == "string":
            return random.choice(base["enum"][1] if "enum" in base else TEXTS)
        if base["type"] == "integer":
            low, high = base.get("minInteger", -5), base.get("maxInteger", 70000)
            edges = [low, high, 6, 17, 58, 80, random.randint(low, high)]
            return random.choice([value for value in edges if low <= value <= high])
        if base["type"] == "boolean":
            return random.choice([True, False])
        return ["uuid", random.choice(self.made[base["refTable"]])]


def transact(remote: str, *operations: dict[str, Any]) -> list[dict[str, Any]]:
    command = ["ovsdb-client", "transact", remote, json.dumps(["sgctl", *operations])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def fill(remote: str, maker: RowMaker) -> dict[str, dict[str, Any]]:
    """Insert rows, in the order in which they refer to each other; the rows of Rule by id."""
    for table in TABLES:
        anchors = 3 if table != "Port" else 0
        for number in range(ROWS // len(TABLES) + anchors):
            row = maker.row(table)
            if table == "Port":
                row |= {
                    "iface_id": f"{row['iface_id']}{number}",
                    "mac": row["mac"] or f"02:00:00:00:01:{number:02x}",
                }
            if table == "Rule":
                row["number"] = 100 + number
            insert = {"op": "insert", "table": table, "row": row}
            (result,) = transact(remote, insert)[:1]
            if "uuid" in result:
                maker.made[table].append(result["uuid"][1])
    select = {"op": "select", "table": "Rule", "where": []}
    return {row["_uuid"][1]: row for row in transact(remote, select)[0]["rows"]}


@pytest.mark.parametrize("seed", range(2))
def test_random_rows(server: PolicyServer, seed: int) -> None:
    rows = fill(server.remote, RowMaker(Random(seed)))
    store = Store.connect(server.remote)
    try:
        objects = [obj for kind in KINDS for obj in store.objects[kind].values()]
        assert store.problems, "some rows are invalid"
        assert [problem for obj in objects for problem in check(obj)] == []
        rules = [obj for obj in objects if isinstance(obj, Rule)]
        assert rules, "some rows are valid"
        assert [rule.id for rule in rules if says(rule) != stated(rows[rule.id])] == []
        policy = Policy()
        policy.apply(store.run())
        zones = {network: number for number, network in enumerate(policy.networks, 1)}
        compile_bridge(policy, LocalState(dict(enumerate(policy.ports, 1)), {65000: frozenset(zones)}, zones))
        store.commit([Change(rule, None) for rule in rules])
    finally:
        store.close()


def says(rule: Rule) -> list[object]:
    """All restrictions of a rule."""
    prefix = rule.remote_ip_prefix
    numbers = [rule.protocol, rule.port_range_min, rule.port_range_max]
    remotes = [rule.remote_group_id, rule.remote_address_group_id, rule.remote_network_id]
    return [str(rule.direction), str(rule.ethertype), rule.group_id, *numbers, *remotes, prefix is not None]


def stated(row: dict[str, Any]) -> list[object]:
    """The same for the row, read as simply as possible."""

    def optional(column: str) -> Any:
        value = row[column]
        return None if value == ["set", []] else value[1] if isinstance(value, list) else value

    numbers = [optional(name) for name in ("protocol", "port_range_min", "port_range_max")]
    remotes = [optional(name) for name in ("remote_group", "remote_address_group", "remote_network")]
    fixed = [row["direction"], row["ethertype"], row["security_group"][1]]
    return [*fixed, *numbers, *remotes, optional("remote_ip_prefix") is not None]
