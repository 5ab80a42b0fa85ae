"""The page on manifests names every key and protocol, and its examples can be applied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sgctl.service import protocols
from sgctl.service.manifests.documents import MANIFEST_KINDS
from sgctl.service.manifests.schema import schema
from tests.unit.manifests_support import Policy

PAGE = Path("docs/manifests.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def _keys(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        yield from part.get("properties", {})
        for value in part.values():
            yield from _keys(value)


@pytest.mark.parametrize("name", sorted({kind.schema for kind in MANIFEST_KINDS.values()} | {"common.json"}))
def test_every_key_is_explained(name: str) -> None:
    found: dict[str, Any] = schema(name)
    missing = {key for key in _keys(found) if not re.search(rf"[`\s{{-]{key}[`:,]", PAGE)}
    assert missing == set()


def test_every_protocol_is_listed() -> None:
    assert {name for name in [*protocols.NUMBERS, *protocols.ALIASES] if f"`{name}`" not in PAGE} == set()


def test_the_examples_can_be_applied() -> None:
    assert len(EXAMPLES) == 3
    for text in EXAMPLES:
        policy = Policy()
        policy.apply(EXAMPLES[0])
        policy.apply(text)
        assert policy.plan(text).changes == ()
