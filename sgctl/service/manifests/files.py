"""Reads manifest files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from sgctl.service.errors import Code, Finding, PolicyError, Source
from sgctl.service.manifests import schema
from sgctl.service.manifests.documents import Document, documents


def read_files(files: Iterable[str], stdin: IO[bytes]) -> list[Document]:
    """The documents of all files; `-` is standard input, which is read only once.

    Raises PolicyError when a file cannot be read or is not YAML. It lists every such file, and the schema
    errors in the documents of the other files. Otherwise the planner checks the documents.
    """
    found: list[Document] = []
    findings: list[Finding] = []
    for file in dict.fromkeys(files):
        try:
            found += documents(*_contents(file, stdin))
        except PolicyError as error:
            findings += error.findings
        except OSError as error:
            findings.append(Finding(Source(file), "", f"cannot read: {error.strerror}", Code.NOT_FOUND))
    if findings:
        findings += [each.finding(*problem) for each in found for problem in schema.check(each)]
        raise PolicyError(findings)
    return found


def _contents(file: str, stdin: IO[bytes]) -> tuple[bytes, str]:
    if file == "-":
        return stdin.read(), "standard input"
    with open(file, "rb") as stream:  # noqa: PTH123  # messages name the file as the user wrote it
        return stream.read(), file
