"""An API process that cannot start: clients get an error, the log says why, and the controller tries on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.controller import Controller
from lab.process import wait_until
from sgctl.ryu.api_process import FEW_FAILURES, LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, pause_after
from tests.api.client import Client, controller_with

REASON = "broken for a test"


@pytest.fixture
def broken(private_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that hides a package which only the API's process needs."""
    file = tmp_path / "werkzeug.py"
    file.write_text(f"raise ImportError({REASON!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return file


@pytest.fixture
def unlucky(broken: Path) -> Iterator[Controller]:
    with controller_with() as running:
        yield running


def test_clients_are_told_until_the_api_starts(unlucky: Controller, broken: Path) -> None:
    client = Client(unlucky.wsapi_port)
    refused = client("GET", "/v2.0/networks")
    assert refused.status == 503
    assert refused.message == "The API does not start; see the controller's log"
    assert client("POST", "/v2.0/networks", {"network": {"name": "x" * 10_000}}).status == 503
    log = unlucky.log.read_text()
    assert f"the API does not start ({FEW_FAILURES} attempts): ImportError: {REASON}; clients get" in log
    broken.unlink()
    wait_until(lambda: client("GET", "/v2.0/networks").status == 200, "the API starts")


def test_the_pauses_between_attempts_get_longer() -> None:
    assert [pause_after(failures) for failures in (0, 1, FEW_FAILURES - 1)] == [PAUSE_SECONDS] * 3
    pauses = [pause_after(failures) for failures in range(FEW_FAILURES - 1, FEW_FAILURES + 10)]
    assert pauses[1] == 2 * pauses[0]
    assert pauses[-1] == pauses[-2] == LONGEST_PAUSE_SECONDS
