"""How many objects of each kind a project may have: the rows of the Quota table."""

from __future__ import annotations

from collections.abc import Mapping

from sgctl.ovsdb.replica import Operation, Row
from sgctl.store.status import KeyedRows, row_is

Limits = Mapping[str, int]
"""Limits by resource, such as `security_group_rule`; -1 is no limit."""

_DURABLE: Operation = {"op": "commit", "durable": True}


def read_quota(row: Row) -> tuple[str, Limits]:
    """The project and the limits in a row of Quota."""
    return row.get("project_id", ""), dict(row.get("limits", ["map", []])[1])


def quota_operations(quotas: KeyedRows[str, Limits], project: str, limits: Limits) -> list[Operation]:
    """Operations that set these limits of a project and keep its other limits."""
    pairs = ["map", [list(pair) for pair in limits.items()]]
    if project not in quotas.values:
        row = {"project_id": project, "limits": pairs}
        return [{"op": "insert", "table": "Quota", "row": row}, _DURABLE]
    where = row_is(quotas.ids[project])
    mutations = [["limits", "delete", ["set", list(limits)]], ["limits", "insert", pairs]]
    still_there: Operation = {
        "op": "wait",
        "table": "Quota",
        "timeout": 0,
        "where": where,
        "columns": ["project_id"],
        "until": "==",
        "rows": [{"project_id": project}],
    }
    return [still_there, {"op": "mutate", "table": "Quota", "where": where, "mutations": mutations}, _DURABLE]


def no_quota_operations(quotas: KeyedRows[str, Limits], project: str) -> list[Operation]:
    """Operations that delete a project's limits."""
    if project not in quotas.values:
        return []
    return [{"op": "delete", "table": "Quota", "where": row_is(quotas.ids[project])}, _DURABLE]
