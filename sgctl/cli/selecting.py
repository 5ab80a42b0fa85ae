"""Selecting records by the names that the user typed."""

from __future__ import annotations

from sgctl.cli.kinds import ObjectKind
from sgctl.cli.lookup import NAMED, find_all
from sgctl.cli.output.records import Record, Shown
from sgctl.cli.output.selection import Selection
from sgctl.cli.output.terminal import Failure


def select(shown: Shown, kind: ObjectKind, names: list[str], records: list[Record]) -> Selection:
    """The records of a kind that have these names; all records if there are no names. Raises Failure."""
    if not names:
        return Selection(kind, records, single=False)
    if kind.policy:
        ids = {obj.id for obj in find_all(shown.draft, NAMED[kind], names)}
        found = [record for record in records if record["id"] in ids]
    else:
        missing = [name for name in names if not any(_has_name(record, name) for record in records)]
        if missing:
            raise Failure(*(f"there is no {kind.singular} {name!r}" for name in missing))
        found = [record for record in records if any(_has_name(record, name) for name in names)]
    return Selection(kind, found, single=len(names) == 1)


def _has_name(record: Record, name: str) -> bool:
    """Switches are found as chassis/bridge or bridge; bindings and drops also by interface or port."""
    label = str(record["name"])
    return name in (label, label.rpartition("/")[2], record.get("interface"), record.get("port"))
