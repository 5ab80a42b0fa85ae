"""The policy database's schema and the comparison of its versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sgctl.ovsdb.errors import StoreError

DATABASE = "sgctl"
SCHEMA_FILE = Path(__file__).with_name("sgctl.ovsschema")


def shipped() -> Any:
    """The schema that this version of sgctl uses."""
    return json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def parse_version(text: str) -> tuple[int, ...]:
    """A schema version such as `1.2.0` as numbers for comparison. Raises StoreError if it is malformed."""
    try:
        return tuple(int(part) for part in text.split("."))
    except ValueError:
        raise StoreError(f"{text!r} is no schema version") from None


def is_older(version: str, where: str) -> bool:
    """Whether a database with this schema version must be converted. Raises StoreError if it is newer."""
    mine = shipped()["version"]
    if parse_version(version) > parse_version(mine):
        raise StoreError(
            f"{where} has schema version {version}, which is newer than the {mine} of this sgctl; "
            "it was left as it is: upgrade sgctl"
        )
    return parse_version(version) < parse_version(mine)


def missing(remote: str) -> StoreError:
    """The error for a server without a policy database."""
    return StoreError(
        f"{remote} serves no database {DATABASE!r}; make one from {SCHEMA_FILE} with "
        "`ovsdb-tool create` or `ovsdb-tool create-cluster`"
    )


def check_served(served: Any, remote: str) -> None:
    """Raise StoreError unless the server's schema is this version's; `served` is None without a database."""
    if served is None:
        raise missing(remote)
    version = served["version"]
    if is_older(version, f"the policy database at {remote}"):
        raise StoreError(
            f"the policy database at {remote} has schema version {version}, older than the "
            f"{shipped()['version']} of this sgctl; a controller of this version converts it when it starts"
        )
    for table, content in shipped()["tables"].items():
        lacking = content["columns"].keys() - served["tables"].get(table, {"columns": {}})["columns"].keys()
        if lacking:
            raise StoreError(
                f"the policy database at {remote} lacks {table}.{min(lacking)} although its schema version "
                f"is {version}: another build of sgctl made it"
            )
