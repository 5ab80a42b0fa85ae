"""The committed documents equal those that the code generates."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from tests.api.client import ROOT, Client


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_doc", ROOT / "scripts" / "api_doc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_openapi_document_is_current(script: ModuleType) -> None:
    assert script.OPENAPI.read_text() == script.document_text(), "run scripts/api_doc.py"


def test_page_is_current(script: ModuleType) -> None:
    text = script.PAGE.read_text()
    assert text == script.page(text), "run scripts/api_doc.py"


def test_served_document_is_the_committed_one(api: Client, script: ModuleType) -> None:
    assert api("GET", "/openapi.json").document == script.document()
