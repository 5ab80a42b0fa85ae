"""Fill what the declarations of attributes say into the schemas of the database and of manifests.

These are the version and the columns of policy objects in `sgctl/store/sgctl.ovsschema`, and the keys of
attributes without code of their own in `sgctl/schemas/*.json`. The rest of the files is written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.attributes.declarations import ATTRIBUTES, META
from sgctl.attributes.plain import manifest_schemas
from sgctl.store.codec import TABLES
from sgctl.store.database_schema import SCHEMA_FILE, parse_version

SGCTL = Path(__file__).resolve().parents[1] / "sgctl"
WIDTH = 120

KEYS: dict[type[PolicyObject], tuple[str, tuple[str, ...]]] = {
    Network: ("network.json", ("properties", "spec", "properties")),
    AddressGroup: ("address-group.json", ("properties", "spec", "properties")),
    SecurityGroup: ("security-group.json", ("properties", "spec", "properties")),
    Rule: ("security-group.json", ("$defs", "rule", "properties")),
    Port: ("port.json", ("properties", "spec", "properties")),
}
"""The file with the manifest's keys of each kind, and the place in it."""


def database_schema(old: Any) -> Any:
    """The database's schema with the declared columns."""
    tables = dict(old["tables"])
    for kind, attributes in ATTRIBUTES.items():
        columns = {each.column: {"type": each.value_type.column} for each in (*attributes, *META)}
        tables[TABLES[kind].name] = tables[TABLES[kind].name] | {"columns": columns}
    since = [each.since for attributes in ATTRIBUTES.values() for each in attributes]
    return old | {"version": max([*since, old["version"]], key=parse_version), "tables": tables}


def manifest_schema(name: str, old: Any) -> Any:
    """The schema of manifests in this file with the declared keys."""
    for kind, (file, place) in KEYS.items():
        if file == name:
            keys = old
            for step in place:
                keys = keys[step]
            keys.update(manifest_schemas(kind))
    return old


def layout(value: Any, indent: int = 0, taken: int = 0) -> str:
    """JSON with as much on a line as fits; `taken` is what precedes and follows the value on its line."""
    line = json.dumps(value, ensure_ascii=False)
    if indent + taken + len(line) <= WIDTH or not isinstance(value, dict | list):
        return line
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    inner = indent + 2
    if isinstance(value, dict):
        heads = [f"{json.dumps(key)}: " for key in value]
        parts = [
            head + layout(each, inner, len(head) + 1)
            for head, each in zip(heads, value.values(), strict=True)
        ]
    else:
        parts = [layout(each, inner, 1) for each in value]
    lines = ",\n".join(" " * inner + part for part in parts)
    return f"{opening}\n{lines}\n{' ' * indent}{closing}"


def files() -> dict[Path, str]:
    """The content of each file."""
    old = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    made = {SCHEMA_FILE: layout(database_schema(old)) + "\n"}
    for name in sorted({file for file, _ in KEYS.values()}):
        path = SGCTL / "schemas" / name
        made[path] = layout(manifest_schema(name, json.loads(path.read_text(encoding="utf-8")))) + "\n"
    return made


def main() -> None:
    """Write all."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
