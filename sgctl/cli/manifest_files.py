"""Manifests that the user gives with `-f`, and the plan to apply them."""

from __future__ import annotations

import sys
from dataclasses import replace

from sgctl.cli.command_session import CommandSession, plain_failures
from sgctl.service.apply.planner import plan
from sgctl.service.apply.pruning import PruneScope
from sgctl.service.manifests.documents import Document
from sgctl.service.manifests.files import read_files
from sgctl.service.plan import Plan


def read_documents(session: CommandSession, files: tuple[str, ...]) -> list[Document]:
    """The documents of all files. Those without a project belong to the session's. Raises Failure."""
    with plain_failures():
        found = read_files(files, sys.stdin.buffer)
    return [replace(document, default_project=session.project) for document in found]


def plan_to_apply(session: CommandSession, documents: list[Document], scope: PruneScope | None) -> Plan:
    """The plan to apply the documents to the policy as it is now. Raises Failure."""
    with plain_failures():
        return plan(session.store.objects, documents, scope)
